"""A search is judged by its winners, on seeds that chose nothing."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest
from tests.core.report.studies import tell_findings, write_search, write_trial

from clozebox.cli.compare import compare_experiment
from clozebox.errors import UserError
from clozebox.report import compare_runs, summary, verdicts
from clozebox.report.document import as_document
from clozebox.report.figures import drawings
from clozebox.report.notes import notes
from clozebox.report.page import as_page
from clozebox.report.search import read_searches
from clozebox.report.sections import all_tables

LUCK = 0.5
"""By how much the choosing seed flatters the winner of ``masked`` (trial 1 of 3), and it alone."""
TRIALS = {
    "masked": [(3.4, {"optim.lr": 1e-3}), (3.0 - LUCK, {"optim.lr": 2e-3}), (None, {})],
    "forward": [(2.9, {"optim.lr": 3e-3}), (3.1, {"optim.lr": 4e-3})],
}
LEVEL = {"masked": 3.0, "forward": 2.9}
BEST = {"masked": [1], "forward": [0]}
FRESH = (1, 2, 3, 4)


def write_trials(folder: Path) -> None:
    for index, (arm, trials) in enumerate(TRIALS.items()):
        for number, (value, values) in enumerate(trials):
            write_trial(folder, arm, index, number, 0, value or 9.0, values, pruned=value is None)


def write_fresh(folder: Path, seeds: tuple[int, ...] = FRESH) -> None:
    for index, (arm, [number]) in enumerate(BEST.items()):
        for seed in seeds:
            noise = random.Random(seed).gauss(0, 0.2) + random.Random(f"{arm}{seed}").gauss(0, 0.01)
            values = TRIALS[arm][number][1]
            write_trial(folder, arm, index, number, seed, LEVEL[arm] + noise, values)


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """On the choosing seed ``masked`` wins by 0.4, and on no other: ``forward`` is 0.1 better."""
    write_trials(tmp_path / "lr")
    write_fresh(tmp_path / "lr")
    tell_findings(tmp_path / "lr", TRIALS, BEST)
    return tmp_path / "lr"


def test_the_arms_are_the_winners_and_no_number_holds_the_seed_that_chose_them(
    search: Path,
) -> None:
    comparison = compare_runs(search)
    assert [arm.name for arm in comparison.arms] == ["masked", "forward"]
    assert [[run.seed for run in arm.runs] for arm in comparison.arms] == [[*FRESH]] * 2
    assert {run.path.parent.name for run in comparison.arms[0].runs} == {"masked.trial-1"}
    masked, forward = comparison.rows("eval/cloze_loss")
    assert masked.estimate is not None and forward.difference is not None
    assert masked.estimate.mean == pytest.approx(3.0, abs=0.2)
    assert sorted(forward.difference.by_seed) == [*FRESH]
    assert forward.difference.estimate.mean == pytest.approx(-0.1, abs=0.02)
    [verdict] = verdicts(comparison, "eval/cloze_loss")
    assert (verdict.arm, verdict.outcome) == ("forward", "better"), "which the search denied"
    assert summary(comparison) == [verdict.sentence]


def test_it_is_said_what_was_chosen_and_how_far_that_flattered(search: Path) -> None:
    chosen, masked, forward, *_ = notes(compare_runs(search))
    assert "run again on seeds that chose nothing" in chosen
    assert re.fullmatch(
        r"masked: trial 1 of 3 \(optim.lr = 0.002\), 2.5000 on the seed that chose it, "
        r"[23]\.\d{4} on average on 4 fresh\.",
        masked,
    )
    assert forward.startswith("forward: trial 0 of 2 (optim.lr = 0.003), 2.9000 on the seed")


def test_the_trials_are_in_the_panels_alone(search: Path) -> None:
    comparison = compare_runs(search)
    document = as_document(comparison)
    assert [arm["name"] for arm in document["arms"]] == ["masked", "forward"]
    assert not document["is_search"], "the page draws curves and differences of the winners"
    assert [winner["trial"] for winner in document["winners"]] == [1, 0]
    assert [one["name"] for one in document["search"]] == ["masked", "forward"]
    values = [trial["values"] for trial in document["search"][0]["trials"]]
    assert values == [(3.4,), (2.5,), ()]
    assert document["search"][0]["trials"][1]["cost"]["parameters"] == 100_000
    assert len(document["runs"]) == 8 + 5, "each run is listed once"
    json.dumps(document, allow_nan=False)
    *tables, trials = all_tables(comparison)
    assert tables[0].rows[0][:2] == ("masked", "4/4")
    assert trials.title == "the best of 5 trials, by arm"
    assert [row[0] for row in trials.rows][:2] == ["masked.trial-1", "masked.trial-0"]
    assert trials.rows[0][-1] == "2.5000", "what it was chosen for"
    assert "chosen from 5 trials" in as_page(comparison)
    names = [name for name, _, _ in drawings(comparison)]
    assert {"history-masked", "importance-forward", "differences", "curves-flops"} <= {*names}


def test_a_winner_can_be_the_baseline(search: Path) -> None:
    comparison = compare_runs(search, baseline="forward")
    assert (comparison.baseline.name, comparison.winners[0].name) == ("forward", "masked")
    assert "masked is worse than forward" in compare_experiment(search, baseline="forward")
    with pytest.raises(UserError, match="no arm is named 'masked.trial-1'"):
        compare_runs(search, baseline="masked.trial-1")


def test_a_trial_that_is_the_best_no_longer_is_no_arm(search: Path) -> None:
    write_trial(search, "masked", 0, 0, 1, 1.0, {"optim.lr": 1e-3})  # when the search was shorter
    comparison = compare_runs(search)
    assert {run.trial for run in comparison.arms[0].runs} == {1}
    assert [len(trial.runs) for trial in comparison.trials] == [1] * 5


@pytest.mark.parametrize("tells", [False, True], ids=["before", "with"])
def test_until_a_fresh_seed_is_begun_the_trials_are_ranked(tmp_path: Path, tells: bool) -> None:
    write_trials(tmp_path / "lr")
    if tells:
        tell_findings(tmp_path / "lr", TRIALS, BEST)
    comparison = compare_runs(tmp_path / "lr")
    assert comparison.ranks_trials and len(comparison.arms) == 5
    assert verdicts(comparison, "eval/cloze_loss") == []


def test_without_findings_no_fresh_seed_is_taken_for_a_trial(search: Path) -> None:
    (search / "search.json").unlink()
    comparison = compare_runs(search)
    assert comparison.ranks_trials
    assert [arm.values("eval/cloze_loss") for arm in comparison.arms[:2]] == [{0: 2.5}, {0: 2.9}]


def test_fresh_seeds_that_are_not_here_and_winners_without_any_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "lr"
    write_trials(folder)
    write_trial(folder, "masked", 0, 1, 1, 3.0, {"optim.lr": 2e-3})
    tell_findings(folder, TRIALS, BEST, fresh={"1": 3.0, "2": 3.1})
    comparison = compare_runs(folder)
    assert [arm.name for arm in comparison.arms] == ["masked"]
    _, masked, forward, *_ = notes(comparison)
    assert "Left out: seed 2, trained on a machine whose files are not here." in masked
    assert "none is finished on a fresh one" in forward and "seed 1, 2" in forward


def test_each_trial_of_a_front_is_an_arm(tmp_path: Path) -> None:
    folder = tmp_path / "lr"
    write_trials(folder)
    for number in (0, 1):
        for seed in FRESH:
            write_trial(folder, "masked", 0, number, seed, 3.0, {"optim.lr": 1e-3})
    tell_findings(folder, {"masked": TRIALS["masked"]}, {"masked": [0, 1]}, against="flops")
    comparison = compare_runs(folder)
    assert [arm.name for arm in comparison.arms] == ["masked.trial-0", "masked.trial-1"]
    assert [len(arm.finished) for arm in comparison.arms] == [4, 4]


def test_panels_read_what_was_found_before_the_database(tmp_path: Path) -> None:
    folder = tmp_path / "lr"
    write_search(folder)
    from_study = read_searches(folder)[0]
    told: list[tuple[float | None, dict[str, object]]] = [
        (trial.values[0] if trial.values else None, dict(trial.drawn))
        for trial in from_study.trials
    ]
    tell_findings(folder, {"masked": told}, {"masked": [0]})
    findings = json.loads((folder / "search.json").read_text())
    findings["space"] = {
        **findings["space"],
        "encoder.layer_norm": {"choices": ["pre", "post"], "log": False},
        "size.num_hidden_layers": {"low": 1, "high": 4, "log": False, "integer": True},
        "optim.decay": {"low": 0, "high": 1, "log": False, "when": {"optim.schedule": "wsd"}},
    }
    (folder / "search.json").write_text(json.dumps(findings))
    [found] = read_searches(folder)
    assert found.importance == {"optim.lr": 1.0}, "it is from search.json"
    assert found.trials == from_study.trials
    assert (found.name, found.minimized, found.front) == (
        from_study.name,
        from_study.minimized,
        from_study.front,
    )
    assert found.space == from_study.space, "and what no trial drew has no panel"
    later = (folder / "search.json").stat().st_mtime_ns + 1
    os.utime(folder / "study.db", ns=(later, later))  # another sweep goes on with it
    assert read_searches(folder)[0].importance == from_study.importance
    (folder / "study.db").unlink()  # it is in PostgreSQL
    assert [one.trials for one in read_searches(folder)] == [found.trials]


def test_of_two_goals_the_second_is_to_be_low(tmp_path: Path) -> None:
    tell_findings(
        tmp_path, {"masked": TRIALS["masked"]}, {"masked": [0]}, direction="maximize", against="x"
    )
    [found] = read_searches(tmp_path)
    assert found.minimized == (False, True)
