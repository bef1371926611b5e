"""Labels are the originals, every answer counts, and knowing nothing costs what it should.

B sequences, T tokens, D hidden size.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from clozebox.pretraining import IGNORE_INDEX, Batch, View
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

ROWS = 64
FEW = 8
"""Answers tried from each end of the vocabulary."""
FEW_CLASSES = 8
"""So many that each must occur in the sequences tried."""
TOLERANCE = 0.15


def labels_are_the_originals(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        view = case.objective.view(batch)
        if ((view.labels != IGNORE_INDEX) & ~batch.attention_mask).any():
            raise Violation(f"{kind}: padding has labels", case.tokens(batch.input_ids[0]))
        if not labels_are_tokens(case, batch):
            continue
        many = copies(batch, 1)
        view = case.objective.view(many)
        labels, ids = view.labels[0], many.input_ids[0]
        for place in (labels != IGNORE_INDEX).nonzero().squeeze(1).tolist():
            changed = (view.labels[1:, place] != labels[place]).nonzero().squeeze(1).tolist()
            example = _example(case, ids, labels, place)
            if not (ids == labels[place]).any():
                raise Violation(
                    f"{kind}: the label at {place} is no token of the sequence", example
                )
            if len(changed) > 1:
                raise Violation(
                    f"{kind}: the label at {place} hangs on {len(changed)} tokens", example
                )
            if not changed:
                raise Violation(f"{kind}: the label at {place} does not follow its token", example)
            if int(labels[place]) != int(ids[changed[0]]):
                raise Violation(
                    f"{kind}: the label at {place} is not the token that stood there", example
                )


def there_is_something_to_learn(case: ObjectiveCase) -> None:
    batch = case.batch(ROWS)
    for name, targets in case.objective.targets(batch).items():
        if not int(targets.count):
            raise Violation(
                f"{name} has no target in {ROWS} sequences", case.tokens(batch.input_ids[0])
            )


def no_more_is_labelled_than_the_bound(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        view = case.objective.view(batch)
        most = int((view.labels != IGNORE_INDEX).sum(1).max())
        if view.max_targets is not None and most > view.max_targets:
            raise Violation(
                f"{kind}: max_targets is {view.max_targets}, and a sequence has {most} labels: "
                "a GPU would leave out the others"
            )


def every_answer_counts(case: ObjectiveCase) -> None:
    """Each class by itself gives a loss, and the gradient of it reaches the encoder."""
    with torch.no_grad():  # what a view computes itself, such as a generator's loss, is not asked
        view = case.objective.view(case.batch(ROWS))
    for what, part in _one_class_at_a_time(case, view):
        with torch.no_grad():
            hidden = case.sharp.encode(part)
        hidden.requires_grad_()
        terms = run(case.objective, hidden, part)
        losses = torch.stack([term.loss for term in terms.values()])
        if (losses.abs() < 1e-12).any():
            silent = [name for name, term in terms.items() if abs(term.loss.item()) < 1e-12]
            raise Violation(f"{what}: the loss of {', '.join(silent)} is 0 whatever is predicted")
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if hidden.grad is None or not hidden.grad.any():
            raise Violation(f"{what}: no gradient reaches the encoder")


def two_answers_both_occur(case: ObjectiveCase) -> None:
    batch = case.batch(4 * ROWS)
    view = case.objective.view(batch)
    targets = case.objective.targets(batch)
    if batch.pair_label is None and not labels_are_tokens(case, batch):
        _every_class_occurs(view, max(1, targets[case.config.name].classes))
    two = [name for name, one in targets.items() if one.classes == 2]
    if not two:
        return
    if batch.pair_label is not None:
        if view.pair_label is None or not torch.equal(view.pair_label, batch.pair_label):
            raise Violation("the pair labels of the view are not those of the batch")
        with torch.no_grad():
            before = terms_of(case.sharp, case.objective, batch)
            flipped = replace(batch, pair_label=1 - batch.pair_label)
            after = terms_of(case.sharp, case.objective, flipped)
        for name in two:
            if before[name].loss == after[name].loss:
                raise Violation(f"the loss of {name} is the same when every answer is turned round")
    else:
        if ((view.labels == 1) & (view.input_ids == case.bench.vocabulary.mask_id)).any():
            raise Violation("[MASK] is to be told from text", case.tokens(view.input_ids[0]))
        # Of noise that an objective makes itself, some may stay what it was.
        if case.config.needs_masking:
            _what_was_not_replaced_has_one_answer(case, batch, view)


def _every_class_occurs(view: View, classes: int) -> None:
    """Of a few classes each is a label somewhere; none is beyond them."""
    given = sorted(set(view.labels[view.labels != IGNORE_INDEX].tolist()))
    if given and (given[0] < 0 or given[-1] >= classes):
        raise Violation(f"targets says {classes} classes, and the labels are {given[:16]}")
    if classes <= FEW_CLASSES and given != list(range(classes)):
        raise Violation(f"of {classes} classes, the labels of {4 * ROWS} sequences are {given}")


def _what_was_not_replaced_has_one_answer(case: ObjectiveCase, batch: Batch, view: View) -> None:
    """Nothing tells a token that stands as it stood from any other such."""
    same = (view.labels != IGNORE_INDEX) & (view.input_ids == batch.input_ids)
    for shown, labels, stays in zip(view.input_ids, view.labels, same, strict=True):
        if len(set(labels[stays].tolist())) > 1:
            ones = (stays & (labels == 1)).nonzero().squeeze(1).tolist()
            example = f"shown: {case.tokens(shown)}\nnot replaced, and labelled 1: {ones}"
            raise Violation("tokens that were not replaced have both answers", example)


def knowing_nothing_costs_the_logarithm(case: ObjectiveCase) -> None:
    batch = case.batch(ROWS)
    targets = case.objective.targets(batch)
    [fresh] = case.model.each_objective()
    with torch.no_grad():
        terms = terms_of(case.model, fresh, batch)
    if terms.keys() != targets.keys():
        raise Violation(f"forward gives the terms {[*terms]}, and targets {[*targets]}")
    for name, term in terms.items():
        one = targets[name]
        due = math.log(one.classes) if one.chance is None else one.chance
        mean = term.loss.item() / int(one.count)
        if abs(mean - due) > TOLERANCE * due:
            raise Violation(
                f"{name} starts at {mean:.4f} a target; "
                f"for one of {one.classes} answers, {due:.4f} is due"
            )


def hits_are_not_given_away(case: ObjectiveCase) -> None:
    """A model that always says the same is right as often as that answer, and not more."""
    batch = case.batch(ROWS)
    constant = case.bench.model([case.config]).eval()
    [objective] = constant.each_objective()
    for parameter in constant.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        view = objective.view(batch)
        terms = run(objective, constant.encode(view), view)
    answers = view.labels[view.labels != IGNORE_INDEX]
    if case.config.example != "single" and view.pair_label is not None:
        answers = view.pair_label
    for name, targets in objective.targets(batch).items():
        accuracy, count = terms[name].metrics.get("accuracy"), int(targets.count)
        if accuracy is None or len(answers) != count:
            continue
        commonest = max(Counter(answers.tolist()).values())
        if int(accuracy) > commonest:
            raise Violation(
                f"a constant model is right {int(accuracy)} times of {count}; "
                f"the commonest answer is right {commonest} times"
            )


def _one_class_at_a_time(case: ObjectiveCase, view: View) -> Iterator[tuple[str, View]]:
    if case.config.example != "single" and view.pair_label is not None:
        for answer in (0, 1):
            rows = (view.pair_label == answer).nonzero().squeeze(1)
            yield f"pair label {answer}", rows_of(view, rows)
        return
    given = sorted(set(view.labels[view.labels != IGNORE_INDEX].tolist()))
    for answer in sorted({*given[:FEW], *given[-FEW:]}):
        yield f"label {answer}", with_targets(view, view.labels == answer)


def _example(case: ObjectiveCase, ids: Tensor, labels: Tensor, place: int) -> str:
    label = case.bench.tokens(labels[[place]])[0]
    return f"tokens: {case.tokens(ids)}\nlabel at {place}: {label}"
