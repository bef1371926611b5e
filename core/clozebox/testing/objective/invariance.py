"""What may not change an objective's sums: padding, order, the cut of a batch, time, the device.

B sequences, T tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from clozebox.components import ObjectiveConfig, TokenObjectiveConfig
from clozebox.pretraining import Batch, Terms
from clozebox.testing.bench import LENGTH, BenchMasking
from clozebox.testing.objective.case import Bystander, ObjectiveCase, run, terms_of, total
from clozebox.testing.settings_contract import every_setting_matters
from clozebox.testing.verdict import Violation

CLOSE = 1e-5
"""Objectives compute their losses in single precision."""
NEAR = 1e-4
"""Of gradients, of which single ones may be small differences of large numbers."""
MANY = 60
"""Rows among which neighbours are not all alike."""
CORES = ("weight", "share", "head")


def padding_changes_nothing(case: ObjectiveCase) -> None:
    batch = case.batch(12)
    before = _sums(case, [batch])
    for what, other in (
        ("more padding", _wider(batch)),
        ("nothing behind the longest", _trimmed(batch)),
        ("other ids behind the sequences", _other_padding(batch)),
    ):
        _compare(before, _sums(case, [other]), f"with {what}", case, batch)


def the_cut_changes_nothing(case: ObjectiveCase) -> None:
    """Losses, hits and gradients are sums, so those of the parts add up to those of the whole."""
    batch = case.batch(12)
    whole, gradient = _sums(case, [batch]), _gradient(case, [batch])
    for sizes in ((6, 6), (1, 11), (5, 4, 3)):
        borders = np.cumsum([0, *sizes])
        parts = [batch.take(np.arange(a, b)) for a, b in zip(borders, borders[1:], strict=False)]
        cut = f"cut into {' + '.join(map(str, sizes))} sequences"
        _compare(whole, _sums(case, parts), cut, case, batch)
        if (gradient - _gradient(case, parts)).norm() > NEAR * gradient.norm():
            raise Violation(f"the gradient is another when the batch is {cut}")


def the_order_changes_nothing(case: ObjectiveCase) -> None:
    batch = case.batch(MANY)
    before = _sums(case, [batch])
    # Turned round, and odd ones behind even ones: then every sequence has other neighbours.
    for order in (np.arange(MANY)[::-1].copy(), np.argsort(np.arange(MANY) % 2, kind="stable")):
        _compare(before, _sums(case, [batch.take(order)]), "in another order", case, batch)


def nothing_is_left_to_the_moment(case: ObjectiveCase) -> None:
    batch = case.batch(12)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        found.append(_sums(case, [replace(batch)]))
    _compare(found[0], found[1], "asked again", case, batch)
    [objective] = case.bench.model([case.config]).each_objective()
    for module in objective.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # the one thing that may differ
    trained, measured = (objective.train(mode).view(replace(batch)) for mode in (True, False))
    for name in ("input_ids", "labels"):
        if not torch.equal(getattr(trained, name), getattr(measured, name)):
            raise Violation(f"{name} are others in training than in evaluation")


def nothing_waits_for_the_device(case: ObjectiveCase) -> None:
    model = copy.deepcopy(case.sharp).to("meta")
    [objective] = model.each_objective()
    batch = _on_meta(case.batch(4))
    objective.targets(batch)
    view = objective.view(batch)
    run(objective, model.encode(view, objective.reads(view)), view)


def weights_can_be_saved(case: ObjectiveCase) -> None:
    other = case.bench.model([case.config], seed=1).eval()
    other.load_state_dict(case.sharp.state_dict())
    [objective] = other.each_objective()
    batch = case.batch(12)
    with torch.no_grad():
        loaded = _named(terms_of(other, objective, batch))
    _compare(_sums(case, [batch]), loaded, "computed with the saved weights", case, batch)


def settings_matter(case: ObjectiveCase) -> None:
    batch = case.batch(24)

    def behaviour(config: ObjectiveConfig) -> list[Tensor]:
        model = case.bench.model([config]).eval()
        [objective] = model.each_objective()
        terms = terms_of(model, objective, replace(batch))
        loss = total(terms)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return [loss.detach(), *(p.detach() for p in objective.parameters()), *gradients]

    every_setting_matters(case.config, behaviour, besides=CORES)
    if case.config.needs_masking:
        few, many = (case.objective.view(case.batch(8, BenchMasking(rate=r))) for r in (0.1, 0.6))
        if torch.equal(few.input_ids, many.input_ids) and torch.equal(few.labels, many.labels):
            raise Violation("needs_masking is set, and no masking is read: any strategy does this")
    if isinstance(case.config, TokenObjectiveConfig):
        _the_head_is_the_one_that_is_named(case)


def _the_head_is_the_one_that_is_named(case: ObjectiveCase) -> None:
    other = Bystander()
    config = case.config.model_copy(update={"head": other.name})
    owner, objective = case.bench.model([other, config]).each_objective()
    if not set(owner.parameters()) <= set(objective.parameters()):
        raise Violation(f"head = {other.name!r} names another objective's head, which is not used")


def _sums(case: ObjectiveCase, batches: Sequence[Batch]) -> dict[str, float]:
    found: dict[str, float] = {}
    with torch.no_grad():
        for batch in batches:
            for name, value in _named(terms_of(case.sharp, case.objective, batch)).items():
                found[name] = found.get(name, 0.0) + value
            for name, targets in case.objective.targets(batch).items():
                key = f"the targets of {name}"
                found[key] = found.get(key, 0.0) + float(targets.count)
    return found


def _named(terms: Terms) -> dict[str, float]:
    found = {f"the loss of {name}": term.loss.item() for name, term in terms.items()}
    for name, term in terms.items():
        found |= {f"the {metric} of {name}": value.item() for metric, value in term.metrics.items()}
    return found


def _compare(
    left: dict[str, float], right: dict[str, float], when: str, case: ObjectiveCase, batch: Batch
) -> None:
    for name, value in left.items():
        other = right.get(name, value)
        if not abs(value - other) <= CLOSE * max(1.0, abs(value)):
            example = case.tokens(batch.input_ids[0])
            raise Violation(f"{name} is {value:.9g}, and {other:.9g} {when}", example)


def _gradient(case: ObjectiveCase, batches: Sequence[Batch]) -> Tensor:
    model = case.sharpened(case.bench.model([case.config]).eval())
    [objective] = model.each_objective()
    for batch in batches:
        total(terms_of(model, objective, batch)).backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([gradient.flatten() for gradient in gradients])


def _wider(batch: Batch) -> Batch:
    """The same sequences with more padding behind them."""

    def padded(tensor: Tensor, value: int | bool) -> Tensor:
        more = tensor.new_full((len(tensor), LENGTH // 3), value)
        return torch.cat([tensor, more], dim=1)

    return replace(
        batch,
        input_ids=padded(batch.input_ids, batch.vocabulary.pad_id),
        token_type_ids=padded(batch.token_type_ids, 0),
        attention_mask=padded(batch.attention_mask, False),
        special_tokens_mask=padded(batch.special_tokens_mask, True),
    )


def _trimmed(batch: Batch) -> Batch:
    """Without the columns that are padding in every row, so that one row at least is full."""
    longest = int(batch.attention_mask.sum(1).max())
    return replace(
        batch,
        input_ids=batch.input_ids[:, :longest],
        token_type_ids=batch.token_type_ids[:, :longest],
        attention_mask=batch.attention_mask[:, :longest],
        special_tokens_mask=batch.special_tokens_mask[:, :longest],
    )


def _other_padding(batch: Batch) -> Batch:
    token = int(batch.vocabulary.ordinary_ids[3])
    return replace(batch, input_ids=batch.input_ids.where(batch.attention_mask, token))


def _on_meta(batch: Batch) -> Batch:
    moved = {
        field.name: getattr(batch, field.name).to("meta")
        for field in fields(batch)
        if isinstance(getattr(batch, field.name), Tensor)
    }
    return replace(batch, **moved)
