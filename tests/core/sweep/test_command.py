"""`clozebox sweep`: what it prints, and how it exits."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clozebox.cli.context import Opened
from clozebox.cli.sweep import sweep
from clozebox.config import find_sandbox
from clozebox.errors import UserError
from clozebox.sweep import run_sweep


@pytest.fixture
def invoke(lab, monkeypatch) -> Any:
    sandbox = find_sandbox(lab.folder)
    monkeypatch.setattr("clozebox.cli.sweep.open_sandbox", lambda: Opened(sandbox, lab.registry))
    fake = functools.partial(run_sweep, command=lab.command)
    monkeypatch.setattr("clozebox.sweep.run_sweep", fake)

    def invoke(*options: str) -> Result:
        return CliRunner().invoke(sweep, [str(lab.file), *options], catch_exceptions=False)

    return invoke


def test_a_dry_run_prints_the_plan_and_makes_nothing(lab, invoke, monkeypatch):
    monkeypatch.setattr("clozebox.cli.sweep.print_costs", lambda workspace, workers: None)
    lab.write(seeds=[6])
    result = invoke("--dry-run")
    assert result.exit_code == 0
    assert "Which arm guesses best?" in result.output
    assert f"masked seed 6  {lab.root / 'masked' / 'seed-6'}" in result.output
    assert not lab.root.exists()


def test_a_dry_run_names_the_arm_that_cannot_be_trained(lab, invoke):
    lab.write(seeds=[6])
    with pytest.raises(UserError, match="arm masked: NotImplementedError"):
        invoke("--dry-run")


def test_what_cannot_mean_anything_is_said_before_a_run_is_made(lab, invoke):
    lab.write(seeds=[6], sweep='[sweep]\nmetric = "eval/guess_loss"\n')
    lab.file.write_text('factor = "masking"\n' + lab.file.read_text())
    with pytest.raises(UserError, match="'masked' differs from 'plain' in optim.lr as well"):
        invoke()
    assert not lab.root.exists()


def test_few_seeds_are_a_warning_and_no_more(lab, invoke):
    lab.write(seeds=[0])
    lab.child()
    result = invoke()
    assert result.exit_code == 0
    assert "warning:" in result.output and "one seed" in result.output


def test_a_finished_plan_says_how_to_compare_its_arms(lab, invoke):
    lab.write(seeds=[0])
    lab.child()
    result = invoke("--workers", "2")
    assert result.exit_code == 0
    assert "3 done, 0 pruned, 0 failed of 3 runs" in result.output
    assert f"clozebox compare {lab.file}" in result.output


def test_the_best_of_a_search_is_shown_with_what_fresh_seeds_made_of_it(lab, invoke):
    lab.write(seeds=[0], sweep=lab.search(trials=1, fresh_seeds=2))
    lab.child()
    result = invoke()
    assert result.exit_code == 0
    assert " in the search, " in result.output and "on 2 fresh seed(s)" in result.output
    assert "flatters" not in result.output


def test_a_finished_search_shows_the_best_values_and_warns_of_them(lab, invoke):
    lab.write(seeds=[0], sweep=lab.search(trials=1))
    lab.child()
    result = invoke()
    assert "plain trial 0: eval/cloze_loss" in result.output
    assert "optim.lr = " in result.output
    assert "fresh seeds" in result.output


def test_a_finished_search_lists_the_trials_that_could_not_be_trained(lab, invoke):
    widths = '[sweep]\ntrials = 1\n[sweep.space]\n"size.hidden_size" = '
    lab.write(seeds=[1], sweep=widths + "{ low = 6, high = 3000, integer = true }\n")
    lab.child()
    result = invoke()
    assert result.exit_code == 0
    assert "plain trial 0 pruned: size.hidden_size = " in result.output
    assert "is not divisible by num_attention_heads 3" in result.output


def test_a_failure_shows_its_reason_its_log_and_how_to_retry(lab, invoke):
    lab.write(seeds=[0])
    lab.child(wide__0="failed")
    result = invoke()
    assert result.exit_code == 1
    assert "wide seed 0: failed at step 1" in result.output
    assert str(lab.root / "wide" / "seed-0" / "log.txt") in result.output
    assert "--retry-failed" in result.output
    lab.child()
    assert invoke("--retry-failed").exit_code == 0
