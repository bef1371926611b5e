"""The size can be built. Install the plugin first: pip install -e ."""

from clozebox.testing import assert_passes


def test_it_can_be_built() -> None:
    assert_passes("skeleton")
