"""A sweep that is stopped, or killed, goes on where it was when the same command is given again."""

from __future__ import annotations

import os
import signal

import pytest

from clozebox.sweep.study import open_storage


def test_ctrl_c_saves_the_children_and_the_next_sweep_resumes_them(lab, wait_until):
    lab.write(seeds=[0])
    lab.child(steps=40, delay=0.05)
    process = lab.start(workers=2)
    running = [lab.root / arm / "seed-0" / "saved.txt" for arm in ("plain", "masked")]
    wait_until(lambda: all(file.exists() for file in running))
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert "2 run(s) save what they have" in printed
    assert lab.status("plain/seed-0")["state"] == "interrupted"
    lab.child(steps=40)
    result, _ = lab.sweep(workers=2)
    assert result.tally.done == 3
    assert {folder: len(starts) for folder, starts in lab.starts().items()} == {
        "plain/seed-0": 2,
        "masked/seed-0": 2,
        "wide/seed-0": 1,
    }
    assert lab.starts()["plain/seed-0"][1] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_exit_code_names_the_signal(lab, interrupt_soon, number):
    lab.write(seeds=[0])
    lab.child(steps=100, delay=0.05)
    interrupt_soon(lab.root / "plain" / "seed-0" / "saved.txt", number)
    result, _ = lab.sweep()
    assert result.exit_code == 128 + number
    assert lab.status("plain/seed-0")["state"] == "interrupted"
    assert not (lab.root / "masked").exists()


def test_a_second_ctrl_c_kills_a_child_that_does_not_listen(lab, interrupt_soon):
    lab.write(seeds=[0])
    lab.child(steps=1000, delay=0.05, plain__0="deaf")
    for number in (signal.SIGINT, signal.SIGTERM):
        interrupt_soon(lab.root / "plain" / "seed-0" / "saved.txt", number)
    result, _ = lab.sweep()
    assert result.stopped_by is not None
    assert lab.status("plain/seed-0")["state"] == "running"
    lab.child(steps=2)
    assert lab.sweep()[0].tally.done == 3


def test_a_run_of_a_killed_sweep_resumes_from_its_checkpoint(lab, wait_until):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n')
    lab.child(steps=60, delay=0.05)
    process = lab.start(workers=1)
    wait_until((lab.root / "plain" / "seed-0" / "saved.txt").exists)
    process.kill()
    process.wait()
    os.kill(lab.status("plain/seed-0")["pid"], signal.SIGKILL)
    lab.child(steps=60)
    result, _ = lab.sweep()
    assert result.tally.done == 1
    begun, resumed = lab.starts()["plain/seed-0"]
    assert begun == 0 and resumed > 0


def test_a_child_that_outlives_its_killed_sweep_is_waited_for(lab, wait_until):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n')
    lab.child(steps=40, delay=0.05)
    process = lab.start(workers=1)
    wait_until((lab.root / "plain" / "seed-0" / "saved.txt").exists)
    process.kill()
    process.wait()
    result, printed = lab.sweep()
    assert result.tally.done == 1
    assert lab.starts() == {"plain/seed-0": [0]}
    assert "waiting for another process's plain seed 0" in printed


def test_an_interrupted_trial_keeps_its_number(lab, interrupt_soon):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n', sweep=lab.search(trials=2))
    lab.child(steps=100, delay=0.05)
    folder = lab.root / "plain.trial-0" / "seed-0"
    interrupt_soon(folder / "saved.txt", signal.SIGTERM)
    lab.sweep()
    values = (folder / "trial.json").read_text()
    lab.child(steps=100)
    assert lab.sweep()[0].tally.done == 2
    assert (folder / "trial.json").read_text() == values
    with open_storage(None, lab.root) as storage:
        study_id = storage.get_study_id_from_name("guess/plain")
        assert [trial.number for trial in storage.get_all_trials(study_id)] == [0, 1]


def test_a_sweep_that_breaks_takes_its_children_with_it(lab, monkeypatch):
    lab.write(seeds=[0])
    lab.child(steps=1000, delay=0.05)

    def broken(self):
        if all((lab.root / arm / "seed-0" / "saved.txt").exists() for arm in ("plain", "masked")):
            raise OSError("no space left on device")

    monkeypatch.setattr("clozebox.sweep.job.Job.follow", broken)
    with pytest.raises(OSError, match="no space"):
        lab.sweep(workers=2)
    assert lab.status("plain/seed-0")["state"] == "interrupted"
    assert lab.status("masked/seed-0")["state"] == "interrupted"
    monkeypatch.undo()
    lab.child(steps=3)
    assert lab.sweep()[0].tally.done == 3
