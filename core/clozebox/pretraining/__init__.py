"""The interfaces of this sandbox's subject: masking strategies, objectives and what they share."""

from clozebox.pretraining.batch import Batch
from clozebox.pretraining.generator import Generator
from clozebox.pretraining.masking import (
    MaskingStrategy,
    choose_exactly,
    number_to_choose,
    numbers_to_choose,
)
from clozebox.pretraining.mixture import Reader
from clozebox.pretraining.model import PretrainingModel
from clozebox.pretraining.objective import (
    ModelContext,
    Objective,
    Targets,
    Term,
    Terms,
    TokenObjective,
    class_term,
    distinct,
    labelled,
    labelled_rows,
    labels_of,
    token_term,
)
from clozebox.pretraining.passes import Pass, passes_of
from clozebox.pretraining.view import IGNORE_INDEX, View, only_targets

__all__ = [
    "IGNORE_INDEX",
    "Batch",
    "Generator",
    "MaskingStrategy",
    "ModelContext",
    "Objective",
    "Pass",
    "PretrainingModel",
    "Reader",
    "Targets",
    "Term",
    "Terms",
    "TokenObjective",
    "View",
    "choose_exactly",
    "class_term",
    "distinct",
    "labelled",
    "labelled_rows",
    "labels_of",
    "number_to_choose",
    "numbers_to_choose",
    "only_targets",
    "passes_of",
    "token_term",
]
