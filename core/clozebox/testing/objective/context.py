"""What a prediction should hang on, it hangs on. B sequences, T tokens, D hidden size."""

from __future__ import annotations

from clozebox.components import TokenObjectiveConfig
from clozebox.pretraining import View
from clozebox.testing.bench import ALL_HIDDEN
from clozebox.testing.objective.case import (
    ObjectiveCase,
    copies,
    labels_are_tokens,
)
from clozebox.testing.objective.leakage import answers_of, differ, example_of, loss_at
from clozebox.testing.verdict import Violation

BEFORE, BEHIND = -1, +1


def the_context_tells_something(case: ObjectiveCase) -> None:
    """Where a token is predicted, a token beside it; of a pair, the tokens of both parts."""
    batch = case.batch(masking=ALL_HIDDEN)
    if labels_are_tokens(case, batch):
        _neighbours_are_read(case)
    elif batch.pair_label is not None:
        _both_parts_are_read(case)


def _neighbours_are_read(case: ObjectiveCase) -> None:
    batch = case.batch(masking=ALL_HIDDEN)
    # What is hidden can be looked at from both sides; what is not, must not.
    config = case.config
    ahead = config.ahead if isinstance(config, TokenObjectiveConfig) else 1
    due = {BEFORE, BEHIND} if case.config.needs_masking else {BEFORE}
    found: set[int] = set()
    for row in range(len(batch.input_ids)):
        many = copies(batch, row)
        view = case.objective.view(many)
        found |= _sides_read(case, view, ahead)
        if due <= found or (found and not case.config.needs_masking):
            return
    which = " nor ".join(
        name
        for side, name in ((BEFORE, "with the token before its answer"), (BEHIND, "the one behind"))
        if side not in found
    )
    changed, answered = next(answers_of(view))
    raise Violation(f"no prediction moves {which}", example_of(case, many, view, changed, answered))


def _sides_read(case: ObjectiveCase, view: View, ahead: int) -> set[int]:
    """On which sides of an answer a token ``ahead`` of it moves the prediction."""
    found: set[int] = set()
    hidden = case.sharp.encode(view)  # (T + 1, T, D)
    for place, answered in answers_of(view):
        before = loss_at(case.objective, hidden, view, 0, answered)
        for side in {BEFORE, BEHIND} - found:
            beside = place + side * ahead
            if not 0 <= beside < len(answered):
                continue
            after = loss_at(case.objective, hidden, view, beside + 1, answered)
            if any(differ(loss, after[name]) for name, loss in before.items()):
                found.add(side)
    return found


def _both_parts_are_read(case: ObjectiveCase) -> None:
    batch = case.batch(masking=ALL_HIDDEN)
    many = copies(batch, 0)
    view = case.objective.view(many)
    hidden = case.sharp.encode(view)  # (T + 1, T, D)
    nowhere = view.labels[0] > view.labels[0]
    losses = [loss_at(case.objective, hidden, view, row, nowhere) for row in range(len(hidden))]
    for part in (0, 1):
        places = ((batch.token_type_ids[0] == part) & ~batch.special_tokens_mask[0]).nonzero()
        moved = [
            differ(loss, losses[int(place) + 1][name])
            for place in places
            for name, loss in losses[0].items()
        ]
        if not any(moved):
            tokens = case.tokens(many.input_ids[0][many.attention_mask[0]])
            raise Violation(
                f"no token of the {('first', 'second')[part]} part moves the answer", tokens
            )
