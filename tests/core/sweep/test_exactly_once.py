"""Every run is trained once, whoever sweeps, however often, and whatever became of the study."""

from __future__ import annotations

import fcntl
import json

from clozebox.sweep.lock import FolderLock
from clozebox.sweep.run_queue import RunQueue

RUNS = [f"{arm}/seed-{seed}" for arm in ("masked", "plain", "wide") for seed in (0, 4)]


def test_three_workers_train_each_run_exactly_once(lab):
    lab.write(seeds=[0, 4])
    lab.child(delay=0.01)
    result, printed = lab.sweep(workers=3)
    assert lab.starts() == dict.fromkeys(RUNS, [0])
    assert (result.tally.done, result.exit_code) == (6, 0)
    assert "[6/6]" in printed and "eval/cloze_loss 3" in printed


def test_a_second_sweep_trains_nothing(lab):
    lab.write(seeds=[0, 4])
    lab.child()
    lab.sweep(workers=2)
    result, printed = lab.sweep(workers=2)
    assert lab.starts() == dict.fromkeys(RUNS, [0])
    assert (result.tally.done, printed) == (6, "")


def test_a_done_run_is_not_trained_again_after_the_study_is_deleted(lab):
    lab.write(seeds=[0, 4])
    lab.child()
    lab.sweep(workers=2)
    (lab.root / "study.db").unlink()
    result, _ = lab.sweep()
    assert lab.starts() == dict.fromkeys(RUNS, [0])
    assert result.tally.done == 6
    assert [best.label for best in result.best] == ["plain seed 0", "masked seed 0", "wide seed 0"]


def test_a_run_whose_folder_was_deleted_is_trained_again(lab):
    lab.write(seeds=[0])
    lab.child()
    lab.sweep()
    folder = lab.root / "plain" / "seed-0"
    for file in folder.iterdir():
        file.unlink()
    result, _ = lab.sweep()
    assert lab.starts() == {f"{arm}/seed-0": [0] for arm in ("masked", "plain", "wide")}
    assert result.tally.done == 3


def test_two_sweeps_at_once_share_the_work(lab):
    lab.write(seeds=[0, 4])
    lab.child(delay=0.1)
    first, second = lab.start(workers=1), lab.start(workers=1)
    printed = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), printed
    assert lab.starts() == dict.fromkeys(RUNS, [0])
    trained = [text.count(" done ") for text in printed]
    assert sum(trained) == 6 and min(trained) >= 1


def test_a_locked_folder_is_passed_over_until_it_is_let_go(lab, monkeypatch):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n[[arm]]\nname = "wide"\noptim.lr = 5e-3\n')
    lab.child()
    lock = FolderLock.acquire(lab.root / "plain" / "seed-0")
    real, begun = FolderLock.try_acquire, []

    def note(folder):
        begun.append(folder.parent.name)
        if begun.count("plain") == 3:
            lock.release()
        return real(folder)

    monkeypatch.setattr(FolderLock, "try_acquire", note)
    result, printed = lab.sweep()
    assert result.tally.done == 2
    assert printed.index("wide seed 0 done") < printed.index("plain seed 0 done")
    assert "waiting for another process's plain seed 0" in printed


def test_a_run_that_is_trained_without_a_sweep_is_passed_over_until_it_is_let_go(lab, monkeypatch):
    lab.write(seeds=[0], arms='[[arm]]\nname = "plain"\n[[arm]]\nname = "wide"\noptim.lr = 5e-3\n')
    lab.child(plain__0="failed")  # as it would, could it not lock its directory
    folder = lab.root / "plain" / "seed-0"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        real, looks = RunQueue.claim, []

        def note(queue):
            looks.append(queue)
            if len(looks) == 4:
                lab.child()
                lock.close()
            return real(queue)

        monkeypatch.setattr(RunQueue, "claim", note)
        result, printed = lab.sweep()
    assert (result.tally.done, result.tally.failed) == (2, ())
    assert printed.index("wide seed 0 done") < printed.index("plain seed 0 done")
    assert "waiting for another process's plain seed 0" in printed


def test_children_share_the_cores_unless_the_run_says_how_many(lab, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    arms = '[[arm]]\nname = "a"\n[[arm]]\nname = "b"\noptim.lr = 5e-3\nspeed.threads = 3\n'
    lab.write(seeds=[0], arms=arms)
    script = 'echo "{\\"threads\\": \\"$OMP_NUM_THREADS\\"}" > threads.json'
    lab.sweep(workers=1000, command=lambda run: ["sh", "-c", f"cd {run}; {script}"])
    threads = {
        arm: json.loads((lab.root / arm / "seed-0" / "threads.json").read_text())["threads"]
        for arm in ("a", "b")
    }
    assert threads == {"a": "1", "b": ""}
