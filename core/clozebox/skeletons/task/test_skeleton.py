"""The evaluation task keeps what every one promises. Install the plugin first: pip install -e ."""

from clozebox.testing import assert_passes


def test_it_keeps_what_every_evaluation_task_promises() -> None:
    assert_passes("skeleton")
