"""From the same weights, in the same order, without dropout: the same logits as transformers."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clozebox.data import permutation
from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.encoding import Inputs
from clozebox.evaluation.finetuning.heads import FineTunedModel, build
from clozebox.evaluation.finetuning.loop import fine_tune, outputs
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.task import read_task
from clozebox.evaluation.finetuning.tasks import ready
from clozebox.model import initialise
from clozebox.model.hugging_face.names import to_bert_names
from clozebox.training.setup import Training

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing it warns of what it will do in its own future
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")

TOLERANCE = 1e-5
CPU = torch.device("cpu")
SETTINGS = """[finetuning]
lr = 1e-2
epochs = 3
batch_size = 6
patience = 3
warmup = 0.25
weight_decay = 0.3
"""


def conll(sentences: int) -> str:
    words = ["ash", "elm", "bay", "fir", "cob"]
    picks = [[words[(3 * n + k) % 5] for k in range(2 + n % 4)] for n in range(sentences)]
    return "\n".join("".join(f"{word} T{word[0]}\n" for word in one) for one in picks)


def squad(questions: int) -> str:
    """All of one length: theirs may answer with padding, ours never does."""
    paragraphs = []
    for n in range(questions):
        before = "bay " * (n % 5)
        answers = [{"text": "elm fir", "answer_start": len(before)}]
        qas = [{"id": str(n), "question": "ash", "answers": answers}]
        paragraphs.append({"context": before + "elm fir" + " cob" * (4 - n % 5), "qas": qas})
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


def table(rows: int) -> str:
    return "".join(f"{'ash ' * (1 + n % 5)}\t{'elm ' * (n % 4)}\t{n % 3}\n" for n in range(rows))


CASES = {
    "classification": (table(24), 'format = "tsv"\ntext = 0\ntext_pair = 1\nlabel = 2\n'),
    "regression": (table(24), 'format = "tsv"\ntext = 0\ntext_pair = 1\nlabel = 2\n'),
    "tagging": (conll(24), 'format = "conll"\ntext = 0\nlabel = 1\nmetric = "accuracy"\n'),
    "question_answering": (squad(24), 'format = "squad"\n'),
}
PEERS = {
    "classification": "BertForSequenceClassification",
    "regression": "BertForSequenceClassification",
    "tagging": "BertForTokenClassification",
    "question_answering": "BertForQuestionAnswering",
}
OUTPUT = {"question_answering": "qa_outputs"}


@pytest.mark.parametrize("kind", sorted(CASES))
def test_every_weight_and_logit_is_that_of_transformers_after_training(
    ready_run: Callable[..., Training],
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    training = ready_run()
    initialise(training.model, seed=3, std=0.2)  # attention that is not even
    content, lines = CASES[kind]
    write("d", content)
    common = f'kind = "{kind}"\ntrain = "d"\ndevelopment = "d"\n'
    task = read_task(write("task.toml", common + lines + SETTINGS))
    prepared = ready(task, load_dataset(task), training.model, training.held_out)
    head = prepared.kind.head(training.model.shape, prepared.kind.outputs, dropout=0.0)
    ours = build(training.model, head, 0, True, CPU)
    theirs = peer(ours, prepared, kind)
    fresh = {name: value.clone() for name, value in ours.state_dict().items()}
    rising = itertools.count()
    metric = prepared.task.metric
    # The last epoch's weights are kept when each is better than the one before.
    monkeypatch.setattr(Prepared, "scores", lambda *_: {metric: float(next(rising))})
    fine_tune(ours, prepared, 0, training.numerics)
    expected = train(theirs, prepared, kind)
    ours_now = outputs(ours, prepared, "development", training.numerics)
    moved = max((ours.state_dict()[name] - value).abs().max() for name, value in fresh.items())
    assert moved > 1000 * TOLERANCE
    for one, other in zip(ours_now, expected, strict=True):
        difference = one - other
        if kind == "question_answering":
            # The softmax runs along the tokens: what all of them share means nothing, and AdamW
            # walks at random along a gradient that is rounding alone.
            difference -= difference.mean(axis=1, keepdims=True)
        assert np.abs(difference).max() < TOLERANCE


def peer(ours: FineTunedModel, prepared: Prepared, kind: str) -> Any:
    """Their model with our weights."""
    shape = ours.encoder.shape
    config = transformers.BertConfig(
        **shape.model_dump(),
        num_labels=prepared.kind.outputs,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
        problem_type="regression" if kind == "regression" else None,
    )
    theirs = getattr(transformers, PEERS[kind])(config)
    named = {
        name.replace("head.pooler", "objectives.nsp.pooler"): value.clone()
        for name, value in ours.state_dict().items()
    }
    weights = to_bert_names(named, shape.num_hidden_layers)
    for leaf in ("weight", "bias"):
        weights[f"{OUTPUT.get(kind, 'classifier')}.{leaf}"] = named[f"head.output.{leaf}"]
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert not missing
    assert not unexpected
    return theirs


def train(theirs: Any, prepared: Prepared, kind: str) -> list[np.ndarray]:
    """The usual loop -> the logits of every example."""
    settings, features = prepared.task.settings.finetuning, prepared.features["train"]
    plain = ("bias", "LayerNorm.weight")
    named = list(theirs.named_parameters())
    decayed = [p for name, p in named if not name.endswith(plain)]
    others = [p for name, p in named if name.endswith(plain)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}]
    optimizer = torch.optim.AdamW(
        [*groups, {"params": others, "weight_decay": 0.0}], lr=settings.lr, eps=1e-6
    )
    steps = settings.epochs * -(-len(features) // settings.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(
        optimizer, round(settings.warmup * steps), steps
    )
    theirs.train()
    for epoch in range(1, settings.epochs + 1):
        order = permutation(0, "finetune/order", epoch, len(features))
        for first in range(0, len(order), settings.batch_size):
            batch = [features[place] for place in order[first : first + settings.batch_size]]
            inputs = prepared.tokens.collate(batch, CPU)
            theirs(**shown(inputs), **labels(inputs, kind)).loss.backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    theirs.eval()
    return [logits(theirs, prepared, feature) for feature in features]


def shown(inputs: Inputs) -> dict[str, torch.Tensor]:
    return {
        "input_ids": inputs.input_ids,
        "token_type_ids": inputs.token_type_ids,
        "attention_mask": inputs.attention_mask.long(),
    }


def labels(inputs: Inputs, kind: str) -> dict[str, torch.Tensor]:
    if kind == "question_answering":
        return {
            "start_positions": inputs.targets[:, 0].clone(),
            "end_positions": inputs.targets[:, 1].clone(),
        }
    return {"labels": inputs.targets}


@torch.no_grad()
def logits(theirs: Any, prepared: Prepared, feature: Any) -> np.ndarray:
    """Of one feature, alone and so without padding, in our layout."""
    given = theirs(**shown(prepared.tokens.collate([feature], CPU)))
    if hasattr(given, "start_logits"):
        both: np.ndarray = torch.stack([given.start_logits[0], given.end_logits[0]]).numpy()
        return both
    found: np.ndarray = given.logits[0].numpy()
    return found if found.ndim == 1 else found.T
