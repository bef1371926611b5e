"""A published BERT as a run: other people's weights, under this sandbox's yardsticks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from clozebox.config import Experiment, Sandbox, Sweep, Table, arm_of
from clozebox.config.overrides import parse_override
from clozebox.data import prepare
from clozebox.errors import UserError
from clozebox.model.hugging_face import Imported, read_folder
from clozebox.pretraining import PretrainingModel
from clozebox.training.budget import Spent
from clozebox.training.checkpoint import save_checkpoint
from clozebox.training.optimizer import GuardedAdamW
from clozebox.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from clozebox.registry import Registry

ARM = "imported"
SEED = 0
SEQ_LENGTH = 128
TOKENIZERS = ("tokenizer.json", "vocab.txt")
SIZES = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")


def import_run(
    folder: Path,
    name: str,
    registry: Registry,
    sandbox: Sandbox,
    overrides: Sequence[str],
    say: Callable[[str], None],
) -> RunDirectory:
    """Make the run ``<name>/imported/seed-0``, done at step 0, of a Hugging Face BERT folder.

    What the folder does not say, such as the corpus to be measured on, comes from the sandbox's
    defaults and the ``--set`` overrides.

    Raises:
        UserError: a folder that is no BERT of ours, a run of that name, or settings that are wrong.
    """
    run = RunDirectory(RunDirectory.path_of(sandbox.runs, name, ARM, SEED))
    if run.path.exists():
        raise UserError(f"{run.path} exists already: give the run another name")
    imported = read_folder(folder)
    tokenizer = _tokenizer_file(folder)
    kept: dict[str, Any] = {"path": str((run.path / tokenizer.name).resolve())}
    if tokenizer.suffix == ".txt":
        kept["lowercase"] = _lowercase(folder)
    # Whole tables: a default such as LayerNorm before the sublayer would make it another model.
    table = Table({**sandbox.defaults, **_settings(imported, registry), "tokenizer": kept})
    for text in overrides:
        table = parse_override(text).over(table)
    if table.values["tokenizer"] != kept:
        raise UserError("--set tokenizer: an imported run has the folder's own tokenizer")
    arm = arm_of(ARM, table.values, registry)
    run.path.mkdir(parents=True)
    try:
        shutil.copyfile(tokenizer, run.path / tokenizer.name)
        experiment = Experiment(
            name, f"What is {folder} worth?", folder, "", (arm,), (SEED,), Sweep(), table.values
        )
        _fill(run, imported, experiment, sandbox, say)
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def _fill(
    run: RunDirectory,
    imported: Imported,
    experiment: Experiment,
    sandbox: Sandbox,
    say: Callable[[str], None],
) -> None:
    [arm] = experiment.arms
    RunDirectory.create(
        run.path,
        experiment=experiment,
        arm=arm,
        seed=SEED,
        cache=sandbox.cache,
        plugins=sandbox.plugin_paths,
        disabled=sandbox.disable,
    )
    store = prepare(arm.data.corpus, arm.data.tokenizer, sandbox.cache, say=say)
    model = PretrainingModel.initialised(arm, store.vocabulary, SEED)
    _load(model, imported, say)
    state = {**asdict(Spent()), "meter": {}, "tokens_read": store.fingerprint}
    optimizer = GuardedAdamW(model, arm.optim)
    save_checkpoint(run.checkpoints, model, optimizer, state, arm.train.keep_checkpoints)
    run.write_status("done", steps=0, result={})


def _load(model: PretrainingModel, imported: Imported, say: Callable[[str], None]) -> None:
    """Put the folder's weights into a model; what is in one of them alone is said."""
    parameters = dict(model.named_parameters())
    for name in sorted(imported.weights.keys() & parameters.keys()):
        given, wanted = imported.weights[name], parameters[name]
        if given.shape != wanted.shape:
            sizes = f"{tuple(given.shape)}, and the settings and the tokenizer make it"
            raise UserError(f"{name} is {sizes} {tuple(wanted.shape)}")
        with torch.no_grad():
            wanted.copy_(given)
    if fresh := sorted(parameters.keys() - imported.weights.keys()):
        say(f"not in the folder, and therefore fresh: {', '.join(fresh)}")
    if unread := sorted(imported.weights.keys() - parameters.keys()):
        say(f"in the folder, and read by no objective: {', '.join(unread)}")


def _settings(imported: Imported, registry: Registry) -> dict[str, Any]:
    """What the folder says: an arm whose objectives are those that it holds weights of."""
    shape = imported.shape
    shared = {
        "name": "bert",
        "hidden_dropout_prob": imported.hidden_dropout_prob,
        "layer_norm_eps": imported.layer_norm_eps,
    }
    held = {name.split(".")[1] for name in imported.weights if name.startswith("objectives.")}
    objectives = sorted(held) or ["mlm"]
    reads_masking = any(registry.get("objective", name).needs_masking for name in objectives)
    return {
        # Any preset: all that it says is replaced.
        "size": {
            "name": registry.names("size preset")[0],
            **{part: getattr(shape, part) for part in SIZES},
        },
        "embedding": {**shared, "max_position_embeddings": shape.max_position_embeddings},
        "encoder": {
            **shared,
            "attention_probs_dropout_prob": imported.attention_probs_dropout_prob,
        },
        "objectives": objectives,
        "masking": {"name": "token" if reads_masking else "none"},
        "train": {"seq_length": min(SEQ_LENGTH, shape.max_position_embeddings)},
        "budget": {"steps": 1},  # an arm has one; the run is done
    }


def _tokenizer_file(folder: Path) -> Path:
    for name in TOKENIZERS:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} has no tokenizer: neither {' nor '.join(TOKENIZERS)}")


def _lowercase(folder: Path) -> bool:
    """A ``vocab.txt`` does not say it itself; BERT's own default is yes."""
    about = folder / "tokenizer_config.json"
    said = json.loads(about.read_text()) if about.is_file() else {}
    return bool(said.get("do_lower_case", True))
