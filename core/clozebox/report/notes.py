"""What a reader must know before believing a verdict: costs, other code, runs left out, seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clozebox.report.comparison import Comparison, Row
from clozebox.report.provenance import provenance_notes
from clozebox.report.records import COSTS
from clozebox.report.search_summary import winner_notes

STATES = {
    "running": "is running",
    "interrupted": "was interrupted",
    "not started": "has not started",
}
SAME_COST = 0.02
ENOUGH_SEEDS = 3
SEEDS_FOR_SIGN_FLIP = 6


def notes(comparison: Comparison) -> list[str]:
    """Remarks on the comparison of the main metric: what was chosen, then the costs."""
    return [
        *winner_notes(comparison),
        *_cost_notes(comparison),
        *provenance_notes([run for arm in comparison.arms for run in arm.finished]),
        *_unfinished_notes(comparison),
        *_unmeasured_notes(comparison),
        *_unlike_notes(comparison),
        *_seed_notes(comparison),
    ]


def _cost_notes(comparison: Comparison) -> list[str]:
    equal: list[str] = []
    unequal: list[str] = []
    for cost in COSTS:
        spent = [s for arm in comparison.arms if (s := arm.mean_cost(cost)) is not None]
        if len(spent) < 2:
            continue
        same = max(spent) <= (1 + SAME_COST) * min(spent)
        (equal if same else unequal).append("FLOPs" if cost == "flops" else cost)
    if not equal and unequal:
        return [f"The arms did not spend the same: {_listed(unequal)} differ."]
    if not equal:
        return []
    if "FLOPs" in equal and "steps" in unequal:
        return [
            f"The arms spent the same {_listed(equal)}; {_listed(unequal)} differ, "
            "as their steps cost differently."
        ]
    return [
        f"Every arm spent the same {_listed(equal)} (within {SAME_COST * 100:.0f} %)"
        + (f"; {_listed(unequal)} differ." if unequal else ".")
    ]


def _unfinished_notes(comparison: Comparison) -> list[str]:
    unfinished = [run for arm in comparison.arms for run in arm.unfinished]
    if comparison.ranks_trials and unfinished:
        states = Counter(run.state for run in unfinished)
        said = _listed([f"{n} {state}" for state, n in states.most_common()])
        return [f"Left out: trials that were pruned or did not finish ({said})."]
    found = []
    for run in unfinished:
        step, steps = run.status.get("step"), run.status.get("steps")
        where = f" at step {step}" + (f" of {steps}" if steps else "") if step else ""
        reason = f": {run.reason}" if run.reason else ""
        state = STATES.get(run.state, run.state)
        found.append(f"Left out: {run.arm} seed {run.seed} {state}{where}{reason}.")
    return found


def _unmeasured_notes(comparison: Comparison) -> list[str]:
    return [
        f"Left out: {arm.name} seed {run.seed} is done but {comparison.metric} is "
        f"{run.final.get(comparison.metric, 'missing')}."
        for arm in comparison.arms
        for run in arm.finished
        if run.seed not in arm.values(comparison.metric)
    ]


def _unlike_notes(comparison: Comparison) -> list[str]:
    """Other metrics that carry one name in two arms and are two quantities; of the main one, the
    verdict says so."""
    metrics: dict[str, list[str]] = {}
    for metric in comparison.metrics[1:]:
        unlike = [row for row in comparison.rows(metric) if row.unlike and row.estimate]
        if unlike and comparison.baseline.values(metric):
            keys = sorted({key for row in unlike for key in row.unlike})
            arms = _listed([row.arm.name for row in unlike])
            said = f"in {arms} as in {comparison.baseline.name}: {_listed(keys)} differ"
            metrics.setdefault(said, []).append(metric)
    return [
        f"{_listed(names)} {'is' if len(names) == 1 else 'are'} not the same quantity {said}."
        for said, names in metrics.items()
    ]


def _seed_notes(comparison: Comparison) -> list[str]:
    paired = (
        []
        if comparison.ranks_trials
        else [
            row.difference.estimate.n
            for row in comparison.rows(comparison.metric)
            if row.difference is not None
        ]
    )
    if not paired:
        return []
    if min(paired) < ENOUGH_SEEDS:
        return [f"Fewer than {ENOUGH_SEEDS} paired seeds: run more before believing a difference."]
    if min(paired) < SEEDS_FOR_SIGN_FLIP:
        return [
            f"With {min(paired)} paired seeds the exact sign-flip p cannot fall below "
            f"{2 / 2 ** min(paired):.4g}; six seeds are needed for 0.05."
        ]
    return []


def unlike_text(row: Row) -> str:
    """The settings that make the metric another quantity: ``masking.rate differs (0.15, 0.4)``."""
    return "; ".join(f"{key} differs ({', '.join(texts)})" for key, texts in row.unlike.items())


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
