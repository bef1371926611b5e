"""Fine-tuning depends on weights, task and seed; it learns, stops in time, and touches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.evaluation.finetuning import loop
from clozebox.evaluation.finetuning.controls import (
    PRETRAINED,
    RANDOM,
    Scores,
    constant_scores,
    measure,
)
from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.heads import FineTunedModel, SequenceHead, build
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.results import as_table, fingerprint, from_table
from clozebox.evaluation.finetuning.task import read_task
from clozebox.evaluation.finetuning.tasks import FineTuning, ready
from clozebox.training.setup import Training

DROPOUT = {"embedding": {"name": "toy", "dropout": 0.2}, "encoder": {"name": "toy", "dropout": 0.2}}


@pytest.fixture
def training(ready_run: Callable[..., Training]) -> Training:
    return ready_run(**DROPOUT)


def prepared_of(training: Training, path: Path, *overrides: str) -> Prepared:
    task = read_task(path, overrides)
    return ready(task, load_dataset(task), training.model, training.held_out)


def tuned_of(training: Training, prepared: Prepared, seed: int = 0, **given: Any) -> FineTunedModel:
    head = prepared.kind.head(training.model.shape, prepared.kind.outputs, dropout=0.1)
    return build(training.model, head, seed, given.get("pretrained", True), torch.device("cpu"))


def run(training: Training, prepared: Prepared, seed: int = 0, **given: Any) -> loop.Outcome:
    model = tuned_of(training, prepared, seed, **given)
    return loop.fine_tune(model, prepared, seed, training.numerics)


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


def test_it_learns_what_can_be_learned(training: Training, party: Path) -> None:
    sets = ("lr=2e-2", "epochs=12", "patience=12")
    prepared = prepared_of(training, party, *(f"finetuning.{one}" for one in sets))
    assert run(training, prepared).scores["accuracy"] >= 0.9
    assert constant_scores(prepared)["accuracy"] == 0.5


def test_the_same_seed_gives_the_same_whatever_ran_before(training: Training, party: Path) -> None:
    prepared = prepared_of(training, party, "finetuning.epochs=2")
    found = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        model = tuned_of(training, prepared)
        loop.fine_tune(model, prepared, 0, training.numerics)
        found.append(weights_of(model))
    assert same(*found)
    other = tuned_of(training, prepared, seed=1)
    loop.fine_tune(other, prepared, 1, training.numerics)
    assert not same(found[0], weights_of(other))


def test_the_model_that_is_measured_is_left_as_it_was(training: Training, party: Path) -> None:
    model = training.model.eval()
    before = weights_of(model)
    found = FineTuning([str(party)]).evaluate(model, training.held_out)
    assert same(before, weights_of(model))
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert list(found) == [
        "party_accuracy",
        "party_accuracy_random",
        "party_accuracy_majority",
    ]
    assert FineTuning([str(party)]).evaluate(model, training.held_out) == found


def test_pretrained_weights_differ_from_fresh_ones_in_nothing_but_the_pretraining(
    ready_run: Callable[..., Training], party: Path
) -> None:
    training = ready_run(objectives=["hidden", "pair"])
    with torch.no_grad():
        for parameter in training.model.parameters():
            parameter.add_(1.0)
    prepared = prepared_of(training, party)
    learned, fresh = (
        weights_of(tuned_of(training, prepared, pretrained=one)) for one in (True, False)
    )
    for name, value in learned.items():
        if name.startswith("head."):
            assert torch.equal(value, fresh[name]), name
        else:
            assert torch.equal(value, training.model.state_dict()[name]), name
            assert not torch.equal(value, fresh[name]), name
    # Fresh weights are those that a run of this seed begins with.
    begun = ready_run("other", objectives=["hidden", "pair"]).model.state_dict()
    assert all(
        torch.equal(value, begun[name])
        for name, value in fresh.items()
        if not name.startswith("head.")
    )


def test_a_pooler_that_was_pretrained_is_used(
    ready_run: Callable[..., Training], party: Path
) -> None:
    from clozebox.model import Pooler

    training = ready_run()
    training.model.objectives["hidden"].pooler = Pooler(training.model.shape)
    head = tuned_of(training, prepared_of(training, party)).head
    assert isinstance(head, SequenceHead)
    learned = training.model.objectives["hidden"].pooler.dense.weight
    assert torch.equal(head.pooler.dense.weight, learned)
    assert head.pooler.dense.weight is not learned


def test_every_example_is_seen_once_an_epoch_in_another_order(
    training: Training, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_of(training, party, "finetuning.epochs=2")
    seen: list[int] = []
    step = loop._step

    def noting(model: Any, optimizer: Any, prepared: Any, batch: Any, numerics: Any) -> None:
        seen.extend(feature.example for feature in batch)
        step(model, optimizer, prepared, batch, numerics)

    monkeypatch.setattr(loop, "_step", noting)
    run(training, prepared)
    epochs = seen[:48], seen[48:]
    assert [sorted(one) for one in epochs] == [list(range(48))] * 2
    assert epochs[0] != epochs[1] != list(range(48))


def test_the_learning_rate_rises_and_falls_to_zero(
    training: Training, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_of(training, party, "finetuning.warmup=0.25")  # 4 epochs of 6 steps
    rates: list[float] = []
    step = loop._step

    def noting(model: Any, optimizer: Any, *rest: Any) -> None:
        rates.extend({group["lr"] for group in optimizer.param_groups})
        step(model, optimizer, *rest)

    monkeypatch.setattr(loop, "_step", noting)
    run(training, prepared)
    up = [5e-3 * n / 6 for n in range(6)]
    down = [5e-3 * (24 - n) / 18 for n in range(6, 24)]
    assert rates == pytest.approx((up + down)[: len(rates)])
    assert len(rates) >= 12


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "best"),
    [
        ([0.5, 0.7, 0.6, 0.65, 0.9], 2, 4, 2),
        ([0.5, 0.7, 0.6, 0.65, 0.9], 3, 5, 5),
        ([0.5, 0.5, 0.5], 1, 2, 1),
        ([-0.5, -0.4, -0.6], 9, 3, 2),
    ],
)
def test_it_stops_on_the_development_split_and_keeps_the_best_epoch(
    training: Training,
    party: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float],
    patience: int,
    epochs: int,
    best: int,
) -> None:
    sets = (f"finetuning.epochs={len(scores)}", f"finetuning.patience={patience}")
    prepared = prepared_of(training, party, *sets)
    model, kept, asked = tuned_of(training, prepared), [], iter(scores)

    def scored(self: Prepared, split: str, logits: Any) -> dict[str, float]:
        if split == "test":
            return {"accuracy": 0.25}
        kept.append(weights_of(model))
        return {"accuracy": next(asked)}

    monkeypatch.setattr(Prepared, "scores", scored)
    outcome = loop.fine_tune(model, prepared, 0, training.numerics)
    assert outcome == loop.Outcome({"accuracy": 0.25}, max(scores[:epochs]), best, epochs)
    assert same(weights_of(model), kept[best - 1])
    assert not same(weights_of(model), kept[best - 2])


def test_a_loss_that_diverges_is_told_and_leaves_finite_weights(
    training: Training, party: Path
) -> None:
    prepared = prepared_of(training, party, "finetuning.lr=1e30", "finetuning.warmup=0.0")
    model = tuned_of(training, prepared)
    before = weights_of(model)
    outcome = loop.fine_tune(model, prepared, 0, training.numerics)
    assert (outcome.best_epoch, outcome.epochs) == (0, 1)
    assert same(before, weights_of(model))


def test_padding_changes_nothing_of_what_is_read(training: Training, party: Path) -> None:
    prepared = prepared_of(training, party)
    model = tuned_of(training, prepared)
    together = loop.outputs(model, prepared, "test", training.numerics)
    alone = loop.outputs(
        model, prepared_of(training, party, "finetuning.batch_size=1"), "test", training.numerics
    )
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(one, other, atol=1e-5)


TAGS = "".join(
    f"{word} {'AB'[n % 2]}-X\n" + "\n" * (n % 3 == 2)
    for n, word in enumerate(["ash", "elm", "bay", "fir", "cob", "gum"] * 12)
)
VALUES = "".join(f"{'ash ' * n}{'elm ' * (6 - n)}\t{n}\n" for n in range(7)) * 6


def squad() -> str:
    """One of two answers, in one of three places."""
    paragraphs = []
    for number in range(24):
        answer, before = ("elm fir", "gum hay")[number % 2], "bay " * (number % 3)
        answers = [{"text": answer, "answer_start": len(before)}]
        qas = [{"id": str(number), "question": "ash", "answers": answers}]
        context = before + answer + " cob" * (3 - number % 3)
        paragraphs.append({"context": context, "qas": qas})
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


@pytest.mark.parametrize(
    ("kind", "content", "lines", "constant"),
    [
        ("tagging", TAGS, 'format = "conll"\ntext = 0\nlabel = 1\nmetric = "accuracy"\n', 0.5),
        ("regression", VALUES, 'format = "tsv"\ntext = 0\nlabel = 1\n', 0.0),
        ("question_answering", squad(), 'format = "squad"\n', 0.5),
    ],
)
def test_every_kind_learns_its_toy_task(
    training: Training, write: Any, kind: str, content: str, lines: str, constant: float
) -> None:
    write("d", content)
    common = f'kind = "{kind}"\ntrain = "d"\ndevelopment = "d"\n'
    settings = "[finetuning]\nlr = 1e-2\nepochs = 8\nbatch_size = 8\npatience = 8\n"
    prepared = prepared_of(training, write(f"{kind}.toml", common + lines + settings))
    metric = prepared.task.metric
    assert run(training, prepared).scores[metric] > 0.9
    assert constant_scores(prepared)[metric] == constant


def test_finished_seeds_are_kept_and_not_run_again(
    training: Training, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_of(training, party, "finetuning.epochs=1")
    kept: list[dict[str, Any]] = []

    def keep(scores: Scores) -> None:
        kept.append(as_table(prepared, scores))
        if len(kept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(prepared, training.model, training.numerics, keep=keep)
    ran: list[int] = []
    fine_tune = loop.fine_tune

    def counting(model: Any, prepared: Any, seed: int, *rest: Any) -> loop.Outcome:
        ran.append(seed)
        return fine_tune(model, prepared, seed, *rest)

    monkeypatch.setattr("clozebox.evaluation.finetuning.controls.fine_tune", counting)
    rest = measure(prepared, training.model, training.numerics, from_table(kept[-1]))
    assert ran == [1]
    assert rest == measure(prepared, training.model, training.numerics)
    assert {origin: sorted(held) for origin, held in rest.outcomes.items()} == {
        PRETRAINED: [0, 1],
        RANDOM: [0, 1],
    }


def test_what_changes_a_score_changes_the_fingerprint(training: Training, party: Path) -> None:
    def of(*overrides: str, precision: str = "fp32") -> str:
        return fingerprint(prepared_of(training, party, *overrides), training.model, precision)

    first = of()
    assert first == of("finetuning.seeds=[7]")
    assert len({first, of("finetuning.lr=1e-4"), of("metric=f1"), of(precision="bf16")}) == 4
    data = party.with_name("train.tsv")
    data.write_text(data.read_text().replace("ash", "elm", 1))
    second = of()
    assert second != first
    with torch.no_grad():
        training.model.encoder.layers[0].output.bias[0] += 1e-6
    assert of() != second
