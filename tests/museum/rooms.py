"""All that is on show."""

from tests.museum import corruption, elsewhere, losses, masking, modules, objectives
from tests.museum.exhibit import EXHIBITS, TWINS

ROOMS = (masking, corruption, objectives, losses, modules, elsewhere)

__all__ = ["EXHIBITS", "ROOMS", "TWINS"]
