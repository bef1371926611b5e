"""The corpus keeps what every corpus promises. Install the plugin first: pip install -e ."""

from pathlib import Path

from clozebox.testing import assert_passes


def test_it_keeps_what_every_corpus_promises(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("The tide is low. The boats lie dry.\n\nNobody sails.")
    (tmp_path / "two.txt").write_text("Rain came at noon.")
    assert_passes("skeleton", {"folder": str(tmp_path)})
