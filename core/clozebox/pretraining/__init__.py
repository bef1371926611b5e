"""The interfaces of this sandbox's subject: masking strategies, objectives and what they share."""

from clozebox.pretraining.batch import IGNORE_INDEX, Batch, View, only_targets
from clozebox.pretraining.masking import MaskingStrategy, choose_exactly, number_to_choose
from clozebox.pretraining.model import PretrainingModel
from clozebox.pretraining.objective import (
    ModelContext,
    Objective,
    Term,
    Terms,
    labelled,
    token_term,
)
from clozebox.pretraining.passes import Pass, passes_of

__all__ = [
    "IGNORE_INDEX",
    "Batch",
    "MaskingStrategy",
    "ModelContext",
    "Objective",
    "Pass",
    "PretrainingModel",
    "Term",
    "Terms",
    "View",
    "choose_exactly",
    "labelled",
    "number_to_choose",
    "only_targets",
    "passes_of",
    "token_term",
]
