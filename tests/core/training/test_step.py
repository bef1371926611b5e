"""Every target counts the same, however the batch is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from clozebox.model import MultiHeadSelfAttention
from clozebox.model.varlen import VariableLength
from clozebox.pretraining.mixture import share_out
from clozebox.training.batches import Batches
from clozebox.training.console import Console
from clozebox.training.device import Numerics
from clozebox.training.setup import Training, set_up
from clozebox.training.step import StepSums, train_step
from clozebox.training.switches import use_kernel


@pytest.fixture
def ready(make_run: Callable[..., Any], registry: Any) -> Callable[..., Training]:
    def make(name: str = "run", **changes: Any) -> Training:
        return set_up(make_run(name, **changes), registry, Console().say)

    return make


def step(training: Training, number: int = 0, progress: float = 0.0) -> StepSums:
    objectives = training.model.each_objective()
    return train_step(training, objectives, training.batches(number, progress))


def weights_after_one_step(training: Training) -> dict[str, torch.Tensor]:
    step(training)
    return weights(training)


def weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in training.model.named_parameters()}


OBJECTIVES: dict[str, dict[str, Any]] = {
    "hidden": {"objectives": ["hidden"]},
    "hidden+pair": {"objectives": ["hidden", "pair"]},
    "both sides": {"objectives": ["ahead", "behind"], "masking": "none"},
    "mixture": {
        "objectives": ["hidden", "ahead", "behind"],
        "objective": {"hidden": {"share": 0.5}, "ahead": {"share": 0.3}, "behind": {"share": 0.2}},
    },
    "part of a mixture": {
        "objectives": ["hidden", "ahead", "pair"],
        "objective": {"ahead": {"share": 0.4, "head": "hidden"}},
    },
    "another rate": {"masking": {"name": "toy", "rate": 0.2, "final_rate": 0.6}},
}


@pytest.mark.parametrize("choice", OBJECTIVES.values(), ids=OBJECTIVES.keys())
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_cutting_a_batch_gives_the_same_update(
    ready: Callable[..., Training], choice: dict[str, Any], cut: int
) -> None:
    whole = weights_after_one_step(ready("whole", **choice))
    parts = weights_after_one_step(ready("parts", speed={"micro_batch_size": cut}, **choice))
    assert max((whole[name] - parts[name]).abs().max().item() for name in whole) < 2e-6


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_mixed_step_sums_the_same_however_it_is_cut(
    ready: Callable[..., Training], cut: int
) -> None:
    whole = step(ready("whole", **OBJECTIVES["mixture"]), number=3)
    parts = step(ready("parts", speed={"micro_batch_size": cut}, **OBJECTIVES["mixture"]), number=3)
    assert whole.counts == parts.counts
    assert (whole.tokens, whole.flops) == (parts.tokens, parts.flops)
    assert whole.sums.keys() == parts.sums.keys()
    for name, value in whole.sums.items():
        torch.testing.assert_close(value, parts.sums[name], rtol=1e-6, atol=0)


def test_a_mixed_step_is_the_sum_of_each_objective_on_its_own_rows(
    ready: Callable[..., Training],
) -> None:
    """The rule, written naively: share * mean over the targets of the rows that it reads."""
    training = ready(**OBJECTIVES["mixture"])
    model = training.model
    [batch] = training.batches(0)
    total = torch.zeros(())
    for reader in share_out(model.each_objective(), batch):
        view = reader.objective.view(reader.batch)
        logits = reader.objective.head(model.encode(view))[view.labels >= 0]
        labels = view.labels[view.labels >= 0]
        total = total + reader.objective.share * torch.nn.functional.cross_entropy(logits, labels)
    total.backward()
    expected = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    model.zero_grad()
    torch.testing.assert_close(step(training).grad_norm, expected)


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
        from clozebox.pretraining.passes import count_targets, everyone, forward, passes_of
        from clozebox.training.step import weighted_loss

        training = ready(f"weight-{weight}", objective={"hidden": {"weight": weight}})
        [batch] = training.batches(0)
        [one] = passes_of(training.model, batch)
        counts = count_targets(everyone(training.model, batch))
        weighted_loss(forward(training.model, one), counts).backward()
        return training.model.embedding.token_table.grad

    torch.testing.assert_close(gradient(3.0), 3 * gradient(1.0))


@pytest.mark.parametrize("choice", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_every_parameter_that_should_learn_gets_a_gradient(
    ready: Callable[..., Training], choice: dict[str, Any]
) -> None:
    training = ready(**choice)
    before = weights(training)
    training.optimizer.set_lr(0.1)
    step(training)
    after = weights(training)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_one_that_is_not_learned_from_is_left_as_it_is(ready: Callable[..., Training]) -> None:
    training = ready(objectives=["hidden", "ahead"])
    before = weights(training)
    training.optimizer.set_lr(0.1)
    sums = train_step(training, training.model.named(["ahead"]), training.batches(0))
    after = weights(training)
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [name for name in before if name.startswith("objectives.hidden.")]
    assert sums.counts.keys() == {"ahead"}
    stepped = {id(parameter) for parameter in training.optimizer.state}
    others = [p for n, p in training.model.named_parameters() if n not in still]
    assert stepped == {id(parameter) for parameter in others}


def test_a_rate_that_moves_moves_the_targets_of_a_step(ready: Callable[..., Training]) -> None:
    training = ready(masking={"name": "toy", "rate": 0.2, "final_rate": 0.6})
    counts = [int(step(training, 0, progress).counts["hidden"]) for progress in (0.0, 0.5, 1.0)]
    assert counts == sorted(set(counts))
    assert counts[2] == pytest.approx(3 * counts[0], abs=4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_gradient_stops_this_and_every_later_update(
    ready: Callable[..., Training], bad: float
) -> None:
    training = ready()
    step(training, 0)
    before = weights(training)
    handle = training.model.embedding.token_table.register_hook(lambda grad: grad * bad)
    step(training, 1)
    handle.remove()
    step(training, 2)  # finite again, and still refused
    assert training.optimizer.refused
    assert all(torch.equal(p, before[name]) for name, p in training.model.named_parameters())


@pytest.mark.parametrize("choice", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_a_step_asks_nothing_of_the_device(
    ready: Callable[..., Training], choice: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ready(speed={"micro_batch_size": 4}, **choice)
    asked: list[str] = []
    # Not "numpy": what is on the host already may be computed there, and the test below, which has
    # no numbers to give, tells whether it is asked for elsewhere.
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__index__"):
        original = getattr(torch.Tensor, name)

        def told(
            tensor: torch.Tensor, *rest: Any, name: str = name, original: Any = original
        ) -> Any:
            asked.append(name)
            return original(tensor, *rest)

        monkeypatch.setattr(torch.Tensor, name, told)
    step(training)
    assert asked == []


@pytest.mark.parametrize("choice", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_a_step_has_the_same_shapes_whatever_the_numbers_are(
    ready: Callable[..., Training], choice: dict[str, Any]
) -> None:
    """On tensors without numbers, where a shape that depends on them cannot be computed at all."""
    training = without_numbers(ready(speed={"micro_batch_size": 4}, **choice))
    sums = step(training)
    assert sums.flops.device.type == "meta"
    assert all(parameter.grad is not None for parameter in training.model.parameters())


@pytest.mark.parametrize("choice", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_real_tokens_laid_end_to_end_have_shapes_that_the_host_knows(
    ready: Callable[..., Training], choice: dict[str, Any]
) -> None:
    """The path that a GPU takes without padding, but for its kernel."""
    training = without_numbers(ready(speed={"micro_batch_size": 4}, **choice))
    packed: list[int] = []

    def kernel(query: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        packed.append(len(query))
        return query.clone()

    use_kernel(training.model, "varlen")
    for module in training.model.encoder.modules():
        if isinstance(module, MultiHeadSelfAttention):
            module.variable_length = VariableLength(kernel, (torch.float32,))
    sums = step(training)
    assert sums.flops.device.type == "meta"
    assert packed


class Waits:
    """In the optimizer's place: its fused kernel needs numbers."""

    def guard(self, norm: torch.Tensor) -> None: ...
    def step(self) -> None: ...
    def zero_grad(self, set_to_none: bool) -> None: ...


def without_numbers(training: Training) -> Training:
    return replace(
        training,
        model=training.model.to("meta"),
        stream=Batches(
            training.stream.examples,
            training.store.vocabulary,
            training.masking,
            training.seed,
            torch.device("meta"),
        ),
        optimizer=Waits(),  # type: ignore[arg-type]
        numerics=Numerics(torch.device("meta"), "fp32"),
    )


def test_the_same_test_catches_a_shape_that_depends_on_the_numbers(
    ready: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = without_numbers(ready())
    [objective] = training.model.each_objective()
    plain = objective.forward

    def by_what_is_there(hidden: Any, view: Any) -> Any:
        return plain(hidden, replace(view, labels=view.labels[view.labels.any(1)]))

    monkeypatch.setattr(objective, "forward", by_what_is_there)
    with pytest.raises(Exception, match="nonzero|meta"):
        step(training)
