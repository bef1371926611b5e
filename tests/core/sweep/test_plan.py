"""The plan is explicit, ordered for an early comparison, and never mixes settings."""

from __future__ import annotations

import pytest

from clozebox.errors import UserError
from clozebox.sweep import plan_runs


def test_all_arms_of_the_first_seed_come_before_the_second_seed(lab):
    lab.write(seeds=[5, 2])
    folders = [run.folder for run in plan_runs(lab.workspace().experiment)]
    assert folders == [
        "plain/seed-5",
        "masked/seed-5",
        "wide/seed-5",
        "plain/seed-2",
        "masked/seed-2",
        "wide/seed-2",
    ]


def test_a_search_gives_every_arm_as_many_trials_at_its_seed(lab):
    lab.write(seeds=[7], sweep=lab.search(trials=2))
    folders = [run.folder for run in plan_runs(lab.workspace().experiment)]
    assert folders == [
        "plain.trial-0/seed-7",
        "masked.trial-0/seed-7",
        "wide.trial-0/seed-7",
        "plain.trial-1/seed-7",
        "masked.trial-1/seed-7",
        "wide.trial-1/seed-7",
    ]


def test_changed_settings_are_refused_where_runs_were_made_with_others(lab):
    lab.write(seeds=[0])
    lab.child()
    lab.sweep()
    with pytest.raises(UserError, match=r"(?s)plain/seed-0.*optim.weight_decay.*wide/seed-0"):
        lab.sweep("optim.weight_decay=0.5")
    assert lab.starts() == {f"{arm}/seed-0": [0] for arm in ("masked", "plain", "wide")}


def test_new_seeds_and_arms_join_an_experiment_that_ran_before(lab):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n')
    lab.child()
    lab.sweep()
    lab.write(seeds=[3, 0])
    result, _ = lab.sweep(workers=3)
    assert result.tally.done == result.tally.planned == 6
    assert lab.starts()["plain/seed-0"] == [0]
