"""Every seed of a task, and what its scores are to be held against.

A score says little by itself. What one gets who reads nothing (the most frequent label, the mean),
and what the same architecture learns from the same examples without any pretraining, are always
measured with it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clozebox.evaluation.finetuning.heads import build
from clozebox.evaluation.finetuning.loop import Outcome, fine_tune
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.held_out import Precision
from clozebox.pretraining import PretrainingModel

PRETRAINED, RANDOM = "pretrained", "random"
Keep = Callable[["Scores"], None]
Watch = Callable[[str, int, float], None]
"""Where the weights come from, the seed, and the share of its steps that is done."""


@dataclass
class Scores:
    """Scores on one split."""

    majority: dict[str, float]
    """Of a constant answer."""
    outcomes: dict[str, dict[int, Outcome]] = field(default_factory=dict)
    """By where the weights come from, and by seed."""

    def mean(self, origin: str, metric: str) -> float:
        """Over the seeds."""
        found = [one.scores[metric] for one in self.outcomes[origin].values()]
        return sum(found) / len(found)

    def only(self, seeds: Sequence[int]) -> Scores:
        """Those of some seeds, in their order."""
        outcomes = {o: {seed: held[seed] for seed in seeds} for o, held in self.outcomes.items()}
        return Scores(self.majority, outcomes)


def measure(
    prepared: Prepared,
    model: PretrainingModel,
    numerics: Precision,
    done: Scores | None = None,
    keep: Keep = lambda scores: None,
    watch: Watch = lambda origin, seed, share: None,
) -> Scores:
    """Fine-tune from the weights of ``model`` and from fresh ones, with every seed of the task.

    What is ``done`` is not done again; ``keep`` is called after each seed, with all that is done,
    so that little is lost.
    """
    scores = done or Scores(constant_scores(prepared))
    settings, kind = prepared.task.settings.finetuning, prepared.kind
    for seed in settings.seeds:
        for origin in (PRETRAINED, RANDOM):
            held = scores.outcomes.setdefault(origin, {})
            if seed in held:
                continue
            head = kind.head(model.shape, kind.outputs, settings.dropout)
            tuned = build(model, head, seed, origin == PRETRAINED, numerics.device)
            told = functools.partial(watch, origin, seed)
            held[seed] = fine_tune(tuned, prepared, seed, numerics, told)
            keep(scores)
    return scores.only(settings.seeds)


def constant_scores(prepared: Prepared) -> dict[str, float]:
    """The scores of an answer that is the same for every example."""
    examples = prepared.examples(prepared.dataset.scored)
    return prepared.kind.score(prepared.kind.constant(examples), examples)
