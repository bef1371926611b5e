"""Every target counts the same, however the batch is cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from clozebox.training.console import Console
from clozebox.training.setup import Training, set_up
from clozebox.training.step import train_step


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(name: str = "run", **changes: Any) -> Training:
        return set_up(make_run(name, **changes), registry, Console().say)

    return make


def weights_after_one_step(training: Training) -> dict[str, torch.Tensor]:
    train_step(training, training.batches(0))
    return {name: p.detach().clone() for name, p in training.model.named_parameters()}


OBJECTIVES: list[dict[str, Any]] = [
    {"objectives": ["hidden"]},
    {"objectives": ["hidden", "pair"]},
    {"objectives": ["ahead", "behind"], "masking": "none"},
]


@pytest.mark.parametrize("choice", OBJECTIVES, ids=["hidden", "hidden+pair", "both sides"])
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_cutting_a_batch_gives_the_same_update(
    ready: Callable[..., Training], choice: dict[str, Any], cut: int
) -> None:
    whole = weights_after_one_step(ready("whole", **choice))
    parts = weights_after_one_step(ready("parts", speed={"micro_batch_size": cut}, **choice))
    assert max((whole[name] - parts[name]).abs().max().item() for name in whole) < 2e-6


def test_the_same_test_catches_a_mean_of_means(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    import clozebox.training.step as step

    def mean_of_means(terms: Any, counts: Any) -> torch.Tensor:
        own = {"hidden": (views.pop(0).labels >= 0).sum()}
        return terms["hidden"].loss / own["hidden"] / 6

    whole = weights_after_one_step(ready("whole"))
    parts = ready("parts", speed={"micro_batch_size": 1})
    views = [batch.masked for batch in parts.batches(0)]
    assert len({int((view.labels >= 0).sum()) for view in views}) > 1, "rows must differ to tell"
    monkeypatch.setattr(step, "weighted_loss", mean_of_means)
    cut = weights_after_one_step(parts)
    assert max((whole[name] - cut[name]).abs().max().item() for name in whole) > 1e-5


def test_the_weight_of_an_objective_scales_its_gradient(ready: Callable[..., Training]) -> None:
    def gradient(weight: float) -> torch.Tensor:
        from clozebox.pretraining.passes import count_targets, forward, passes_of
        from clozebox.training.step import weighted_loss

        training = ready(f"weight-{weight}", objective={"hidden": {"weight": weight}})
        [one] = passes_of(training.model, training.batches(0)[0])
        terms = forward(training.model, one)
        weighted_loss(terms, count_targets([one])).backward()
        return training.model.embedding.token_table.grad

    torch.testing.assert_close(gradient(3.0), 3 * gradient(1.0))


def test_every_parameter_that_should_learn_gets_a_gradient(ready: Callable[..., Training]) -> None:
    training = ready(objectives=["hidden", "pair"])
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    training.optimizer.set_lr(0.1)
    train_step(training, training.batches(0))
    still = [n for n, p in training.model.named_parameters() if torch.equal(p, before[n])]
    assert still == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_gradient_stops_this_and_every_later_update(
    ready: Callable[..., Training], bad: float
) -> None:
    training = ready()
    train_step(training, training.batches(0))
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    handle = training.model.embedding.token_table.register_hook(lambda grad: grad * bad)
    train_step(training, training.batches(1))
    handle.remove()
    train_step(training, training.batches(2))  # finite again, and still refused
    assert training.optimizer.refused
    assert all(torch.equal(p, before[name]) for name, p in training.model.named_parameters())


def test_a_step_asks_nothing_of_the_device(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready(objectives=["hidden", "pair"])
    asked: list[str] = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "numpy"):
        original = getattr(torch.Tensor, name)

        def told(
            tensor: torch.Tensor, *rest: Any, name: str = name, original: Any = original
        ) -> Any:
            asked.append(name)
            return original(tensor, *rest)

        monkeypatch.setattr(torch.Tensor, name, told)
    train_step(training, training.batches(0))
    assert asked == []
