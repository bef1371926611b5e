"""All that is on show."""

from tests.museum import (
    corruption,
    elsewhere,
    losses,
    masking,
    modules,
    objectives,
    shortcuts,
)
from tests.museum.exhibit import EXHIBITS, TWINS

ROOMS = (masking, corruption, objectives, shortcuts, losses, modules, elsewhere)

__all__ = ["EXHIBITS", "ROOMS", "TWINS"]
