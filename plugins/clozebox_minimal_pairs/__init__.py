"""Zero-shot minimal pairs: is the grammatical sentence of two the likelier one?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveInt

from clozebox import EvaluationTaskConfig, hookimpl

if TYPE_CHECKING:
    from clozebox.evaluation import EvaluationTask


class MinimalPairsConfig(EvaluationTaskConfig):
    """Whether the grammatical sentence of a pair is likelier: BLiMP, Zorro, or pairs like them.

    One pass for each sentence of a model that reads one side, and one for each *token* of one that
    reads both.
    """

    name: ClassVar[str] = "minimal_pairs"
    when: Literal["always", "end"] = "end"

    path: str
    """A file, or a folder of them; relative to the working directory."""
    format: Literal["blimp", "zorro"] = "blimp"
    """``blimp``: ``.jsonl`` with a pair a line. ``zorro``: ``.txt`` with a sentence a line, the
    ungrammatical one first."""
    scoring: Literal["pll", "pll_within_word"] = "pll"
    """For a model that reads both sides: its pseudo-log-likelihood, or that in which a piece of a
    word is predicted without the pieces after it (Kauf and Ivanova, 2023)."""
    pairs: PositiveInt | None = None
    """The most pairs of a paradigm, from all over it; all of them if not given."""
    by: Literal["phenomenon", "paradigm"] = "phenomenon"
    """What has a score of its own besides the whole: BLiMP has 12 phenomena and 67 paradigms."""

    def build(self) -> EvaluationTask:
        from clozebox_minimal_pairs.task import MinimalPairs

        return MinimalPairs(self)


@hookimpl
def register_evaluation_tasks() -> list[type[EvaluationTaskConfig]]:
    return [MinimalPairsConfig]
