"""Everything that should learn gets a gradient, and nothing else does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clozebox.pretraining import Objective, PretrainingModel
from clozebox.testing.objective.case import Bystander, ObjectiveCase, terms_of, total
from clozebox.testing.verdict import Violation

ROWS = 32


def everything_of_it_learns(case: ObjectiveCase) -> None:
    model, objective = _with_gradients(case)
    for name, parameter in objective.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            raise Violation(f"{name} {tuple(parameter.shape)} gets no gradient")
        if not parameter.grad.isfinite().all():
            raise Violation(f"the gradient of {name} is not finite")
        dead = _rows_without(parameter.grad)
        if dead and len(parameter) == case.bench.vocabulary.size:
            tokens = f"{case.tokens(torch.tensor(dead[:8]))} ({len(dead)} in all)"
            raise Violation(f"{name} gets no gradient as the answers {tokens}")
    for name, module in objective.named_modules():
        if isinstance(module, nn.Linear):
            dead = _rows_without(module.weight.grad)
            if dead:
                raise Violation(
                    f"outputs {dead[:8]} of {name} ({module.out_features} in all) get no gradient"
                )
    for part in ("embedding", "encoder"):
        silent = [
            name
            for name, parameter in getattr(model, part).named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        ]
        if silent:
            raise Violation(f"no gradient reaches {part}: {', '.join(silent[:4])}")


def nothing_else_learns(case: ObjectiveCase) -> None:
    model, _ = _with_gradients(case)
    for name, parameter in model.objectives["bystander"].named_parameters():
        if name != "head.token_table" and parameter.grad is not None and parameter.grad.any():
            raise Violation(f"another objective's {name} gets a gradient")


def _with_gradients(case: ObjectiveCase) -> tuple[PretrainingModel, Objective]:
    # The bystander comes first: what is built later could lay hands on it.
    model = case.bench.model([Bystander(), case.config]).eval()
    [objective] = model.named([case.config.name])
    loss: Tensor = total(terms_of(model, objective, case.batch(ROWS)))
    if not loss.requires_grad:
        raise Violation("the loss hangs on no parameter: it was detached somewhere")
    loss.backward()  # type: ignore[no-untyped-call]
    return model, objective


def _rows_without(gradient: Tensor | None) -> list[int]:
    if gradient is None:
        return [0]
    reached = gradient.reshape(len(gradient), -1).any(1)
    found: list[int] = (~reached).nonzero().squeeze(1).tolist()
    return found
