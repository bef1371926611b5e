"""`clozebox` answers before its plugins are loaded, and trains without what training does not need;
see README.md for how fast."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from tests.benchmarks import start_up

pytest.importorskip("clozebox_corpora")

NOT_NEEDED = {
    "matplotlib",
    "numpy.testing",
    "optuna",
    "scipy",
    "sqlalchemy",
    "sympy",
    "tensorboard",
    "torch._dynamo",  # longer to import than the rest of torch
    "torch._inductor",
    "transformers",
}


def test_help_takes_less_than_loading_the_plugins(tmp_path: Path) -> None:
    """Half of what it takes is kept in reserve for a busy machine."""
    found = start_up.timed(["clozebox --help", "bare --help"], tmp_path, rounds=3)
    each = start_up.ratios(found, "clozebox --help", "bare --help")
    assert statistics.median(each) < 0.7


def test_a_first_step_imports_nothing_it_does_not_need(tmp_path: Path) -> None:
    (tmp_path / "sandbox.toml").touch()
    (tmp_path / "words.txt").write_text("\n\n".join(f"A {word} text." for word in "abcdefghij"))
    corpus = '{ name = "text", files = ["words.txt"], layout = "paragraphs" }'
    settings = start_up.EXPERIMENT.replace('"python_docs"', corpus)
    (tmp_path / "run.toml").write_text(f"{settings}tokenizer.vocab_size = 64\n")
    imported = {*start_up.run("first step", tmp_path).split("\n")[-2].split()}
    assert "torch" in imported
    assert not imported & NOT_NEEDED
