"""A run that comes to nothing is told with its reason, and stops no other."""

from __future__ import annotations

import pytest

from clozebox.errors import UserError


@pytest.mark.parametrize(
    ("accident", "reason"),
    [
        ("failed", "failed at step 1"),
        ("diverged", "diverged at step 1"),
        ("crash", "exit code 1: ZeroDivisionError: by zero"),
        (
            "doomed",
            "killed by SIGKILL, 5 times without coming farther than step 0; it may want more "
            "memory than there is",
        ),
        ("silent", "the run is done but reports no 'eval/cloze_loss' (it reports: eval/other)"),
    ],
)
def test_the_others_go_on_and_the_reason_is_told(lab, accident, reason):
    lab.write(seeds=[0])
    lab.child(masked__0=accident)
    result, printed = lab.sweep()
    assert result.exit_code == 1
    assert result.tally.done == 2
    (failure,) = result.tally.failed
    assert (failure.label, failure.reason) == ("masked seed 0", reason)
    assert failure.log == lab.root / "masked" / "seed-0" / "log.txt"
    assert failure.log.exists()
    assert reason in printed


@pytest.mark.parametrize("accident", ["failed", "crash"])
def test_a_failed_run_is_tried_again_only_when_asked(lab, accident):
    lab.write(seeds=[0])
    lab.child(masked__0=accident)
    lab.sweep()
    lab.child()
    again, _ = lab.sweep()
    assert again.exit_code == 1
    assert lab.starts()["masked/seed-0"] == [0]
    retried, _ = lab.sweep(retry_failed=True)
    assert (retried.exit_code, retried.tally.done) == (0, 3)
    assert lab.starts() == {"masked/seed-0": [0, 1], "plain/seed-0": [0], "wide/seed-0": [0]}


def test_a_failed_run_stays_failed_after_the_study_is_deleted(lab):
    lab.write(seeds=[0])
    lab.child(masked__0="failed")
    lab.sweep()
    (lab.root / "study.db").unlink()
    lab.child()
    result, _ = lab.sweep()
    assert [failure.reason for failure in result.tally.failed] == ["failed at step 1"]
    assert lab.starts()["masked/seed-0"] == [0]


def test_an_old_failure_is_not_taken_for_the_new_one(lab):
    lab.write(seeds=[0])
    lab.child(masked__0="failed")
    lab.sweep()
    result, _ = lab.sweep(
        retry_failed=True, command=lambda run: ["sh", "-c", "echo no such plugin; exit 2"]
    )
    assert [failure.reason for failure in result.tally.failed] == ["exit code 2: no such plugin"]


def test_a_storage_that_cannot_be_opened_is_the_users_error(lab):
    lab.write(seeds=[0])
    with pytest.raises(UserError, match="cannot open the study at nonsense://"):
        lab.sweep(storage="nonsense://nowhere")
