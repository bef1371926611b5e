"""What must not depend on a token does not move when the token is changed.

The answer to a target is found by trying, and not taken on trust: the token whose change changes
the label. B sequences, T tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from clozebox.pretraining import IGNORE_INDEX, Batch, Objective, PretrainingModel, View
from clozebox.testing.bench import ALL_HIDDEN
from clozebox.testing.objective.case import (
    ObjectiveCase,
    copies,
    labels_are_tokens,
    rows_of,
    run,
    terms_of,
    with_targets,
)
from clozebox.testing.verdict import Violation

ROWS = (0, 3, 5)
NOTHING = 1e-9
"""In double precision a dependence is far above this, and rounding far below."""
NO_LOSS = 1e-6
"""The same for losses, which objectives compute in single precision."""
ROUNDING = 1e-4
"""The same for differences of differences of them."""


def no_target_sees_its_answer(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        for row in ROWS:
            many = copies(batch, row)
            _check(case, kind, many, case.objective.view(many))
    if case.config.needs_masking:
        for row in ROWS:
            _hidden_tokens_add_up(case, case.batch(masking=ALL_HIDDEN).take(np.array([row])))


def no_blank_sees_its_answer(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        chosen = _blanks(batch)
        for row in ROWS:
            many = copies(batch, row)
            view = case.objective.cloze(many, chosen[row].expand(len(many.input_ids), -1))
            if view is None:
                return
            _check(case, f"cloze of {kind}", many, view)
            _check_blanks(case, many, view, chosen[row])


def attention_is_as_declared(case: ObjectiveCase) -> None:
    """Through the encoder: nothing comes from beyond what the view's attention allows."""
    for kind, batch in case.batches():
        many = copies(batch, 0)
        view = case.objective.view(many)
        moved = _moved(case.sharp, view)  # (T, T): changed token, position
        allowed = view.attention.pattern(len(many.input_ids), many.input_ids.shape[1])[0]
        shown = (view.input_ids[1:] != view.input_ids[0]).any(1)  # (T,)
        reach = _reachable(allowed).T  # (T, T): seen, seer
        if (leak := moved & ~reach & shown[:, None]).any():
            changed, position = (int(i) for i in leak.nonzero()[0])
            raise Violation(
                f"{kind}: what stands at {position} depends on the token at {changed}, which "
                f"{view.attention.kind} attention hides from it",
                case.tokens(many.input_ids[0]),
            )


