"""`[[phase]]`: one group of objectives after another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clozebox.config import Experiment
from clozebox.config.settings import Arm

Load = Callable[..., Experiment]
Problems = Callable[..., list[str]]

TWO = """\
corpus = "lines"
objectives = ["mlm", "forward"]
masking = { name = "token", rate = 0.15 }
budget.steps = 11
"""
PHASES = """\
[[phase]]
share = 0.3
objectives = ["forward"]
[[phase]]
share = 0.7
objectives = ["mlm", "forward"]
"""
INLINE = (
    'phase = [{ share = 0.3, objectives = ["forward"] }, { share = 0.7, objectives = ["mlm"] }]'
)


def phases_of(arm: Arm) -> list[tuple[float, tuple[str, ...]]]:
    return [(phase.share, phase.objectives) for phase in arm.phases]


def test_phases_follow_one_another_for_every_arm(load: Load) -> None:
    arms = load(f'{TWO}{PHASES}[[arm]]\nname = "a"\n[[arm]]\nname = "b"\noptim.lr = 0.5\n').arms
    expected = [(0.3, ("forward",)), (0.7, ("mlm", "forward"))]
    assert [phases_of(arm) for arm in arms] == [expected, expected]


def test_an_arm_can_have_phases_of_its_own_or_none(load: Load) -> None:
    text = f"""{TWO}{PHASES}
[[arm]]
name = "shared"
[[arm]]
name = "own"
[[arm.phase]]
share = 1.0
objectives = ["forward", "mlm"]
[[arm]]
name = "none"
phase = []
"""
    shared, own, none = load(text).arms
    assert len(shared.phases) == 2
    assert phases_of(own) == [(1.0, ("forward", "mlm"))]
    assert none.phases == ()


def test_phases_can_be_set_from_the_command_line(load: Load) -> None:
    (arm,) = load(TWO + PHASES, f"{INLINE}").arms
    assert phases_of(arm) == [(0.3, ("forward",)), (0.7, ("mlm",))]
    (arm,) = load(TWO + PHASES, "phase=[]").arms
    assert arm.phases == ()


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        (
            PHASES.replace('"mlm"', '"mml"'),
            ":10: phase.1.objectives: 'mml' is not in objectives; did you mean 'mlm'? (allowed: ",
        ),
        (
            PHASES.replace('["mlm", "forward"]', '["forward"]'),
            ":5: phase: no phase learns from mlm",
        ),
        (
            PHASES.replace('["mlm", "forward"]', '["mlm", "mlm"]'),
            ":10: phase.1.objectives: names an objective twice",
        ),
        (
            PHASES.replace("0.7", "0.6"),
            ":5: phase: the shares must sum to 1 (got 0.3 + 0.6 = 0.9)",
        ),
        (
            PHASES.replace("0.7", "0.8"),
            ":5: phase: the shares must sum to 1 (got 0.3 + 0.8 = 1.1)",
        ),
        (PHASES.replace("0.7", "0.0"), ":9: phase.1.share: must be greater than 0 (got 0.0)"),
        (PHASES.replace("0.7", '"x"'), ':9: phase.1.share: must be a valid number (got "x")'),
        (PHASES.replace("share = 0.7\n", ""), ":8: phase.1.share: must be given"),
        (PHASES.replace('["forward"]', "[]"), ":7: phase.0.objectives: "),
        (PHASES.replace('["forward"]', '"forward"'), ":7: phase.0.objectives: must be a valid "),
        (PHASES + "steps = 3\n", ":11: phase.1.steps: unknown key (allowed: objectives, share)"),
        (
            PHASES.replace("share = 0.3", "shar = 0.3"),
            ":6: phase.0.shar: unknown key; did you mean",
        ),
        ("phase = 3\n", ":5: phase: must be a valid "),
        ("phase = ['mlm']\n", ":5: phase.0: "),
    ],
)
def test_what_is_wrong_with_a_phase_is_said_where_it_was_given(
    problems: Problems, phases: str, said: str
) -> None:
    told = problems(TWO + phases)
    assert any(line.startswith(f"question.toml{said}") for line in told), told


def test_a_phase_of_one_arm_is_told_at_its_own_line(problems: Problems) -> None:
    text = f"""{TWO}[[arm]]
name = "plain"
[[arm]]
name = "phased"
[[arm.phase]]
share = 1.0
objectives = ["mlm", "backward"]
"""
    told = problems(text)
    assert told[0].startswith("question.toml:9: phase: no phase learns from forward"), told
    assert told[1].startswith(
        "question.toml:11: phase.0.objectives: 'backward' is not in objectives"
    )


def test_a_phase_of_the_command_line_is_told_as_given(problems: Problems) -> None:
    override = INLINE.replace('"mlm"', '"mml"').replace(" ", "")
    told = problems(TWO, override)
    assert any(line.startswith(f"--set {override}: phase.1.objectives: 'mml' is") for line in told)


def test_a_misspelt_objective_is_told_once_and_not_by_every_phase(problems: Problems) -> None:
    (told,) = problems(TWO.replace('"mlm", ', '"mml", ') + PHASES)
    assert told.startswith("question.toml:2: objectives: no objective is named 'mml'")
    (told,) = problems(TWO.replace('objectives = ["mlm", "forward"]', "objectives = 3") + PHASES)
    assert told.startswith("question.toml:2: objectives: must be")


def test_shares_must_fit_in_every_phase(load: Load, problems: Problems) -> None:
    shares = "objective.mlm.share = 0.5\nobjective.forward.share = 0.5\n"
    (told,) = problems(TWO + shares + PHASES)
    assert told.startswith(
        "question.toml:6: objective.forward.share: the shares are 0.5: nothing learns from"
    )
    both = PHASES.replace('["forward"]', '["forward", "mlm"]')
    assert len(load(TWO + shares + both).arms[0].phases) == 2


@pytest.mark.parametrize("third", ["0.3333333", "0.333333"])
def test_thirds_of_the_training_may_be_rounded(load: Load, third: str) -> None:
    turns = ["forward", "mlm", "forward"]
    phases = [f'[[phase]]\nshare = {third}\nobjectives = ["{turn}"]\n' for turn in turns]
    (arm,) = load(TWO + "".join(phases)).arms
    assert [arm.objectives_at(step / 9)[0] for step in range(9)] == [
        turn for turn in turns for _ in range(3)
    ]
