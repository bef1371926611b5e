"""A run becomes a folder that holds its newest weights and its tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from clozebox.errors import UserError
from clozebox.model.hugging_face import read_folder
from clozebox.training import RunDirectory
from clozebox.training.checkpoint import newest_checkpoint
from clozebox.training.console import Console
from clozebox.training.export import export_run
from clozebox.training.run import run_training

MakeRun = Callable[..., RunDirectory]
BERT = {"embedding": {"name": "bert", "max_position_embeddings": 32}, "encoder": {"name": "bert"}}
SHORT = {"budget": {"steps": 2}}


def silent(_: str) -> None: ...


def test_the_newest_weights_and_the_tokenizer_are_written(
    make_run: MakeRun, registry: Any, tmp_path: Path
) -> None:
    run = make_run(**BERT, **SHORT)
    assert run_training(run, registry, Console()) == 0
    exported = export_run(run, tmp_path / "folder", registry, silent)
    newest = newest_checkpoint(run.checkpoints)
    assert newest is not None
    trained, there = load_file(newest / "model.safetensors"), read_folder(tmp_path / "folder")
    body = {name for name in trained if not name.startswith("objectives.")}
    assert body <= there.weights.keys()
    assert all(torch.equal(there.weights[name], trained[name]) for name in body)
    assert set(exported.left_out) == trained.keys() - there.weights.keys()
    tokenizer = Tokenizer.from_file(str(tmp_path / "folder" / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == there.shape.vocab_size


def test_a_run_without_a_checkpoint_is_refused(
    make_run: MakeRun, registry: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no checkpoint yet"):
        export_run(make_run(**BERT, **SHORT), tmp_path / "folder", registry, silent)


def test_a_model_that_is_not_bert_is_refused(
    make_run: MakeRun, registry: Any, tmp_path: Path
) -> None:
    run = make_run(**BERT | {"encoder": {"name": "bert", "layer_norm": "pre"}}, **SHORT)
    assert run_training(run, registry, Console()) == 0
    with pytest.raises(UserError, match='layer_norm is "pre"'):
        export_run(run, tmp_path / "folder", registry, silent)
    assert not (tmp_path / "folder").exists()


def test_a_one_sided_model_is_refused(make_run: MakeRun, registry: Any, tmp_path: Path) -> None:
    run = make_run(**BERT, **SHORT, objectives=["ahead"], masking="none")
    assert run_training(run, registry, Console()) == 0
    with pytest.raises(UserError, match="one side only"):
        export_run(run, tmp_path / "folder", registry, silent)
