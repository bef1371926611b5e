"""`clozebox embed` on a run that was trained for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import TOY_PLUGIN, TOY_SETTINGS, merged

from clozebox.config import arm_of
from clozebox.config.settings import Experiment, Sweep
from clozebox.registry import Registry
from clozebox.training import RunDirectory
from clozebox.training.console import Console
from clozebox.training.run import run_training

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(registry: Registry, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained once: none of these tests changes it."""
    short = {"budget": {"steps": 1}, "train": {"evals": 1}}
    arm = arm_of("toy", merged(TOY_SETTINGS, short), registry)
    folder = tmp_path_factory.mktemp("embed")
    experiment = Experiment("toy", "Does it?", folder / "toy.toml", "", (arm,), (0,), Sweep(), {})
    plugins = [TOY_PLUGIN]
    made = RunDirectory.create(
        folder / "run", experiment=experiment, arm=arm, seed=0, cache=cache, plugins=plugins
    )
    assert run_training(made, registry, Console()) == 0
    return str(made.path)


@pytest.fixture
def embed(run: str, clozebox: Clozebox, capsys: Captured) -> Callable[..., str]:
    """Run the command and return what it prints; with ``fails=True``, what it complains of."""

    def call(*arguments: str, fails: bool = False) -> str:
        capsys.readouterr()
        assert clozebox("embed", run, *arguments, plugin=None) == (2 if fails else 0)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return told.err if fails else told.out

    return call


def table(printed: str) -> list[list[str]]:
    lines = printed.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("pair"))
    return [line.replace(" - ", "-").split() for line in lines[begin:]]


def test_a_word_is_compared_across_texts_layer_by_layer(embed: Callable[..., str]) -> None:
    printed = embed("--word", "Ash", "bay ash", "ash cob", "bay ash")
    assert "read from both sides" in printed
    header, *rows = table(printed)
    assert header == ["pair", "0", "1", "2"]
    assert [row[0] for row in rows] == ["1-2", "1-3", "2-3"]
    similar = {row[0]: [float(value) for value in row[1:]] for row in rows}
    assert similar["1-3"] == [1.0, 1.0, 1.0]
    assert similar["1-2"] == similar["2-3"]
    assert all(-1 < value < 1 for value in similar["1-2"])


def test_one_layer_can_be_asked_for(embed: Callable[..., str]) -> None:
    assert table(embed("--word", "ash", "bay ash", "ash", "--layer", "1"))[0] == ["pair", "1"]


def test_vectors_and_what_they_are_are_written(embed: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "vectors.npy"
    embed("bay ash", "ash cob elm", "--out", str(out), "--pool", "token", "--layer", "all")
    vectors, about = np.load(out), json.loads(out.with_suffix(".json").read_text())
    assert vectors.shape == (5, 3, 24)
    assert [row["label"] for row in about["rows"]] == ["bay", "ash", "ash", "cob", "elm"]
    assert about["rows"][3]["spans"] == [[4, 7]]
    assert about["layers"] == [0, 1, 2]
    assert about["reading"] == "bidirectional"
    assert about["step"] == 1
    embed("bay ash", "ash cob elm", "--out", str(out))
    means = np.load(out)
    assert means.shape == (2, 24)
    assert means[1] == pytest.approx(vectors[2:, -1].mean(axis=0), abs=1e-6)
    assert [row["tokens"] for row in json.loads(out.with_suffix(".json").read_text())["rows"]] == [
        ["bay", "ash"],
        ["ash", "cob", "elm"],
    ]


def test_tensorboards_projector_reads_what_is_written_for_it(
    embed: Callable[..., str], tmp_path: Path
) -> None:
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client
    from werkzeug.wrappers import Response

    folder, out = tmp_path / "projector", tmp_path / "v.npy"
    options = ["--layer", "all", "--projector", str(folder), "--out", str(out)]
    embed("bay\tash", "ash cob elm", *options)
    apps = ProjectorPlugin(TBContext(logdir=str(folder))).get_plugin_apps()

    def ask(route: str, query: str = "") -> bytes:
        answer = Client(apps[route], Response).get(f"{route}?{query}")
        assert answer.status_code == 200
        return bytes(answer.data)

    assert json.loads(ask("/runs")) == ["."]
    found = json.loads(ask("/info", "run=."))["embeddings"]
    assert [(one["tensorName"], one["tensorShape"]) for one in found] == [
        ("layer 0", [2, 24]),
        ("layer 1", [2, 24]),
        ("layer 2", [2, 24]),
    ]
    tensor = np.frombuffer(ask("/tensor", "run=.&name=layer%201"), dtype=np.float32)
    assert tensor.reshape(2, 24) == pytest.approx(np.load(out)[:, 1], rel=1e-6)
    metadata = ask("/metadata", "run=.&name=layer%201").decode().splitlines()
    assert metadata == ["label\tnumber\ttext", "bay ash\t1\tbay ash"] + [
        "ash cob elm\t2\tash cob elm"
    ]


def test_texts_come_from_a_file_too(embed: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("\ufeffash cob\n\nelm\n", encoding="utf-8")
    printed = embed("bay", "--file", str(file))
    assert [line.split()[:2] for line in printed.splitlines()[2:]] == [
        ["1", "bay"],
        ["2", "ash"],
        ["3", "elm"],
    ]
    file.write_bytes(b"ash\n\xff\n")
    assert f"{file}:2: not UTF-8" in embed("--file", str(file), fails=True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--word", "ash", "ash bay", "cob"], "text 2, 'cob', does not hold 'ash'"),
        (["ash", "--layer", "3"], "--layer 3: it is all, last, or 0 (the embedding) to 2"),
        (["ash", "--layer", "-1"], "--layer -1"),
        (["ash", "--out", "vectors.txt"], "the file must be named .npy"),
        (["ash", "--out", "no/such/folder/v.npy"], "no/such/folder"),
        (["ash", ""], "text 2, '', has no token"),
        (["ash " * 40], "text 1 has 42 tokens; the model reads 32"),
        ([], "Give a TEXT, or --file."),
        (["ash", "--word", "ash", "--pool", "cls"], "--word and --pool"),
    ],
)
def test_what_cannot_be_done_is_told(
    embed: Callable[..., str], arguments: list[str], told: str
) -> None:
    assert told in embed(*arguments, fails=True)
