"""What the training loop, a GPU and the arm's other objectives rely on.

B sequences, T tokens, M predicted tokens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from clozebox.components import ObjectiveConfig
from clozebox.pretraining import IGNORE_INDEX, View, labelled_rows
from clozebox.testing.bench import RecordingBatch
from clozebox.testing.objective.case import ObjectiveCase, run, terms_of, total
from clozebox.testing.verdict import Violation

CLOSE = 1e-5
"""Of sums in single precision, over more rows and in another order."""


def weights_are_left_to_the_loop(case: ObjectiveCase) -> None:
    usual = _terms(case, case.config)
    for what, changes in (("weight", {"weight": 3.0}), ("share", {"share": 0.5})):
        changed = _terms(case, case.config.model_copy(update=changes))
        for name, given in usual.items():
            if changed[name] != given:
                raise Violation(
                    f"the loss and the weight of {name} are {given}; "
                    f"with {what} = {changes[what]}, {changed[name]}"
                )


def _terms(case: ObjectiveCase, config: ObjectiveConfig) -> dict[str, tuple[float, float]]:
    """The loss of each term, and its weight among them."""
    model = case.bench.model([config]).eval()
    [objective] = model.each_objective()
    with torch.no_grad():
        terms = terms_of(model, objective, case.batch(4))
    return {name: (term.loss.item(), term.weight) for name, term in terms.items()}


def what_is_shared_stays(case: ObjectiveCase) -> None:
    batch = case.batch(60)  # so many that every column is labelled somewhere
    shared = {"plain": batch.plain, "causal": batch.causal, "anticausal": batch.anticausal}
    if batch.masking is not None:
        shared["masked"] = batch.masked
    tensors = {"the tokens of the batch": batch.input_ids}
    for name, view in shared.items():
        tensors[f"the ids of batch.{name}"] = view.input_ids
        tensors[f"the labels of batch.{name}"] = view.labels
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    with torch.no_grad():
        view = case.objective.view(batch)
        hidden = tensors["the hidden states"] = case.sharp.encode(view)
        before["the hidden states"] = hidden.clone()
        run(case.objective, hidden, view)
    for name, tensor in tensors.items():
        if not torch.equal(tensor, before[name]):
            raise Violation(f"{name} were changed in place, for every objective that reads them")


def it_reads_where_it_says(case: ObjectiveCase) -> None:
    for kind, batch in case.batches():
        view = case.objective.view(batch)
        if (read := case.objective.reads(view)) is None:
            continue
        if len(set(read.tolist())) < len(read):
            raise Violation(f"{kind}: reads names a position twice")
        with torch.no_grad():
            hidden = case.sharp.encode(view)  # (B, T, D)
        named = torch.full_like(hidden, torch.nan).flatten(0, 1)
        named[read] = hidden.flatten(0, 1)[read]
        usual = _what_comes_of(case, hidden, view)
        others_gone = _what_comes_of(case, named.view_as(hidden), view)
        for name, value in usual.items():
            if not torch.allclose(value, others_gone[name], atol=CLOSE):  # NaN is close to nothing
                raise Violation(
                    f"{kind}: {name} hangs on hidden states at positions that reads does not name",
                    case.tokens(view.input_ids[0]),
                )


def _what_comes_of(case: ObjectiveCase, hidden: Tensor, view: View) -> dict[str, Tensor]:
    """Losses, metrics, and the gradients of the objective's parameters."""
    case.objective.zero_grad(set_to_none=True)
    terms = run(case.objective, hidden, view)
    total(terms).backward()  # type: ignore[no-untyped-call]
    found = {f"the loss of {name}": term.loss.detach() for name, term in terms.items()}
    for name, term in terms.items():
        found |= {f"the {what} of {name}": one.detach() for what, one in term.metrics.items()}
    parameters = case.objective.named_parameters()
    return found | {
        f"the gradient of {name}": p.grad.clone() for name, p in parameters if p.grad is not None
    }


def no_number_is_used_twice(case: ObjectiveCase) -> None:
    batch = RecordingBatch.of_batch(case.batch())
    if batch.masking is None:
        return
    batch.masked  # noqa: B018 (made once, and kept)
    masking = set(batch.drawn)
    batch.drawn.clear()
    case.objective.view(batch)
    if both := masking & set(batch.drawn):
        raise Violation(f"masking draws the numbers {', '.join(sorted(both))} too")


def rows_without_a_label_count_nothing(case: ObjectiveCase) -> None:
    batch = case.batch(12)
    with torch.no_grad():
        exact = terms_of(case.sharp, case.objective, replace(batch))
        with _as_on_a_gpu():
            fixed = terms_of(case.sharp, case.objective, replace(batch))
    for name, term in exact.items():
        here, there = ({"loss": one.loss, **one.metrics} for one in (term, fixed[name]))
        for what, value in here.items():
            if abs(value.item() - there[what].item()) > CLOSE * max(1.0, abs(value.item())):
                raise Violation(
                    f"the {what} of {name} is {value.item():.9g}, and as on a GPU, where a fixed "
                    f"number of rows is gathered, {there[what].item():.9g}"
                )


def _fixed_rows(view: View) -> Tensor:
    """The labelled positions, and then others, up to the view's bound: (M,)."""
    wanted = view.labels.flatten() != IGNORE_INDEX
    bound = len(wanted) if view.max_targets is None else view.max_targets * len(view.labels)
    return wanted.byte().argsort(descending=True, stable=True)[:bound]


@contextmanager
def _as_on_a_gpu() -> Iterator[None]:
    """Whoever imported ``labelled_rows`` gets a number of rows that does not hang on the data."""
    users = [
        module
        for module in list(sys.modules.values())
        if module is not sys.modules[__name__]
        and getattr(module, "__dict__", {}).get("labelled_rows") is labelled_rows
    ]
    for module in users:
        vars(module)["labelled_rows"] = _fixed_rows
    try:
        yield
    finally:
        for module in users:
            vars(module)["labelled_rows"] = labelled_rows
