"""The bundled yardsticks, on a real run of each way of reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clozebox.training.console import Console
from clozebox.training.run import run_training


@pytest.mark.parametrize(
    ("choice", "own"),
    [
        ({"objectives": ["mlm"]}, "mlm"),
        ({"objectives": ["ar_forward"], "masking": "none"}, "ar_forward"),
        ({"objectives": ["ar_backward"], "masking": "none"}, "ar_backward"),
        ({"objectives": ["mlm", "nsp"]}, "nsp"),
    ],
)
def test_every_arm_gets_its_own_losses_and_the_common_cloze(
    make_run: Callable[..., Any], registry: Any, choice: dict[str, Any], own: str
) -> None:
    run = make_run(evaluations=["held_out", "cloze"], **choice)
    assert run_training(run, registry, Console()) == 0
    result = run.status()["result"]
    assert {f"eval/{own}_loss", f"eval/{own}_accuracy"} <= result.keys()
    assert 0 < result["eval/cloze_loss"] < 5
    assert 0 <= result["eval/cloze_accuracy"] <= 1


def test_an_arm_that_fills_in_no_blanks_has_no_cloze_score(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(objectives=["nsp"], masking="none", evaluations=["held_out", "cloze"])
    assert run_training(run, registry, Console()) == 0
    assert not any("cloze" in name for name in run.status()["result"])
