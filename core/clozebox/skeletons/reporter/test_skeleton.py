"""The reporter keeps what every reporter promises. Install the plugin first: pip install -e ."""

from clozebox.testing import assert_passes


def test_it_keeps_what_every_reporter_promises() -> None:
    assert_passes("skeleton")
