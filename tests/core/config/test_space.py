"""Dimensions with conditions, and grids."""

from collections.abc import Callable

import pytest

from clozebox.config import Experiment, SearchSpace, settings_of
from clozebox.config.space import combinations, contexts, drawn_here

Load = Callable[..., Experiment]
Problems = Callable[..., list[str]]

NAMES = '"masking.name" = { choices = ["token", "span"] }\n'
SPANS = """\
"masking.max_span" = { low = 2, high = 4, integer = true, when = { "masking.name" = "span" } }
"""
RATES = '"masking.rate" = { choices = [0.2, 0.4] }\n'


def test_a_dimension_is_tried_where_its_condition_can_hold(load: Load, ground: str) -> None:
    space = load(f"{ground}[sweep.space]\n{NAMES}{SPANS}").sweep.space
    arm = {"masking": {"name": "token"}}
    assert list(contexts("masking.max_span", space, arm)) == [{"masking.name": "span"}]
    assert drawn_here(space["masking.max_span"], {"masking.name": "span"}, arm)
    assert not drawn_here(space["masking.max_span"], {"masking.name": "token"}, arm)


def test_a_condition_may_be_met_by_an_arm_of_its_own(load: Load, ground: str) -> None:
    arms = '[[arm]]\nname = "token"\n[[arm]]\nname = "span"\nmasking.name = "span"\n'
    asked = load(f"{ground}[sweep.space]\n{SPANS}{arms}")
    token, span = (settings_of(arm) for arm in asked.arms)
    assert combinations(asked.sweep.space, token) == [{}]
    assert combinations(asked.sweep.space, span) == [{"masking.max_span": n} for n in (2, 3, 4)]


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (SPANS + NAMES, "must stand after 'masking.name'"),
        (SPANS, "is never drawn: no arm ever has"),
        (NAMES + SPANS.replace('"span"', '"spam"'), "is never drawn"),
        (NAMES + SPANS.replace("high = 4", "high = 4.5"), "whole low, high and step"),
        (NAMES + SPANS.replace("low = 2", "low = 0"), "greater than or equal to 1"),
        (NAMES + 'masking = { choices = ["token", "span"] }\n', "under its other name"),
    ],
)
def test_a_condition_that_cannot_work_is_told(
    problems: Problems, ground: str, space: str, said: str
) -> None:
    assert any(said in line for line in problems(f"{ground}[sweep.space]\n{space}"))


def test_a_grid_holds_every_combination_that_its_conditions_leave(load: Load, ground: str) -> None:
    text = f'{ground}sweep.sampler = "grid"\n[sweep.space]\n{NAMES}{SPANS}{RATES}'
    asked = load(text)
    points = combinations(asked.sweep.space, settings_of(asked.arms[0]))
    token = [{"masking.name": "token", "masking.rate": rate} for rate in (0.2, 0.4)]
    assert points[:2] == token
    assert len(points) == 2 + 3 * 2
    assert len({tuple(point.items()) for point in points}) == 8


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        ({"low": 0.1, "high": 0.3, "step": 0.1}, (0.1, 0.2, 0.3)),
        ({"low": 2, "high": 4, "integer": True}, (2, 3, 4)),
        ({"low": 8, "high": 24, "step": 8, "integer": True}, (8, 16, 24)),
    ],
)
def test_ranges_with_steps_are_grids(dimension: dict, values: tuple) -> None:
    found = [one["x"] for one in combinations({"x": SearchSpace(**dimension)}, {})]
    assert found == pytest.approx(list(values))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('sampler = "grid"\n', "sampler 'grid' tries every value: give choices, or a step"),
        ('sampler = "brute_force"\n', "sampler 'brute_force' tries every value"),
        ('sampler = "grid"\ntrials = 3\n', "nothing reads it: a grid is tried whole"),
        ('against = "flops"\npruner = "median"\n', "must be 'none' with sweep.against"),
        ('against = "flops"\n', "every trial spends the same flops"),
        ("fresh_seeds = -1\n", "greater than or equal to 0"),
    ],
)
def test_options_that_do_not_go_with_the_search_are_told(
    problems: Problems, ground: str, lines: str, said: str
) -> None:
    ground = ground.replace("budget.steps = 11", "budget.flops = 1e9")
    space = '[sweep.space]\n"optim.lr" = { low = 1e-4, high = 1e-3 }\n'
    assert any(said in line for line in problems(f"{ground}[sweep]\n{lines}{space}"))
