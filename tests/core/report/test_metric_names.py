"""What the names of metrics say."""

from __future__ import annotations

import pytest

from clozebox.evaluation.finetuning.settings import METRICS
from clozebox.report.metric_names import falls, unit

FINE_TUNED = sorted({metric for metrics in METRICS.values() for metric in metrics})


@pytest.mark.parametrize("control", ["", "_random", "_majority"])
@pytest.mark.parametrize("metric", FINE_TUNED)
def test_every_metric_of_fine_tuning_is_better_when_higher(metric: str, control: str) -> None:
    name = f"eval/squad_probe_layer2_{metric}{control}"
    assert falls(name) is False
    assert unit(name) == "points"


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("eval/cloze_loss", True),
        ("eval/floor_mlm_excess", True),
        ("eval/sts_mse", True),
        ("eval/cola_matthews", False),
        ("eval/sts_pearson", False),
        ("eval/sts_spearman", False),
        ("eval/exact_match", False),
        ("eval/cloze_accuracy", False),
        ("eval/floor_mlm_floor", None),
        ("eval/match_count", None),
    ],
)
def test_which_way_a_metric_points(name: str, lower: bool | None) -> None:
    assert falls(name) is lower
