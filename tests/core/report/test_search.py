"""Searches: what the study says, and how a page of trials differs from one of arms."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from tests.core.report.studies import write_search
from tests.core.report.synthetic import write_run

from clozebox.cli.compare import compare_experiment
from clozebox.report import compare_runs, summary, verdicts
from clozebox.report.document import as_document
from clozebox.report.figures import drawings
from clozebox.report.notes import notes
from clozebox.report.plots import save_figure
from clozebox.report.search import Search, Trial, read_searches
from clozebox.report.search_summary import trials_table


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "lr"
    write_search(folder, ("masked", "forward"))
    return folder


def test_a_study_is_read_with_its_space_and_what_mattered_in_it(search: Path) -> None:
    before = (search / "study.db").read_bytes()
    forward, masked = read_searches(search)
    assert (search / "study.db").read_bytes() == before
    assert (forward.name, masked.name) == ("lr/forward", "lr/masked")
    assert [trial.state for trial in masked.trials].count("pruned") == 2
    assert masked.trials[2].values == () and masked.trials[0].folder == "masked.trial-0/seed-0"
    scales = {d.key: d.scale for d in masked.space}
    assert scales == {
        "encoder.layer_norm": "choice",
        "optim.lr": "log",
        "size.num_hidden_layers": "linear",
    }
    assert max(masked.importance, key=lambda key: masked.importance[key]) == "optim.lr"
    assert sum(masked.importance.values()) == pytest.approx(1)
    best = min((t for t in masked.trials if t.values), key=lambda trial: trial.values)
    assert masked.front == (best.number,)


def test_of_two_things_judged_the_front_is_what_nothing_beats_at_both() -> None:
    points = [(1.0, 9.0), (2.0, 5.0), (3.0, 6.0), (4.0, 7.0), ()]
    trials = tuple(Trial(i, "complete", values, {}, None) for i, values in enumerate(points))
    assert Search("s", (True, True), trials, (), {}).front == (0, 1)
    assert Search("s", (True, False), trials, (), {}).front == (0,)


def test_a_plan_and_a_broken_or_young_study_have_no_importance(
    experiment: Path, tmp_path: Path
) -> None:
    assert read_searches(experiment) == []
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    assert read_searches(tmp_path) == [], "a study of a plan draws nothing"
    trial = study.ask()
    trial.suggest_float("optim.lr", 0, 1)
    study.tell(trial, 3.0)
    [young] = read_searches(tmp_path)
    assert young.importance == {} and young.front == (0,)


def test_a_search_tells_its_best_trials_and_calls_none_better_than_another(search: Path) -> None:
    comparison = compare_runs(search)
    values = [arm.values("eval/cloze_loss").get(0, 9.9) for arm in comparison.arms]
    assert values == sorted(values), "the best trial first, the unfinished last"
    assert verdicts(comparison, "eval/cloze_loss") == []
    masked, forward, warning = summary(comparison)
    assert masked.startswith("masked: the best of 12 trials is masked.trial-")
    assert "optim.lr = 0.00" in masked and forward.startswith("forward: the best of 12 trials is")
    assert "fresh seeds" in warning
    assert "Left out: trials that were pruned or did not finish (4 interrupted)." in notes(
        comparison
    )
    table = trials_table(comparison)
    assert len(table.rows) == 16, "the eight best of each arm"
    assert table.header[2:-1] == ("encoder.layer_norm", "optim.lr", "size.num_hidden_layers")
    assert "the best of 24 trials" in compare_experiment(search)


def test_the_panels_of_the_page_have_what_each_trial_cost(search: Path) -> None:
    document = as_document(compare_runs(search))
    masked, forward = document["search"]
    assert (masked["name"], forward["name"]) == ("masked", "forward"), "as the experiment has them"
    trial = masked["trials"][0]
    assert trial["cost"]["parameters"] == 100_000 * trial["drawn"]["size.num_hidden_layers"]
    json.dumps(document, allow_nan=False)


def test_the_figures_of_a_search_are_its_history_importance_and_slices(
    search: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    found = {name: (draw, size) for name, size, draw in drawings(compare_runs(search))}
    assert {"history-masked", "importance-masked", "slices-forward", "curves-flops"} <= set(found)
    assert not any(name.startswith(("metric-", "differences")) for name in found)
    for name in ("history-masked", "importance-masked", "slices-masked"):
        save_figure(*found[name], tmp_path / f"{name}.svg")
    assert "optim.lr" in (tmp_path / "slices-masked.svg").read_text()


def test_without_its_study_a_search_is_still_compared(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a.trial-0", 0, [3.0], trial=0)
    assert as_document(compare_runs(tmp_path / "e"))["search"] == []
