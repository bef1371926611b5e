"""What plugins/README.md tells an author to write is written, checked and run."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import TOY_PLUGIN

from clozebox import components, pretraining
from clozebox.cli.group import COMMANDS
from clozebox.cli.plugins import plugins as plugins_group
from clozebox.config import find_sandbox
from clozebox.evaluation import EVALUATION_SEED
from clozebox.registry import Registry, load_registry
from clozebox.testing import assert_passes
from clozebox.testing.bench import Bench
from clozebox.training import RunDirectory
from clozebox.training.console import Console
from clozebox.training.run import run_training
from clozebox.training.setup import Training, set_up

GUIDE = (Path(__file__).resolve().parents[2] / "plugins" / "README.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL))
POEMS = "The tide is low. The boats lie dry.\n\nRain came at noon.\nNobody sails. Nobody sings.\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Registry]:
    """``written("lines.py")``: a registry with that block of the guide, and the toy plugin."""

    def write(name: str) -> Registry:
        (tmp_path / name).write_text(BLOCKS[name])
        return load_registry(paths=[TOY_PLUGIN, tmp_path / name], strict=True)

    return write


@pytest.fixture
def trained(
    written: Callable[[str], Registry], make_run: Callable[..., RunDirectory]
) -> Callable[..., RunDirectory]:
    """``trained("lines.py", corpus=...)``: a run of three steps with a block of the guide."""

    def train(name: str, **changes: Any) -> RunDirectory:
        registry = written(name)
        short = {"budget": {"steps": 3}, "train": {"log_every": 1, "evals": 1}}
        run = make_run(with_registry=registry, **{**short, **changes})
        assert run_training(run, registry, Console()) == 0
        return run

    return train


@pytest.fixture
def ready(
    written: Callable[[str], Registry], make_run: Callable[..., RunDirectory]
) -> Callable[..., Training]:
    def build(name: str, **changes: Any) -> Training:
        registry = written(name)
        return set_up(make_run(with_registry=registry, **changes), registry, Console().say)

    return build


def test_there_is_an_example_of_every_kind() -> None:
    hooks = set(re.findall(r"def (register_\w+)", "\n".join(BLOCKS.values())))
    assert hooks == set(re.findall(r"`(register_\w+)\(", GUIDE)) - {"register_commands"}


@pytest.mark.parametrize(
    ("block", "name"),
    [
        ("rare_first.py", "rare_first"),
        ("two_ahead.py", "two_ahead"),
        ("lines.py", "lines"),
        ("half.py", "half"),
        ("latest.py", "latest"),
        ("parts.py", "bag"),
        ("parts.py", "one_layer"),
        ("parts.py", "slim"),
    ],
)
def test_every_example_keeps_what_its_kind_promises(
    written: Callable[[str], Registry], tmp_path: Path, block: str, name: str
) -> None:
    (tmp_path / "poems.txt").write_text(POEMS)
    settings = {"file": str(tmp_path / "poems.txt")} if name == "lines" else {}
    assert_passes(name, settings, registry=written(block))


def test_the_masking_strategy_prefers_rare_tokens(written: Callable[[str], Registry]) -> None:
    bench = Bench()  # a text in which words are as unequal as words are
    config = written("rare_first.py").get("masking strategy", "rare_first")(rate=0.2)
    batch = bench.batch(count=200, masking=config.build(bench.text))
    counts = torch.from_numpy(bench.text.counts)[batch.input_ids].double()
    chosen = batch.masked.labels != pretraining.IGNORE_INDEX
    assert counts[chosen].mean() < 0.75 * counts[~batch.special_tokens_mask].mean()


def test_the_objective_predicts_the_token_after_the_next(ready: Callable[..., Training]) -> None:
    training = ready("two_ahead.py", objectives=["two_ahead"], masking="none")
    [batch] = training.batches(0)
    view = training.model.objectives["two_ahead"].view(batch)
    for ids, labels, real in zip(batch.input_ids, view.labels, batch.attention_mask, strict=True):
        length = int(real.sum())
        assert labels[: length - 2].equal(ids[2:length])
        assert (labels[length - 2 :] == pretraining.IGNORE_INDEX).all()
    assert view.attention.kind == "causal"


def test_the_objective_trains(trained: Callable[..., RunDirectory]) -> None:
    run = trained("two_ahead.py", objectives=["hidden", "two_ahead"])
    assert any("train/two_ahead_loss" in line for line in run.metrics())


def test_the_corpus_has_a_document_for_each_line(
    written: Callable[[str], Registry], tmp_path: Path
) -> None:
    (tmp_path / "poems.txt").write_text(POEMS)
    config = written("lines.py").get("corpus", "lines")
    assert list(config(file=str(tmp_path / "poems.txt")).build().documents()) == [
        ["The tide is low.", "The boats lie dry."],
        ["Rain came at noon."],
        ["Nobody sails.", "Nobody sings."],
    ]


def test_the_corpus_trains(trained: Callable[..., RunDirectory], tmp_path: Path) -> None:
    (tmp_path / "poems.txt").write_text(POEMS * 20)
    trained("lines.py", corpus={"name": "lines", "file": str(tmp_path / "poems.txt")})


def test_the_evaluation_task_asks_for_half_of_the_tokens(
    trained: Callable[..., RunDirectory], ready: Callable[..., Training]
) -> None:
    training = ready("half.py", objectives=["hidden"], evaluations=["half"])
    [task] = [config.build() for config in training.arm.evaluations]
    training.model.eval()
    [loss] = task.evaluate(training.model, training.held_out).values()
    vocabulary = training.store.vocabulary.size
    assert abs(loss - torch.tensor(float(vocabulary)).log().item()) < 0.2
    result = trained("half.py", evaluations=["half"]).status()["result"]
    assert result.keys() == {"eval/half_loss"}
    assert EVALUATION_SEED == 0, "the blanks are of no run's own seed"


def test_a_task_says_nothing_of_an_arm_that_fills_in_no_blanks(
    ready: Callable[..., Training],
) -> None:
    training = ready("half.py", objectives=["pair"], masking="none", evaluations=["half"])
    [task] = [config.build() for config in training.arm.evaluations]
    assert task.evaluate(training.model, training.held_out) == {}


def test_the_reporter_keeps_the_last_value_of_every_metric(
    trained: Callable[..., RunDirectory],
) -> None:
    run = trained("latest.py", reporters=["latest"])
    latest = json.loads((run.path / "latest.json").read_text())
    logged = [line for line in run.metrics() if "train/hidden_loss" in line]
    assert latest["train/hidden_loss"] == pytest.approx(logged[-1]["train/hidden_loss"], rel=1e-6)
    assert (latest["step"], latest["state"]) == (3, "done")
    assert "eval/hidden_loss" in latest


def test_size_embedding_and_encoder_train_together(trained: Callable[..., RunDirectory]) -> None:
    trained("parts.py", size="slim", embedding="bag", encoder="one_layer")


def test_the_encoder_has_the_weights_of_one_layer(ready: Callable[..., Training]) -> None:
    def weights(training: Training) -> int:
        return sum(weight.numel() for weight in training.model.encoder.parameters())

    one = ready("parts.py", encoder="one_layer")
    three = ready("parts.py", size={"name": "toy", "num_hidden_layers": 3}, encoder="one_layer")
    assert weights(one) == weights(three)
    assert three.model.encoder.flops(20) == 1.5 * one.model.encoder.flops(20)


def test_the_embedding_knows_no_places(ready: Callable[..., Training]) -> None:
    embedding = ready("parts.py", embedding="bag").model.embedding
    ids = torch.tensor([[5, 6, 5]])
    vectors = embedding(ids, torch.zeros_like(ids))
    assert vectors[0, 0].equal(vectors[0, 2])


def test_the_guide_names_every_setting_that_comes_for_free() -> None:
    of_masking = set(components.MaskingConfig.model_fields)
    of_objectives = set(components.ObjectiveConfig.model_fields)
    of_tokens = set(components.TokenObjectiveConfig.model_fields)
    named = set(re.findall(r"`(\w+)`", GUIDE))
    assert of_masking | of_objectives | of_tokens <= named


def test_every_name_that_the_guide_uses_exists() -> None:
    batch = set(pretraining.Batch.__dataclass_fields__) | set(vars(pretraining.Batch))
    view = set(pretraining.View.__dataclass_fields__)
    bold = dict(re.findall(r"^- \*\*(\w+)\*\*: (.*?)(?=^- \*\*|^$)", GUIDE, re.DOTALL | re.M))
    assert {"Batch", "View", "Terms", "Targets", "TrainingText", "ModelContext"} == set(bold)
    members = set(re.findall(r"`(?:batch)?\.(\w+)", bold["View"])) | {"uniform"}
    assert members <= batch
    assert set(re.findall(r"`(\w+_\w+)`", bold["Batch"])) <= batch
    assert {"labels", "max_targets"} <= view
    for name in re.findall(r"`(\w+)\(", bold["Terms"] + bold["Targets"]):
        assert hasattr(pretraining, name), name
    context = pretraining.ModelContext
    for name in re.findall(r"`(\w+)", bold["ModelContext"]):
        assert hasattr(context, name) or name in context.__dataclass_fields__, name


@pytest.mark.parametrize("words", re.findall(r"^clozebox (.+?)(?:  |$)", GUIDE, re.M))
def test_every_command_of_the_guide_exists(words: str) -> None:
    first, second = re.sub(r"^-p \S+ ", "", words).split()[:2]
    assert first in COMMANDS
    if first == "plugins":
        assert second in plugins_group.commands


def test_a_local_plugin_in_sandbox_toml_is_found(tmp_path: Path) -> None:
    [text] = [
        block for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "paths" in block
    ]
    (tmp_path / "sandbox.toml").write_text(text)
    (tmp_path / "ideas").mkdir()
    (tmp_path / "tide.py").write_text(BLOCKS["latest.py"])
    (tmp_path / "ideas" / "lines.py").write_text(BLOCKS["lines.py"])
    registry = load_registry(paths=find_sandbox(tmp_path).plugin_paths, strict=True)
    assert "latest" in registry.names("reporter")
    assert "lines" in registry.names("corpus")


def test_what_is_published_is_what_plugins_new_writes(tmp_path: Path) -> None:
    from clozebox.skeletons.plugin_files import NewPlugin

    [text] = [
        block for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "[project" in block
    ]
    files = NewPlugin("tide", "objective", False, tmp_path).files()
    written = tomllib.loads(files[tmp_path / "clozebox-tide" / "pyproject.toml"])["project"]
    said = tomllib.loads(text)["project"]
    assert said == {key: written[key] for key in said}


def test_a_plugin_file_imports_no_torch_at_its_top() -> None:
    for name, block in BLOCKS.items():
        top = [line for line in block.splitlines() if re.match(r"(from|import) ", line)]
        heavy = r"(torch|numpy|clozebox\.(data|model|pretraining|evaluation))"
        assert not [line for line in top if re.match(rf"(from|import) {heavy}\b", line)], name
