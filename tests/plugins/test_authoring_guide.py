"""What plugins/README.md tells an author to write, written and run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import TOY_PLUGIN

from clozebox.pretraining import number_to_choose
from clozebox.registry import load_registry
from clozebox.training.console import Console
from clozebox.training.setup import set_up

GUIDE = Path(__file__).resolve().parents[2] / "plugins" / "README.md"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The guide's own example: each block of Python begins with the file that it is."""
    for name, code in re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    return tmp_path / "clozebox_rarest"


def test_the_example_hides_the_rarest_tokens_and_only_ordinary_ones(
    plugin: Path, make_run: Callable[..., Any]
) -> None:
    registry = load_registry(paths=[TOY_PLUGIN, plugin], strict=True)
    run = make_run(with_registry=registry, masking={"name": "rarest", "rate": 0.25})
    training = set_up(run, registry, Console().say)
    [batch] = training.batches(0)
    chosen = training.masking.choose(batch)
    assert not (chosen & batch.special_tokens_mask).any()
    for sequence, hidden in enumerate(chosen):
        length = int(batch.attention_mask[sequence].sum())
        assert hidden.sum() == number_to_choose(length, 0.25)
        kept = ~hidden & ~batch.special_tokens_mask[sequence]
        ids = batch.input_ids[sequence]
        assert ids[hidden].min() >= ids[kept].max()
