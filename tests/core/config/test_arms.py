import json
from collections.abc import Callable

import pytest

from clozebox.config import (
    Arm,
    ConfigError,
    Experiment,
    arm_of,
    fingerprint,
    json_schema,
    settings_of,
    with_overrides,
)
from clozebox.registry import Registry

Load = Callable[..., Experiment]


@pytest.fixture
def arm(load: Load, ground: str) -> Arm:
    return load(ground).arms[0]


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "size.hidden_size = 33\n",
        'train.examples = "pair"\ntrain.short_seq_prob = 0.3\n',
        'optim = { schedule = "wsd", decay = 0.3 }\n',
        'evaluations = []\nreporters = ["console"]\nspeed.threads = 3\n',
        'tokenizer = { kind = "bpe", vocab_size = 777 }\n',
        'tokenizer = { path = "vocab.txt", lowercase = false }\n',
    ],
)
def test_the_settings_of_an_arm_make_the_same_arm(
    load: Load, registry: Registry, ground: str, extra: str
) -> None:
    arm = load(ground + extra).arms[0]
    settings = json.loads(json.dumps(settings_of(arm)))
    assert arm_of(arm.name, settings, registry) == arm
    assert settings_of(arm_of(arm.name, settings, registry)) == settings


def test_an_arm_without_masking_survives_the_round_trip(load: Load, registry: Registry) -> None:
    text = 'corpus = "lines"\nobjectives = ["forward"]\nbudget.steps = 3\n'
    arm = load(text).arms[0]
    assert settings_of(arm)["masking"] == {"name": "none"}
    assert arm_of(arm.name, settings_of(arm), registry) == arm


def test_settings_that_are_wrong_are_all_told(arm: Arm, registry: Registry) -> None:
    settings = settings_of(arm) | {"size": "tinny", "optim": {"lr": -1}, "extra": 3}
    with pytest.raises(ConfigError) as caught:
        arm_of("x", settings, registry)
    assert len(caught.value.problems) == 3
    assert all(line.startswith("arm 'x': ") for line in caught.value.problems)


def test_overrides_change_what_they_name_and_nothing_else(arm: Arm, registry: Registry) -> None:
    changed = with_overrides(arm, {"optim.lr": 0.3, "masking.rate": 0.4, "size": "mini"}, registry)
    assert (changed.optim.lr, changed.model.size.name) == (0.3, "mini")
    assert changed.model.size.hidden_size == 140
    assert changed.masking is not None and changed.masking.rate == 0.4
    former = {"optim.lr": 1e-3, "masking.rate": 0.15, "size": "tiny"}
    assert with_overrides(changed, former, registry) == arm


def test_what_follows_from_a_size_follows_from_the_new_one(arm: Arm, registry: Registry) -> None:
    assert arm.model.size.intermediate_size == 4 * 96
    wider = with_overrides(arm, {"size.hidden_size": 33}, registry)
    assert wider.model.size.intermediate_size == 4 * 33


def test_another_masking_drops_the_options_of_the_first(arm: Arm, registry: Registry) -> None:
    rate = with_overrides(arm, {"masking.rate": 0.4}, registry)
    span = with_overrides(rate, {"masking": "span", "masking.max_span": 3}, registry)
    assert span.masking is not None
    assert span.masking.settings() == {
        "name": "span",
        "rate": 0.15,
        "mask_share": 0.8,
        "random_share": 0.1,
        "max_span": 3,
    }


def test_an_override_that_the_arm_does_not_read_is_an_error(arm: Arm, registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"optim\.decay: only schedule 'wsd' reads it"):
        with_overrides(arm, {"optim.decay": 0.3}, registry)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("speed.threads", 3),
        ("speed.micro_batch_size", 5),
        ("reporters", ["console"]),
        ("train.log_every", 7),
        ("train.checkpoint_every", 33),
        ("train.keep_checkpoints", 9),
    ],
)
def test_the_fingerprint_ignores_what_cannot_change_the_result(
    arm: Arm, registry: Registry, key: str, value: object
) -> None:
    other = with_overrides(arm, {key: value}, registry)
    assert settings_of(other) != settings_of(arm)
    assert fingerprint(other) == fingerprint(arm)


@pytest.mark.parametrize(
    ("key", "value"), [("optim.lr", 0.0011), ("train.evals", 7), ("train.batch_size", 5)]
)
def test_the_fingerprint_tells_choices_apart(
    arm: Arm, registry: Registry, key: str, value: object
) -> None:
    assert fingerprint(with_overrides(arm, {key: value}, registry)) != fingerprint(arm)
    assert len(fingerprint(arm)) == 64


def test_the_name_of_an_arm_is_no_part_of_its_fingerprint(arm: Arm, registry: Registry) -> None:
    assert fingerprint(arm_of("another", settings_of(arm), registry)) == fingerprint(arm)


def test_the_schema_names_every_component_and_setting(registry: Registry) -> None:
    properties = json_schema(registry)["properties"]
    words = properties["masking"]["anyOf"][0]["enum"]
    assert words == ["token", "span", "none"]
    (span,) = (
        table
        for table in properties["masking"]["anyOf"]
        if table.get("properties", {}).get("name") == {"const": "span"}
    )
    assert "max_span" in span["properties"]
    assert properties["objectives"]["items"]["enum"] == ["mlm", "forward", "nsp", "sop"]
    assert properties["arm"]["items"]["properties"]["optim"] == properties["optim"]
    assert "space" in properties["sweep"]["properties"]
    assert "$ref" not in json.dumps(properties)


OLD = {
    "budget": {"steps": 40},
    "corpus": {"name": "lines", "parts": [], "path": "lines.txt"},
    "embedding": {"max_position_embeddings": 512, "name": "bert"},
    "encoder": {"dropout": 0.1, "name": "bert"},
    "evaluation": {"cloze": {"rows": 7}, "held_out": {}},
    "evaluations": ["held_out", "cloze"],
    "masking": {"mask_share": 0.8, "name": "token", "random_share": 0.1, "rate": 0.3},
    "objective": {"mlm": {"weight": 1.0}, "nsp": {"weight": 1.0}},
    "objectives": ["mlm", "nsp"],
    "optim": {
        "beta1": 0.9,
        "beta2": 0.98,
        "eps": 1e-06,
        "lr": 0.002,
        "max_grad_norm": 1.0,
        "schedule": "linear",
        "warmup": 0.1,
        "weight_decay": 0.01,
    },
    "reporter": {"console": {}},
    "reporters": ["console"],
    "size": {
        "hidden_size": 96,
        "intermediate_size": 384,
        "name": "tiny",
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
    },
    "speed": {"device": "auto", "threads": 1},
    "tokenizer": {"kind": "wordpiece", "lowercase": True, "vocab_size": 2048},
    "train": {
        "batch_size": 32,
        "checkpoint_every": 200,
        "evals": 10,
        "examples": "auto",
        "held_out": 0.1,
        "keep_checkpoints": 2,
        "log_every": 10,
        "precision": "fp32",
        "seq_length": 64,
        "short_seq_prob": 0.1,
    },
}
"""What a run of version 0.1.0 was resolved to, before there were phases, shares and schedules."""


def test_a_run_of_the_first_version_is_still_the_same_run(registry: Registry) -> None:
    arm = arm_of("masked", OLD, registry)
    kept = settings_of(arm) | {"speed": OLD["speed"]}  # of which a fingerprint knows nothing
    assert kept == OLD, "or its fingerprint would differ, and it could not be resumed"
    assert arm.phases == ()
    assert [objective.share for objective in arm.objectives] == [None, None]
