"""What `[sweep.space]` may search."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from clozebox.config import Experiment, Sandbox

Load = Callable[..., Experiment]
Problems = Callable[..., list[str]]

TWO_ARMS = """\
corpus = "lines"
objectives = ["mlm"]
masking = { name = "token", rate = 0.15 }
budget.steps = 11
[[arm]]
name = "token"
[[arm]]
name = "forward"
objectives = ["forward"]
masking.name = "none"
"""

SPACE = '[sweep.space]\n"optim.lr" = { low = 1e-4, high = 5e-3, log = true }\n'


def test_a_search_space_of_settings_is_taken(load: Load, ground: str) -> None:
    text = f'{ground}sweep.trials = 7\n{SPACE}size = {{ choices = ["tiny", "mini"] }}\n'
    sweep = load(text).sweep
    assert sweep.trials == 7
    assert sweep.space["size"].choices == ("tiny", "mini")


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        ('"optim.lrr" = { low = 0.1, high = 0.2 }', "unknown key; did you mean 'lr'?"),
        ('"masking.rate" = { low = 0.1, high = 1.2 }', "must be less than 1 (got 1.2)"),
        ('"masking.max_span" = { low = 1, high = 5, integer = true }', "unknown key"),
        ('size = { choices = ["tiny", "mnii"] }', "did you mean 'mini'?"),
        ('"optim.decay" = { low = 0.1, high = 0.2 }', "only schedule 'wsd' reads it"),
        ('"speed.threads" = { choices = [1, 2] }', "it never changes the result"),
        ('"seeds" = { choices = [1, 2] }', "unknown key"),
        ('"train.batch_size" = { low = 8, high = 32 }', "must be a valid integer"),
        ('"masking.rate" = { low = 0.3, high = 0.2 }', "low 0.3 is not below high 0.2"),
        ('"optim.lr" = { low = 1e-3, high = 1.0, log = true, step = 0.1 }', "either log or step"),
        ('"optim.lr" = { low = 0.5, high = 3, integer = true }', "whole low, high and step"),
        ('"optim.lr" = { low = 1, high = 3, step = 0.5, integer = true }', "whole low, high and"),
        ('"optim.lr" = { low = 0.1, high = 1, step = 0.4 }', "not a multiple of step 0.4"),
        ('"optim.lr" = { choices = [] }', "choices is empty"),
        ('"optim.lr" = { choices = [0.1, 0.2], step = 0.1 }', "give either low and high"),
        ('"optim.lr" = { choices = [0.1, 0.2], low = 0.1 }', "give either low and high"),
        ('"train.log_every" = { choices = [1, 2] }', "it never changes the result"),
        ('"masking.rate" = { lo = 0.3, high = 0.2 }', "unknown key; did you mean 'low'?"),
    ],
)
def test_a_search_that_an_arm_cannot_take_is_told_before_any_run(
    problems: Problems, ground: str, dimension: str, said: str
) -> None:
    told = problems(f"{ground}[sweep.space]\n{dimension}\n")
    assert any(line.startswith("question.toml:6: sweep.space.") and said in line for line in told)


@pytest.mark.parametrize("step", ["0.1", "0.05", "0.9"])
def test_a_step_that_divides_the_range_but_for_rounding_is_taken(
    load: Load, ground: str, step: str
) -> None:
    dimension = f'"masking.rate" = {{ low = 0.05, high = 0.95, step = {step} }}'
    assert load(f"{ground}[sweep.space]\n{dimension}\n").sweep.space["masking.rate"].step


def test_a_search_takes_one_seed(load: Load, problems: Problems, ground: str) -> None:
    (told,) = problems(f"{ground}seeds = [4, 7]\n{SPACE}")
    assert told.startswith("question.toml:5: seeds: must be one (got [4, 7]): a search trains")
    assert load(f"{ground}seeds = [4]\n{SPACE}").seeds == (4,)


def test_seeds_that_the_checkout_shares_are_no_fault_of_a_search(
    load: Load, ground: str, sandbox: Sandbox
) -> None:
    origins = {("seeds",): "sandbox.toml:3"}
    shared = replace(sandbox, defaults={"seeds": [4, 7]}, origins=origins)
    assert load(ground + SPACE, sandbox=shared).seeds == (4, 7)


def test_every_arm_must_take_the_search(problems: Problems) -> None:
    dimension = '[sweep.space]\n"masking.rate" = { low = 0.1, high = 0.6 }\n'
    (told,) = problems(TWO_ARMS + dimension)
    assert "in arm 'forward'" in told
    assert "nothing reads it: masking is 'none'" in told


def test_what_a_dimension_says_together_is_kept_for_the_arms_it_suits(load: Load) -> None:
    assert load(TWO_ARMS + SPACE).sweep.space["optim.lr"].log
