"""Probes are what scikit-learn fits; features are frozen, kept, and read in the model's own way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.errors import UserError
from clozebox.evaluation.finetuning import features as features_module
from clozebox.evaluation.finetuning.controls import PRETRAINED
from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.features import (
    Reader,
    architecture,
    own_reading,
    weights_fingerprint,
)
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.probe import LayerScore, Probes, probe, probe_layer
from clozebox.evaluation.finetuning.solver import Linear, logistic, ridge
from clozebox.evaluation.finetuning.task import read_task
from clozebox.evaluation.finetuning.tasks import Probing, ready
from clozebox.model import initialise
from clozebox.training.setup import Training


def drawn(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(120, 6, generator=generator, dtype=torch.float64) + 0.3
    noise = torch.randn(120, classes, generator=generator, dtype=torch.float64)
    return features, (features @ torch.ones(6, classes).double().tril() + 2 * noise).argmax(1)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("l2", [1.0, 1e-3])
def test_the_logistic_solver_finds_scikit_learns_optimum(classes: int, l2: float) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    features, labels = drawn(classes)
    ours = logistic(features, labels, classes, l2)
    # Theirs has one weight vector for two classes, where ours has two: the penalties differ.
    scale = 1 / (l2 * len(features)) * (2 if classes == 2 else 1)
    theirs = sklearn.LogisticRegression(C=scale, tol=1e-12, max_iter=10_000)
    theirs.fit(features.numpy(), labels.numpy())
    expected = theirs.predict_proba(features.numpy())
    assert np.abs(ours(features).softmax(1).numpy() - expected).max() < 1e-5


def test_where_the_solver_starts_does_not_matter() -> None:
    features, labels = drawn(3)
    cold = logistic(features, labels, 3, 0.01)
    warm = logistic(features, labels, 3, 0.01, start=logistic(features, labels, 3, 10.0))
    assert torch.allclose(cold(features), warm(features), atol=1e-5)


def test_the_ridge_solver_is_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    features, labels = drawn(4)
    values = labels.double() * 3 + 7
    ours = ridge(features, values, 1, 0.05)
    theirs = sklearn.Ridge(alpha=0.05 * len(features)).fit(features.numpy(), values.numpy())
    assert np.abs(ours(features)[:, 0].numpy() - theirs.predict(features.numpy())).max() < 1e-9


def prepared_of(training: Training, path: Path, *overrides: str) -> Prepared:
    task = read_task(path, overrides)
    return ready(task, load_dataset(task), training.model.eval(), training.held_out)


def reader_of(training: Training, **given: Any) -> Reader:
    parts = {"embedding": training.model.embedding, "encoder": training.model.encoder}
    whole = torch.nn.ModuleDict(parts)
    built = architecture(training.model)
    reader = Reader(whole, built, "bidirectional", "mean", training.numerics)
    return replace(reader, **given)


def test_features_are_each_layers_mean_or_its_first_token(
    ready_run: Callable[..., Training], party: Path
) -> None:
    training = ready_run(
        embedding={"name": "toy", "dropout": 0.3}, encoder={"name": "toy", "dropout": 0.3}
    )
    prepared = prepared_of(training, party)
    training.model.train()
    mean = reader_of(training).features(prepared, None)
    first = reader_of(training, pooling="cls").features(prepared, None)
    assert {name: tuple(one.shape) for name, one in mean.items()} == {
        "train": (3, 48, 24),
        "development": (3, 16, 24),
        "test": (3, 20, 24),
    }
    feature = prepared.features["test"][7]
    inputs = prepared.tokens.collate([feature], torch.device("cpu"))
    training.model.eval()
    with torch.no_grad():
        embedded = training.model.embedding(inputs.input_ids, inputs.token_type_ids)
        from clozebox.model import Attention

        states = training.model.encoder.hidden_states(embedded, Attention(None))
    for layer, state in enumerate(states):
        assert torch.allclose(mean["test"][layer, 7], state[0].mean(0), atol=1e-5)
        assert torch.allclose(first["test"][layer, 7], state[0, 0], atol=1e-5)


def test_a_first_token_that_is_read_from_the_left_knows_nothing_of_the_text(
    ready_run: Callable[..., Training], party: Path
) -> None:
    training = ready_run()
    prepared = prepared_of(training, party)
    for reading, alike in (("causal", True), ("anticausal", False), ("bidirectional", False)):
        reader = reader_of(training, reading=reading, pooling="cls")
        states = reader.features(prepared, None)["test"][2]  # (n, D)
        assert torch.allclose(states, states[:1].expand_as(states), atol=1e-6) == alike


def test_words_are_probed_one_by_one(ready_run: Callable[..., Training], write: Any) -> None:
    lines = [f"{word} {'AB'[n % 2]}" for n, word in enumerate(["ash", "elm", "bay", "fir"] * 9)]
    text = "\n".join(line + "\n" * (n % 4 == 3) for n, line in enumerate(lines))
    write("d", text)
    given = 'kind = "tagging"\nformat = "conll"\ntrain = "d"\ndevelopment = "d"\nmetric="accuracy"'
    path = write("tags.toml", f"{given}\ntext = 0\nlabel = 1\n")
    training = ready_run()
    prepared = prepared_of(training, path)
    assert reader_of(training).features(prepared, None)["train"].shape == (3, 36, 24)
    probes = probe(prepared, training.model, training.held_out)
    assert probes.majority["accuracy"] == 0.5
    assert probes.best(PRETRAINED).scores["accuracy"] == 1.0  # each word has one tag


def test_values_are_probed_too(ready_run: Callable[..., Training], write: Any) -> None:
    write("d", "".join(f"{'ash ' * n}{'elm ' * (6 - n)}\t{10 * n}\n" for n in range(7)) * 3)
    given = 'kind = "regression"\nformat = "tsv"\ntrain = "d"\ndevelopment = "d"\n'
    training = ready_run()
    prepared = prepared_of(training, write("v.toml", f"{given}text = 0\nlabel = 1\n"))
    probes = probe(prepared, training.model, training.held_out, layer=1)
    [one] = probes.layers[PRETRAINED]
    assert one.layer == 1
    assert one.scores["pearson_correlation"] > 0.99


def test_features_are_computed_once_for_the_same_weights_and_data(
    ready_run: Callable[..., Training],
    party: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = ready_run()
    computed: list[str] = []
    plain = Reader._of_split

    def counting(self: Reader, prepared: Prepared, split: str) -> torch.Tensor:
        computed.append(split)
        return plain(self, prepared, split)

    monkeypatch.setattr(Reader, "_of_split", counting)

    def ask(*overrides: str, **given: Any) -> int:
        computed.clear()
        prepared = prepared_of(training, party, *overrides)
        found = reader_of(training, **given).features(prepared, tmp_path)
        fresh = reader_of(training, **given)._computed(prepared)
        assert all(torch.allclose(one, fresh[name], atol=1e-6) for name, one in found.items())
        return len(computed) - 3

    assert [ask(), ask(), ask("finetuning.lr=1.0")] == [3, 0, 0]
    assert [ask(pooling="cls"), ask(reading="causal"), ask("finetuning.seq_length=9")] == [3, 3, 3]
    with torch.no_grad():
        training.model.encoder.layers[0].output.bias[0] += 0.1
    assert ask() == 3
    monkeypatch.setattr(features_module, "FORMAT", 99)
    assert ask() == 3
    assert [ask(numerics=replace(training.numerics, precision="bf16")), ask()] == [3, 0]


def test_the_same_weights_under_other_heads_have_features_of_their_own(
    ready_run: Callable[..., Training], party: Path, tmp_path: Path
) -> None:
    """The controls of two arms may have the same fresh weights, and not the same attention."""
    found, weights = [], []
    for heads in (2, 3):
        training = ready_run(f"heads-{heads}", size={"name": "toy", "num_attention_heads": heads})
        initialise(training.model, seed=3, std=0.5)  # attention that is not even
        weights.append(weights_fingerprint(training.model.encoder))
        features = reader_of(training).features(prepared_of(training, party), tmp_path)
        found.append(features["test"])
    assert weights[0] == weights[1]
    assert not torch.allclose(*found, atol=0.01)


@pytest.mark.parametrize(
    ("objectives", "reading"),
    [
        (["hidden"], "bidirectional"),
        (["ahead"], "causal"),
        (["behind"], "anticausal"),
        (["hidden", "ahead"], "bidirectional"),
        (["ahead", "behind"], "bidirectional"),
    ],
)
def test_features_are_read_from_the_side_that_the_model_has_learned(
    ready_run: Callable[..., Training], objectives: list[str], reading: str
) -> None:
    masking = {"masking": "none"} if "hidden" not in objectives else {}
    training = ready_run(objectives=objectives, **masking)
    assert own_reading(training.model, training.held_out) == reading


def test_the_penalty_is_chosen_on_the_development_split(
    ready_run: Callable[..., Training], party: Path
) -> None:
    prepared = prepared_of(ready_run(), party)
    signs = {"train": 1.0, "development": -1.0, "test": -1.0}
    features = {
        split: torch.tensor([[[sign * (2 * one.label - 1)] for one in prepared.examples(split)]])
        for split, sign in signs.items()
    }  # (1, n, 1): the label in training, its opposite elsewhere

    def solve(x: Any, y: Any, outputs: int, l2: float, start: Any) -> Linear:
        sign = -1.0 if l2 == 0.1 else 1.0
        return Linear(torch.tensor([[-sign, sign]]).double(), torch.zeros(2).double())

    found = probe_layer(prepared, features, 0, solve)
    assert (found.l2, found.development, found.scores["accuracy"]) == (0.1, 1.0, 1.0)


def test_the_best_layer_is_the_lowest_of_the_best_on_the_development_split() -> None:
    layers = [LayerScore(n, 1.0, score, {}) for n, score in enumerate((0.3, 0.7, 0.7))]
    assert Probes({}, {PRETRAINED: layers}).best(PRETRAINED).layer == 1


def test_a_probe_says_metrics_of_the_model_and_of_the_controls(
    ready_run: Callable[..., Training], party: Path
) -> None:
    training = ready_run()
    model = training.model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = Probing([str(party)], None, "mean").evaluate(model, training.held_out)
    assert list(found) == [
        "party_probe_accuracy",
        "party_probe_accuracy_random",
        "party_probe_accuracy_majority",
    ]
    assert found["party_probe_accuracy"] > 0.8  # which words there are, a mean tells
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.embedding.parameters():
            parameter.zero_()
    blind = Probing([str(party)], 0, "mean").evaluate(model, training.held_out)
    assert blind["party_probe_layer0_accuracy"] == 0.5
    assert blind["party_probe_layer0_accuracy_random"] > 0.8


def test_a_layer_that_is_not_there_and_a_kind_that_has_no_probe_are_refused(
    ready_run: Callable[..., Training], party: Path, write: Any
) -> None:
    training = ready_run()
    with pytest.raises(UserError, match=r"layer 3: there are 0 \(the embedding\) to 2"):
        probe(prepared_of(training, party), training.model, training.held_out, layer=3)
    write(
        "d",
        '{"data": [{"paragraphs": [{"context": "ash", "qas": [{"question": "elm", "answers": '
        '[{"text": "ash", "answer_start": 0}]}]}]}]}',
    )
    given = 'kind = "question_answering"\nformat = "squad"\ntrain = "d"\ndevelopment = "d"\n'
    prepared = prepared_of(training, write("q.toml", given))
    with pytest.raises(UserError, match="a probe is for classification, tagging, regression"):
        probe(prepared, training.model, training.held_out)
