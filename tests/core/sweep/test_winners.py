"""Grids, conditions, two goals, and what fresh seeds make of the best."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from optuna.cli import main as optuna_cli
from optuna.trial import TrialState

from clozebox.cli.compare import compare_experiment
from clozebox.report import compare_runs
from clozebox.report.search import read_searches
from clozebox.report.winners import read_findings
from clozebox.sweep.study import open_storage

ONE_ARM = '[[arm]]\nname = "plain"\n'
TWO_ARMS = ONE_ARM + '[[arm]]\nname = "masked"\noptim.beta1 = 0.8\n'
GRID = """\
[sweep]
sampler = "{sampler}"
pruner = "none"
fresh_seeds = 0
{more}
[sweep.space]
"optim.lr" = {{ choices = [1e-2, 1e-3] }}
"optim.schedule" = {{ choices = ["wsd", "cosine"] }}
"optim.decay" = {{ choices = [0.1, 0.3], when = {{ "optim.schedule" = "wsd" }} }}
"""
SIZES = """\
[sweep]
sampler = "grid"
fresh_seeds = {fresh}
against = "flops"
[sweep.space]
"size.hidden_size" = {{ choices = [6, 12, 24] }}
"optim.lr" = {{ choices = [1e-3, 1e-1] }}
"""


def values_of(root: Path, arm: str = "plain") -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted(root.glob(f"{arm}.*/*/trial.json"))]


def test_the_best_trial_is_made_again_on_seeds_that_no_trial_saw(lab):
    lab.write(seeds=[5], arms=TWO_ARMS, sweep=lab.search(trials=3, fresh_seeds=2))
    lab.child()
    result, printed = lab.sweep(workers=2)
    assert (result.tally.done, result.fresh.done) == (6, 4)
    assert "the best 2 trials on 2 fresh seed(s):" in printed
    for best, confirmed in zip(result.best, result.confirmed, strict=True):
        folder = lab.root / f"{best.run.arm.name}.trial-{best.run.trial}"
        assert sorted(run.name for run in folder.iterdir()) == ["seed-5", "seed-6", "seed-7"]
        assert sorted(confirmed.found) == [6, 7]
        assert json.loads((folder / "seed-6" / "trial.json").read_text()) == best.values
        resolved = json.loads((folder / "seed-6" / "resolved.json").read_text())
        assert resolved["settings"]["optim"]["lr"] == best.values["optim.lr"]
        assert (resolved["seed"], resolved["trial"]) == (6, best.run.trial)
    starts = lab.starts()
    assert lab.sweep()[0].fresh.done == 4
    assert lab.starts() == starts


def test_a_search_that_grows_gives_its_new_best_fresh_seeds_too(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=1, fresh_seeds=1))
    lab.child()
    first, _ = lab.sweep()
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=6, fresh_seeds=1))
    second, _ = lab.sweep()
    assert (second.tally.done, second.fresh.done) == (6, 1)
    assert first.best[0].run.trial == 0 and second.best[0].value < first.best[0].value
    assert sorted(second.confirmed[0].found) == [1]


def test_a_best_trial_that_fails_on_a_fresh_seed_is_told(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=1, fresh_seeds=2))
    lab.child(**{"plain.trial-0__1": "diverged"})
    result, _ = lab.sweep()
    assert result.exit_code == 1
    assert [failure.label for failure in result.fresh.failed] == ["plain trial 0 seed 1"]
    assert sorted(result.confirmed[0].found) == [2]


@pytest.mark.parametrize("sampler", ["grid", "brute_force"])
def test_a_grid_is_tried_whole_and_each_point_once(lab, sampler):
    lab.write(seeds=[0], arms=TWO_ARMS, sweep=GRID.format(sampler=sampler, more=""))
    lab.child()
    result, _ = lab.sweep(workers=3)
    assert result.tally.done == result.tally.planned == 12
    for arm in ("plain", "masked"):
        drawn = [tuple(sorted(values.items())) for values in values_of(lab.root, arm)]
        assert len(set(drawn)) == len(drawn) == 6
    assert all(("optim.decay" in v) == (v["optim.schedule"] == "wsd") for v in values_of(lab.root))


def test_brute_force_may_end_early_with_the_same_points_for_every_arm(lab):
    sweep = GRID.format(sampler="brute_force", more="trials = 3")
    lab.write(seeds=[0], arms=TWO_ARMS, sweep=sweep)
    lab.child()
    assert lab.sweep()[0].tally.done == 6
    assert values_of(lab.root) == values_of(lab.root, "masked")


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc", "gp"])
def test_every_sampler_keeps_to_the_conditions(lab, sampler):
    if sampler in ("qmc", "gp"):
        pytest.importorskip("scipy")
    sweep = GRID.format(sampler=sampler, more="trials = 5")
    lab.write(seeds=[0], arms=ONE_ARM, sweep=sweep)
    lab.child()
    assert lab.sweep()[0].tally.done == 5
    assert all(("optim.decay" in v) == (v["optim.schedule"] == "wsd") for v in values_of(lab.root))
    assert len({v["optim.schedule"] for v in values_of(lab.root)}) == 2, "or nothing was shown"


def test_two_goals_give_a_front_from_cheap_to_good(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=SIZES.format(fresh=1))
    lab.child()  # as good at any size, so that only the cheapest good one is on the front
    result, printed = lab.sweep()
    assert [best.values for best in result.best] == [{"size.hidden_size": 6, "optim.lr": 1e-3}]
    assert (result.best[0].cost, result.fresh.done) == (6.0**2 * 4, 1)
    with open_storage(None, lab.root) as storage:
        study_id = storage.get_study_id_from_name("guess/plain")
        trials = storage.get_all_trials(study_id)
    assert [trial.values[1] for trial in trials] == [36 * 4, 36 * 4, 576, 576, 2304, 2304]
    assert all(not trial.intermediate_values for trial in trials)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_samplers_take_two_goals_and_a_trial_that_diverged(lab, sampler):
    sweep = SIZES.format(fresh=0).replace('"grid"', f'"{sampler}"\ntrials = 4')
    lab.write(seeds=[0], arms=ONE_ARM, sweep=sweep)
    lab.child(**{"plain.trial-1__0": "diverged"})
    result, _ = lab.sweep()
    assert (result.tally.done, result.tally.pruned) == (3, 1)


def test_a_preset_is_a_dimension(lab):
    space = '[sweep.space]\nsize = { choices = ["pocket"] }\n'
    lab.write(seeds=[0], arms=ONE_ARM, sweep='[sweep]\nsampler = "grid"\nfresh_seeds = 0\n' + space)
    lab.child()
    assert lab.sweep()[0].tally.done == 1
    (values,) = values_of(lab.root)
    assert values == {"size": "pocket"}


def test_what_was_found_is_written_for_reports(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=10, fresh_seeds=1))
    lab.child(**{"plain.trial-1__0": "diverged", "plain.trial-2__0": "failed"})
    lab.sweep(workers=2)
    assert read_findings(lab.root)["arms"]["plain"]["importance"] is None  # of eight trials
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=12, fresh_seeds=1))
    result, _ = lab.sweep(workers=2)
    found = read_findings(lab.root)
    assert (found["metric"], found["direction"]) == ("eval/cloze_loss", "minimize")
    plain = found["arms"]["plain"]
    assert plain["importance"] == {"optim.lr": 1.0}
    assert [trial["state"] for trial in plain["trials"][:3]] == ["complete", "pruned", "fail"]
    assert plain["trials"][1]["reason"] == "diverged at step 1"
    assert plain["trials"][0]["params"].keys() == {"optim.lr"}
    assert len(plain["trials"][0]["evaluations"]) == 4
    (best,) = plain["best"]
    assert (best["trial"], best["value"]) == (result.best[0].run.trial, result.best[0].value)
    assert best["fresh"] == {"1": result.confirmed[0].found[1]}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_own_command_reads_the_study_and_asks_for_trials(lab, monkeypatch, capsys):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=2))
    lab.child()
    result, _ = lab.sweep()
    url = f"sqlite:///{lab.root / 'study.db'}"

    def optuna(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["optuna", *words, "--storage", url])
        assert optuna_cli() == 0
        return capsys.readouterr().out

    assert "guess/plain" in optuna("studies")
    (best,) = result.best
    told = json.loads(optuna("best-trial", "--study-name", "guess/plain", "-f", "json"))
    assert told["number"] == best.run.trial
    assert len(json.loads(optuna("trials", "--study-name", "guess/plain", "-f", "json"))) == 2
    optuna("ask", "--study-name", "guess/plain", "--search-space", "{}")  # a trial of no run
    assert lab.sweep()[0].tally.done == 2
    with open_storage(None, lab.root) as storage:
        trials = storage.get_all_trials(storage.get_study_id_from_name("guess/plain"))
    assert [trial.state for trial in trials] == [*[TrialState.COMPLETE] * 2, TrialState.RUNNING]


def test_a_comparison_of_a_search_is_one_of_its_winners(lab):
    """Two arms of three trials, the best of each on two fresh seeds; of `masked` one fails."""
    lab.write(seeds=[5], arms=TWO_ARMS, sweep=lab.search(trials=3, fresh_seeds=2))
    lab.child()
    first, _ = lab.sweep("sweep.fresh_seeds=0")
    assert compare_runs(lab.root).ranks_trials
    lab.child(**{f"{first.best[1].run.folder.partition('/')[0]}__7": "diverged"})
    result, _ = lab.sweep(workers=2)
    comparison = compare_runs(lab.root)
    assert [arm.name for arm in comparison.arms] == ["plain", "masked"]
    for arm, best, one in zip(comparison.arms, result.best, result.confirmed, strict=True):
        assert {run.trial for run in arm.runs} == {best.run.trial}
        assert [run.seed for run in arm.runs] == [6, 7]
        assert arm.values("eval/cloze_loss") == one.found
    assert comparison.rows("eval/cloze_loss")[1].difference.by_seed.keys() == {6}
    said = " ".join(compare_experiment(lab.root).split())
    assert "Left out: masked seed 7 diverged at step 1 of 4" in said
    assert f"plain: trial {result.best[0].run.trial} of 3 (optim.lr = " in said
    assert [len(one.trials) for one in read_searches(lab.root)] == [3, 3]


def test_the_winners_are_known_from_when_they_are_made_again(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=2, fresh_seeds=1))
    lab.child()
    told = []

    def command(run: Path) -> list[str]:
        told.append((run.name, read_findings(lab.root)))
        return lab.command(run)

    result, _ = lab.sweep(command=command)
    assert [(seed, found is not None) for seed, found in told] == [
        ("seed-0", False),
        ("seed-0", False),
        ("seed-1", True),
    ]
    [best] = told[-1][1]["arms"]["plain"]["best"]
    assert (best["trial"], best["fresh"]) == (result.best[0].run.trial, {})


def test_trials_that_all_come_to_the_same_have_no_importance(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=10).replace("1e-1", "1.0001e-5"))
    lab.child()
    lab.sweep(workers=2)
    found = read_findings(lab.root)["arms"]["plain"]
    assert len(found["trials"]) == 10
    assert all(isinstance(share, float) for share in (found["importance"] or {}).values())
