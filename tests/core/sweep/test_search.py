"""A search draws values within the space, gives up on hopeless trials, and can be repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clozebox.errors import UserError
from clozebox.sweep.study import open_storage

ONE_ARM = '[[arm]]\nname = "plain"\n'


def values_of(root: Path) -> dict[str, float]:
    return {
        file.parents[1].name: json.loads(file.read_text())["optim.lr"]
        for file in root.glob("*/*/trial.json")
    }


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_every_sampler_trains_with_values_of_the_space(lab, sampler):
    if sampler in ("qmc", "gp"):
        pytest.importorskip("scipy")
    lab.write(seeds=[3], arms=ONE_ARM, sweep=lab.search(trials=3, sampler=sampler))
    lab.child()
    result, _ = lab.sweep()
    assert result.tally.done == 3
    drawn = values_of(lab.root)
    assert len(set(drawn.values())) == 3
    for name, value in drawn.items():
        resolved = json.loads((lab.root / name / "seed-3" / "resolved.json").read_text())
        assert resolved["settings"]["optim"]["lr"] == value
        assert 1e-5 <= value <= 1e-1
        assert (resolved["arm"], f"plain.trial-{resolved['trial']}") == ("plain", name)
    (best,) = result.best
    results = [lab.status(f"{name}/seed-3")["result"] for name in drawn]
    assert best.value == min(result["eval/cloze_loss"] for result in results)


def test_random_search_tries_the_same_points_on_every_arm_with_any_number_of_workers(lab):
    lab.write(seeds=[0], sweep=lab.search(trials=3))
    lab.child()
    lab.sweep(workers=4)
    drawn = values_of(lab.root)
    for trial in range(3):
        assert len({drawn[f"{arm}.trial-{trial}"] for arm in ("plain", "masked", "wide")}) == 1
    assert len(set(drawn.values())) == 3


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_every_pruner_gives_up_for_good_on_trials_that_lag_behind(lab, pruner):
    # At this seed the sixth trial draws the worst rate of all, once the median has five to go by.
    lab.write(seeds=[2], arms=ONE_ARM, sweep=lab.search(trials=6, pruner=pruner))
    lab.child(steps=4, drag=0.1)
    result, printed = lab.sweep()
    assert "plain trial 5 pruned" in printed
    assert result.tally.done + result.tally.pruned == 6
    assert result.exit_code == 0
    starts = lab.starts()
    again, _ = lab.sweep()
    assert (again.tally, lab.starts()) == (result.tally, starts)


def test_a_diverged_trial_is_a_lesson_and_not_a_failure(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=2))
    lab.child(**{"plain.trial-1__0": "diverged"})
    result, _ = lab.sweep()
    assert (result.tally.done, result.tally.pruned, result.exit_code) == (1, 1, 0)
    assert [dropped.reason for dropped in result.tally.dropped] == ["diverged at step 1"]


SOME_WIDTHS = """\
[sweep]
trials = 5
sampler = "random"
pruner = "none"
fresh_seeds = 0
[sweep.space]
"size.hidden_size" = { low = 6, high = 30, integer = true }
"""


def test_values_that_no_arm_can_have_end_their_trial_and_no_other(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=SOME_WIDTHS)
    lab.child()
    result, _ = lab.sweep()
    drawn = [
        json.loads((lab.root / f"plain.trial-{trial}" / "seed-0" / "resolved.json").read_text())
        for trial in range(5)
        if f"plain trial {trial}" not in {dropped.label for dropped in result.tally.dropped}
    ]
    assert result.tally.done == len(drawn) > 0
    assert result.tally.pruned == len(result.tally.dropped) == 5 - len(drawn) > 0
    assert all(run["settings"]["size"]["hidden_size"] % 3 == 0 for run in drawn)
    assert all("is not divisible by" in dropped.reason for dropped in result.tally.dropped)
    assert result.exit_code == 0
    starts = lab.starts()
    again, _ = lab.sweep()
    assert (again.tally, lab.starts()) == (result.tally, starts)


def test_trials_keep_their_values_when_the_study_is_deleted(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=2, sampler="tpe"))
    lab.child()
    lab.sweep()
    before = values_of(lab.root)
    (lab.root / "study.db").unlink()
    wider = lab.search(trials=3, sampler="tpe").replace("low = 1e-5", "low = 1e-7")
    lab.write(seeds=[0], arms=ONE_ARM, sweep=wider)
    result, _ = lab.sweep()
    assert result.tally.done == 3
    assert lab.starts() == {f"plain.trial-{trial}/seed-0": [0] for trial in range(3)}
    assert values_of(lab.root).items() > before.items()


def test_evaluations_are_reported_once_by_their_share_of_the_budget(lab):
    lab.write(seeds=[0], arms=ONE_ARM)
    lab.child(steps=8)
    lab.sweep()
    with open_storage(None, lab.root) as storage:
        (trial,) = storage.get_all_trials(storage.get_study_id_from_name("guess"))
    assert list(trial.intermediate_values) == [1, 2, 3, 4]
    assert trial.value == trial.intermediate_values[4]
    assert trial.user_attrs["arm"] == "plain"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ('direction = "maximize"', "direction: 'minimize' then, 'maximize' now"),
        ('metric = "eval/mlm_loss"', "metric: 'eval/cloze_loss' then, 'eval/mlm_loss' now"),
    ],
)
def test_a_study_that_was_judged_otherwise_is_refused(lab, other, told):
    lab.write(seeds=[0])
    lab.child()
    lab.sweep()
    lab.write(seeds=[0], sweep=f"[sweep]\n{other}\n")
    with pytest.raises(UserError, match=told):
        lab.sweep()


def test_a_search_that_was_begun_otherwise_is_refused(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=1))
    lab.child()
    lab.sweep()
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=1, sampler="tpe"))
    with pytest.raises(UserError, match="sampler: 'random' then, 'tpe' now"):
        lab.sweep()


def test_integers_steps_and_choices_are_drawn_as_what_they_are(lab):
    space = """\
[sweep]
trials = 3
sampler = "random"
fresh_seeds = 0
[sweep.space]
"train.batch_size" = { low = 8, high = 64, step = 8, integer = true }
"optim.schedule" = { choices = ["cosine", "constant"] }
"optim.warmup" = { low = 0.0, high = 0.5, step = 0.25 }
"""
    lab.write(seeds=[0], arms=ONE_ARM, sweep=space)
    lab.child()
    lab.sweep()
    for file in lab.root.glob("*/*/trial.json"):
        values = json.loads(file.read_text())
        assert isinstance(values["train.batch_size"], int)
        assert values["train.batch_size"] in range(8, 65, 8)
        assert values["optim.schedule"] in ("cosine", "constant")
        assert values["optim.warmup"] in (0.0, 0.25, 0.5)
