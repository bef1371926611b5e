"""Yardsticks that are the same for every arm."""

from clozebox.evaluation.accuracy import Accuracy
from clozebox.evaluation.fill import text_with_blanks
from clozebox.evaluation.finetuning.tasks import FineTuning, Probing
from clozebox.evaluation.held_out import EVALUATION_SEED, SHORT_SEQ_PROB, HeldOut
from clozebox.evaluation.likelihood import Scoring, sentence_scores, speaker, token_scores
from clozebox.evaluation.losses import mean_losses, view_losses
from clozebox.evaluation.task import EvaluationTask, Yardsticks

__all__ = [
    "EVALUATION_SEED",
    "SHORT_SEQ_PROB",
    "Accuracy",
    "EvaluationTask",
    "FineTuning",
    "HeldOut",
    "Probing",
    "Scoring",
    "Yardsticks",
    "mean_losses",
    "sentence_scores",
    "speaker",
    "text_with_blanks",
    "token_scores",
    "view_losses",
]
