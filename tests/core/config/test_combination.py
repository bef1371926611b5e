"""How objectives are combined: heads, shares of the sequences, rates, kinds of example."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from clozebox.config import Experiment, arm_of, fingerprint, json_schema, settings_of
from clozebox.registry import Registry

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
HALVES = "objective.mlm.share = 0.5\nobjective.forward.share = 0.5\n"


def test_objectives_share_out_the_sequences_and_may_share_a_head(load: Load) -> None:
    text = f"{TWO}[objective]\nmlm.share = 0.9375\nforward = {{ share = 0.0625, head = 'mlm' }}\n"
    mlm, forward = load(text).arms[0].objectives
    assert (mlm.share, forward.share) == (0.9375, 0.0625)
    assert forward.settings()["head"] == "mlm"
    assert "head" not in mlm.settings()


@pytest.mark.parametrize(
    "extra",
    [
        PHASES,
        "objective = { mlm = { share = 0.1 }, forward = { share = 0.9, head = 'mlm' } }\n",
        "objective.forward.share = 0.5\n",
        HALVES + PHASES.replace('["forward"]', '["mlm", "forward"]'),
        "masking.final_rate = 0.4\n",
        "masking = { name = 'span', rate = 0.3, final_rate = 0.1, schedule = 'cosine' }\n",
        "masking.corruption_rate = 0.4\n",
    ],
)
def test_the_settings_of_an_arm_make_the_same_arm(
    load: Load, registry: Registry, extra: str
) -> None:
    base = TWO.replace('masking = { name = "token", rate = 0.15 }\n', "")
    ground = base + ("" if "masking = {" in extra else 'masking.name = "token"\n')
    (arm,) = load(ground + extra).arms
    settings = json.loads(json.dumps(settings_of(arm)))
    assert arm_of(arm.name, settings, registry) == arm
    assert settings_of(arm_of(arm.name, settings, registry)) == settings
    (plain,) = load(TWO).arms
    assert fingerprint(arm) != fingerprint(plain)


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (
            "mlm.share = 0.5\nforward.share = 0.6\n",
            ":6: objective.mlm.share: the shares exceed 1: 0.5 + 0.6 = 1.1",
        ),
        (
            "mlm.share = 0.5\nforward.share = 0.4\n",
            ":6: objective.mlm.share: the shares are 0.5 + 0.4 = 0.9: nothing learns from",
        ),
        ("mlm.share = 1.2\n", ":6: objective.mlm.share: must be less than or equal to 1 (got 1.2)"),
        ("mlm.share = 0.0\n", ":6: objective.mlm.share: must be greater than 0 (got 0.0)"),
        ("forward.head = 'mml'\n", ":6: objective.forward.head: "),
        ("forward.head = 'forward'\n", ":6: objective.forward.head: must be an objective that pre"),
        ("mlm.head = 'forward'\n", ":6: objective.mlm.head: must be an objective that predicts to"),
        ("mlm.haed = 'forward'\n", ":6: objective.mlm.haed: unknown key; did you mean 'head'?"),
    ],
)
def test_what_objectives_say_of_one_another_must_fit(
    problems: Problems, objective: str, said: str
) -> None:
    (told,) = problems(f"{TWO}[objective]\n{objective}")
    assert told.startswith(f"question.toml{said}"), told


def test_a_head_is_that_of_an_objective_that_predicts_tokens(problems: Problems) -> None:
    text = TWO.replace('["mlm", "forward"]', '["nsp", "mlm"]')
    (told,) = problems(f'{text}objective.mlm.head = "nsp"\n')
    assert told.startswith(
        "question.toml:5: objective.mlm.head: must be an objective that predicts"
    )
    assert "(got 'nsp'; there is none)" in told


@pytest.mark.parametrize("share", ["0.3333333", "0.333333"])
def test_thirds_may_be_rounded(load: Load, share: str) -> None:
    text = TWO.replace('["mlm", "forward"]', '["mlm", "forward", "nsp"]')
    shares = "".join(f"objective.{name}.share = {share}\n" for name in ("mlm", "forward", "nsp"))
    assert len(load(text + shares).arms[0].objectives) == 3


@pytest.mark.parametrize(
    ("masking", "said"),
    [
        ("rate = 0.3, final_rate = 1.0", "masking.final_rate: must be less than 1 (got 1.0)"),
        ("rate = 0.3, corruption_rate = 0.0", "masking.corruption_rate: must be greater than 0"),
        ("rate = 0.3, schedule = 'cosine'", "masking: schedule 'cosine' leads nowhere without fin"),
        (
            "rate = 0.3, final_rate = 0.1, schedule = 'cosin'",
            "masking.schedule: must be 'linear' or 'cosine' (got \"cosin\"); did you mean 'cos",
        ),
    ],
)
def test_what_is_wrong_with_a_rate_is_told(problems: Problems, masking: str, said: str) -> None:
    text = TWO.replace("rate = 0.15", masking)
    (told,) = problems(text)
    assert told.startswith(f"question.toml:3: {said}"), told


@pytest.mark.parametrize(
    ("objectives", "examples", "said"),
    [
        (
            '["nsp", "sop"]',
            "",
            ":2: objectives: objective 'sop' learns from 'swapped_pair' examples, and another of",
        ),
        (
            '["mlm", "sop", "nsp"]',
            "",
            ":2: objectives: objective 'nsp' learns from 'pair' examples, and another of the arm's",
        ),
        (
            '["mlm", "nsp"]',
            'train.examples = "swapped_pair"\n',
            ":5: train.examples: must be 'pair' or 'auto' (got \"swapped_pair\"): objective 'nsp'",
        ),
        (
            '["mlm", "sop"]',
            'train.examples = "single"\n',
            ":5: train.examples: must be 'swapped_pair' or 'auto' (got \"single\"): objective",
        ),
    ],
)
def test_an_arm_learns_from_one_kind_of_example(
    problems: Problems, objectives: str, examples: str, said: str
) -> None:
    text = TWO.replace('["mlm", "forward"]', objectives) + examples
    if "mlm" not in objectives:
        text = text.replace('{ name = "token", rate = 0.15 }', '"none"')
    (told,) = problems(text)
    assert told.startswith(f"question.toml{said}"), told


@pytest.mark.parametrize(
    ("objectives", "kind"),
    [("mlm", "single"), ("mlm nsp", "pair"), ("sop mlm", "swapped_pair")],
)
def test_the_kind_of_example_follows_from_the_objectives(
    load: Load, objectives: str, kind: str
) -> None:
    text = TWO.replace('["mlm", "forward"]', json.dumps(objectives.split()))
    (arm,) = load(text).arms
    assert arm.examples == kind
    assert ("short_seq_prob" in settings_of(arm)["train"]) == (kind != "single")


def test_a_search_takes_a_rate_or_a_share(load: Load, problems: Problems) -> None:
    space = '[sweep.space]\n"masking.final_rate" = { low = 0.1, high = 0.6 }\n'
    space += '"objective.forward.share" = { low = 0.1, high = 0.9 }\n'
    assert len(load(TWO + space).sweep.space) == 2
    low = space.replace("low = 0.1, high = 0.6", "low = 0.1, high = 1.6")
    (told,) = problems(TWO + low)
    assert told.startswith('question.toml:6: sweep.space."masking.final_rate": ')
    assert "must be less than 1 (got 1.6)" in told
    (told,) = problems(TWO + HALVES + space)
    assert told.startswith('question.toml:9: sweep.space."objective.forward.share": ')


def test_the_schema_knows_phases_shares_and_rates(registry: Registry) -> None:
    properties = json_schema(registry)["properties"]
    phase = properties["phase"]["items"]
    assert set(phase["properties"]) == {"share", "objectives"}
    assert properties["arm"]["items"]["properties"]["phase"] == properties["phase"]
    assert {"share", "head", "weight"} <= set(
        properties["objective"]["properties"]["mlm"]["properties"]
    )
    token = next(
        table for table in properties["masking"]["anyOf"] if "rate" in table.get("properties", {})
    )
    assert {"final_rate", "schedule", "corruption_rate"} <= set(token["properties"])
    assert "swapped_pair" in properties["train"]["properties"]["examples"]["enum"]


def test_a_share_of_less_than_a_sequence_is_refused(problems: Problems) -> None:
    (told,) = problems(TWO + HALVES.replace("0.5", "0.99", 1).replace("0.5", "0.01", 1))
    assert "0.01 of train.batch_size" in told
    assert "is less than a sequence" in told