def documents_do_not_see_each_other(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        if batch.document_ids is None:
            continue
        for row in ROWS:
            many = copies(batch, row)
            view = case.objective.view(many)
            document = batch.document_ids[row]
            other = document[:, None] != document[None, :]  # (T, T)
            if (leak := _moved(case.sharp, view) & other).any():
                changed, position = (int(i) for i in leak.nonzero()[0])
                raise Violation(
                    f"{kind}: a document is read with the token at {changed} of another in mind, "
                    f"at {position}",
                    case.tokens(many.input_ids[0]),
                )
            _labels_stay_inside(case, many, view, document)


def _check(case: ObjectiveCase, kind: str, many: Batch, view: View) -> None:
    """``view`` of the copies of a row: no loss may move with the answer to its target."""
    hidden = case.sharp.encode(view)  # (T + 1, T, D)
    tokens = labels_are_tokens(case, many)
    for changed, answered in answers_of(view):
        if not tokens:  # such as what a generator writes, which may be another in another context
            answered &= view.input_ids[changed + 1] == view.input_ids[0]
        if not answered.any():
            continue
        before = loss_at(case.objective, hidden, view, 0, answered)
        after = loss_at(case.objective, hidden, view, changed + 1, answered)
        for name, loss in before.items():
            if differ(loss, after[name]):
                raise Violation(
                    f"{kind}: the prediction of the token at {changed} moves with that token "
                    f"(the loss of {name}: {loss:.6f}, then {after[name]:.6f})",
                    example_of(case, many, view, changed, answered),
                )


def _hidden_tokens_add_up(case: ObjectiveCase, batch: Batch) -> None:
    """Of two hidden tokens both are answers and neither is shown.

    So what one costs does not hang on the other, in terms that the view's labels say nothing of
    too, such as that of a generator.
    """
    size = case.bench.vocabulary.size
    places = (batch.masked.labels[0] != IGNORE_INDEX).nonzero().squeeze(1)[:2].tolist()
    terms = [name for name, one in case.objective.targets(batch).items() if one.classes == size]
    if len(places) < 2 or not terms:
        return
    many = copies(batch, 0)
    losses = {}
    for first in (False, True):
        for second in (False, True):
            ids = batch.input_ids.clone()
            for place, changed in zip(places, (first, second), strict=True):
                ids[0, place] = many.input_ids[place + 1 if changed else 0, place]
            made = terms_of(case.sharp, case.objective, replace(batch, input_ids=ids))
            losses[first, second] = {name: made[name].loss.item() for name in terms}
    for name in terms:
        one = losses[True, False][name] - losses[False, False][name]
        other = losses[True, True][name] - losses[False, True][name]
        if abs(one - other) > ROUNDING * max(1.0, abs(losses[True, True][name])):
            raise Violation(
                f"what {name} pays for the hidden token at {places[0]} hangs on the one at "
                f"{places[1]}, which is hidden too ({one:.6f} more, or {other:.6f})",
                case.tokens(batch.input_ids[0]),
            )


def differ(loss: float, other: float) -> bool:
    return abs(other - loss) > NO_LOSS * max(1.0, abs(loss))


def answers_of(view: View) -> Iterator[tuple[int, Tensor]]:
    """Each token that is an answer, and the positions (T,) at which it is one."""
    for changed, labels in enumerate(view.labels[1:]):
        both = (labels != IGNORE_INDEX) & (view.labels[0] != IGNORE_INDEX)
        answered = both & (labels != view.labels[0])
        if answered.any():
            yield changed, answered


def loss_at(
    objective: Objective, hidden: Tensor, view: View, row: int, answered: Tensor
) -> dict[str, float]:
    """The loss at ``answered`` from one copy's hidden states, with the labels of the first."""
    one = rows_of(view, torch.tensor([row]))
    labels = view.labels[:1].where(answered, IGNORE_INDEX)
    asked = with_targets(rows_of(view, torch.tensor([0])), answered)
    asked = type(one)(**{**vars(one), "labels": labels, "pair_label": asked.pair_label})
    return {n: t.loss.item() for n, t in run(objective, hidden[[row]], asked).items()}


def _moved(model: PretrainingModel, view: View) -> Tensor:
    """(T, T): whether a change of the token moves what the encoder makes of the position."""
    hidden = model.encode(view)  # (T + 1, T, D)
    return (hidden[1:] - hidden[0]).abs().amax(-1) > NOTHING


def _reachable(allowed: Tensor) -> Tensor:
    """(T, T): what a position sees through any number of layers, itself included."""
    reach = allowed | torch.eye(len(allowed), dtype=torch.bool)
    for _ in range(len(allowed).bit_length()):
        reach = (reach.float() @ reach.float()) > 0
    return reach


def _labels_stay_inside(case: ObjectiveCase, many: Batch, view: View, document: Tensor) -> None:
    for changed, answered in answers_of(view):
        if (document[answered] != document[changed]).any():
            raise Violation(
                f"the token at {changed} is to be predicted from another document",
                example_of(case, many, view, changed, answered),
            )


def _blanks(batch: Batch) -> Tensor:
    """A few ordinary tokens of every sequence, (B, T)."""
    return (batch.uniform("blanks of the check") < 0.3) & ~batch.special_tokens_mask


def _check_blanks(case: ObjectiveCase, many: Batch, view: View, chosen: Tensor) -> None:
    """Each blank is asked for once, and nothing else is."""
    asked = torch.zeros_like(chosen)
    for changed, answered in answers_of(view):
        asked[changed] = True
        if int(answered.sum()) != 1 or view.labels[0][answered] != many.input_ids[0, changed]:
            raise Violation(f"the blank at {changed} is not asked for once, by its token")
    if (asked & ~chosen).any() or int((view.labels[0] != IGNORE_INDEX).sum()) > int(chosen.sum()):
        raise Violation("cloze asks for tokens that are no blanks", case.tokens(many.input_ids[0]))


def example_of(case: ObjectiveCase, many: Batch, view: View, changed: int, answered: Tensor) -> str:
    real = many.attention_mask[0]
    places = answered.nonzero().squeeze(1).tolist()
    return "\n".join(
        (
            f"tokens: {case.tokens(many.input_ids[0][real])}",
            f"shown:  {case.tokens(view.input_ids[0][real])}",
            f"answer: {case.tokens(many.input_ids[0, [changed]])} at {changed}, "
            f"predicted at {places}",
        )
    )
