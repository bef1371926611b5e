"""Whoever is killed, and whenever: each run ends once, as what it is, and none is left behind."""

from __future__ import annotations

import re
from datetime import timedelta

import optuna
from optuna.trial import TrialState
from tests.core.sweep.killing import Killing, faults_of

from clozebox.sweep import trials
from clozebox.sweep.study import open_storage

ONE_ARM = '[[arm]]\nname = "plain"\n'
TWO_ARMS = ONE_ARM + '[[arm]]\nname = "masked"\noptim.lr = 2e-3\n'


def test_a_killed_run_goes_on_from_its_checkpoint_as_long_as_it_comes_farther(lab):
    lab.write(seeds=[0], arms=TWO_ARMS)
    lab.child(steps=5, plain__0="killed")  # after each step
    result, printed = lab.sweep()
    assert lab.starts()["plain/seed-0"] == [0, 1, 2, 3, 4, 5]
    assert (result.tally.done, result.exit_code) == (2, 0)
    assert "plain seed 0 interrupted  killed by SIGKILL; it will be resumed" in printed


def test_a_run_that_is_killed_at_the_same_place_is_given_up(lab):
    lab.write(seeds=[0], arms=TWO_ARMS)
    lab.child(plain__0="doomed")
    result, _ = lab.sweep()
    assert lab.starts() == {"masked/seed-0": [0], "plain/seed-0": [0] * 5}
    assert lab.status("plain/seed-0")["state"] == "failed"
    assert result.tally.done == 1
    lab.child()
    assert lab.sweep(retry_failed=True)[0].tally.done == 2


def test_a_run_that_gives_no_sign_of_life_is_ended_and_the_others_go_on(lab):
    lab.write(seeds=[0], arms=TWO_ARMS, sweep="[sweep]\nhang_after = 0.4\n")
    lab.child(plain__0="stuck")
    result, printed = lab.sweep()
    assert result.tally.done == 1
    (failure,) = result.tally.failed
    assert re.match(r"hung: [0-9.]+ s without a sign of life", failure.reason)
    assert lab.status("plain/seed-0")["state"] == "failed"
    assert "plain seed 0 hung" in printed


def test_a_slow_run_is_not_taken_for_one_that_hangs(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep="[sweep]\nhang_after = 0.5\n")
    lab.child(steps=6, delay=0.2)
    assert lab.sweep()[0].tally.done == 1


def test_a_run_that_another_process_was_quicker_to_train_waits_for_its_turn(lab, monkeypatch):
    lab.write(seeds=[0], arms=ONE_ARM)
    lab.child(plain__0="busy")
    real, begun = lab.command, []

    def command(run):
        begun.append(run)
        if len(begun) == 3:
            lab.child()
        return real(run)

    result, _ = lab.sweep(command=command)
    assert (result.tally.done, len(begun)) == (1, 3)


def test_a_trial_that_was_being_taken_when_its_sweep_died_is_waited_for(lab, monkeypatch):
    monkeypatch.setattr(trials, "HANDOVER", timedelta(seconds=0.5))
    lab.write(seeds=[0], arms=ONE_ARM)
    lab.child()
    lab.root.mkdir(exist_ok=True)
    with open_storage(None, lab.root) as storage:  # marked as running, and no more than that
        study = optuna.create_study(study_name="guess", storage=storage)
        facts = {"folder": "plain/seed-0", "arm": "plain", "seed": 0, "retry": False}
        study.enqueue_trial({}, user_attrs=facts)
        (waiting,) = study.trials
        storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
    result, _ = lab.sweep()
    assert result.tally.done == 1
    assert lab.starts() == {"plain/seed-0": [0]}


def test_four_workers_forty_trials_and_six_kills(lab):
    lab.write(seeds=[0], arms=ONE_ARM, sweep=lab.search(trials=40))
    lab.child(steps=4, delay=0.02)
    told = Killing(lab, sweeps=2, workers=2, seed=1).kill(6)
    assert told.kills >= 6 and told.of_sweeps >= 2 and told.of_runs >= 2
    result, _ = lab.sweep(workers=4)
    assert (result.tally.done, result.tally.ended, result.tally.training) == (40, 40, ())
    assert faults_of(lab, 40) == []
