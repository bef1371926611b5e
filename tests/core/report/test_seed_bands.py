"""Means and bands over seeds, as TensorBoard itself reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.core.report.synthetic import training, write_run
from tests.core.report.tensorboard_server import LOADERS, ask, served, until

from clozebox.report.seed_bands import SeedBands
from clozebox.report.statistics import estimate


def points(url: str, tag: str) -> list[tuple[int, float]]:
    found = ask(url, "scalars/scalars", run="a/all-seeds", tag=tag)
    return [(step, value) for _, step, value in found]


@pytest.mark.parametrize("loader", LOADERS)
def test_bands_over_seeds_are_shown_and_replaced_when_another_seed_is_done(
    tmp_path: Path, loader: str
) -> None:
    folder = tmp_path / "e"
    for seed in range(2):
        write_run(folder, "a", seed, [5.0 + seed, 3.0 + seed], excess=[1.0, 0.5])
    write_run(folder, "lone", 0, [5.0, 3.0])
    bands = SeedBands(folder)
    assert bands.refresh() == [folder / "a" / "all-seeds"]
    assert bands.refresh() == []
    with served(folder, loader) as url:
        means = until(lambda: points(url, "seeds/cloze_loss"), lambda p: len(p) == 2)
        assert means == [(7, 5.5), (14, 3.5)]
        layout: dict[str, Any] = ask(url, "custom_scalars/layout")
        titles = {c["title"]: [chart["title"] for chart in c["chart"]] for c in layout["category"]}
        assert titles == {
            "Excess above the floor: mean and 95 % band over seeds": ["excess"],
            "Held-out metrics: mean and 95 % band over seeds": ["cloze_loss"],
        }
        [series] = layout["category"][1]["chart"][0]["margin"]["series"]
        high = estimate([5.0, 6.0]).interval
        assert high is not None
        found = points(url, series["upper"])
        assert found[0][1] == pytest.approx(high.high, rel=1e-5)
        assert points(url, series["lower"])[0][1] == pytest.approx(high.low, rel=1e-5)

        write_run(folder, "a", 2, [8.5, 6.5])
        bands.refresh()
        again = until(lambda: points(url, series["value"]), lambda p: p[0][1] != 5.5)
        again = until(lambda: points(url, series["value"]), lambda p: len(p) == 2)
        assert again == [(7, 6.5), (14, 4.5)]


def test_while_less_than_two_seeds_are_done_the_band_reaches_as_far_as_all_have_come(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "e"
    write_run(folder, "a", 0, [5.0, 4.0, 3.0])
    write_run(folder, "a", 1, [9.0], state="diverged")
    with training(write_run(folder, "a", 2, [7.0, 6.0], state="running")):
        bands = SeedBands(folder)
        bands.refresh()
    [curves] = bands._written.values()
    assert [p.estimate.mean for p in curves["eval/cloze_loss"]] == [6.0, 5.0]


def test_trials_of_a_search_have_no_bands(tmp_path: Path) -> None:
    for trial in range(3):
        write_run(tmp_path / "e", f"a.trial-{trial}", 0, [3.0], trial=trial)
    assert SeedBands(tmp_path).refresh() == []
