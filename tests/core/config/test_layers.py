from collections.abc import Callable
from pathlib import Path

import pytest

from clozebox.config import Experiment, Sandbox
from clozebox.config.layers import Table, dotted

Load = Callable[..., Experiment]


def test_each_layer_overrules_the_one_below(load: Load, ground: str, sandbox: Sandbox) -> None:
    shared = Sandbox(
        sandbox.root,
        sandbox.runs,
        sandbox.cache,
        defaults={"optim": {"lr": 0.2, "warmup": 0.2, "eps": 0.2, "beta1": 0.2}},
    )
    text = ground + "optim = { lr = 0.3, warmup = 0.3, eps = 0.3 }\n"
    text += '[[arm]]\nname = "x"\noptim = { lr = 0.4, warmup = 0.4 }\n'
    optim = load(text, "optim.lr=0.5", sandbox=shared).arms[0].optim
    assert (optim.lr, optim.warmup, optim.eps, optim.beta1) == (0.5, 0.4, 0.3, 0.2)
    assert optim.beta2 == 0.999


def test_tables_merge_and_lists_replace() -> None:
    base = Table({"t": {"a": 1, "b": 2}, "objectives": ["x", "y"]})
    merged = Table({"t": {"b": 3}, "objectives": ["z"]}).over(base)
    assert merged.values == {"t": {"a": 1, "b": 3}, "objectives": ["z"]}
    assert base.values == {"t": {"a": 1, "b": 2}, "objectives": ["x", "y"]}


def test_a_table_that_names_another_component_drops_the_options_of_the_first() -> None:
    base = Table({"masking": {"name": "token", "rate": 0.4}}, {("masking", "rate"): "f:1"})
    merged = Table({"masking": {"name": "span"}}).over(base)
    assert merged.values == {"masking": {"name": "span"}}
    assert ("masking", "rate") not in merged.origins


def test_a_table_that_names_the_same_component_keeps_its_options() -> None:
    base = Table({"masking": {"name": "token", "rate": 0.4}})
    assert Table({"masking": "token"}).over(base).values == base.values


def test_an_option_alone_belongs_to_the_component_that_was_named_before() -> None:
    merged = Table({"masking": {"rate": 0.4}}).over(Table({"masking": "token"}))
    assert merged.values == {"masking": {"name": "token", "rate": 0.4}}


def test_another_unit_of_budget_replaces_the_first(load: Load, ground: str) -> None:
    budget = load(ground, "budget.tokens=3e5").arms[0].budget
    assert (budget.steps, budget.tokens) == (None, 3e5)


def test_the_size_of_an_arm_starts_from_its_preset(load: Load, ground: str) -> None:
    text = ground + 'size = "mini"\n[[arm]]\nname = "a"\n'
    text += '[[arm]]\nname = "b"\nsize.num_hidden_layers = 9\n'
    text += '[[arm]]\nname = "c"\nsize = { name = "tiny", hidden_size = 33 }\n'
    a, b, c = (arm.model.size for arm in load(text).arms)
    assert (a.num_hidden_layers, a.hidden_size) == (5, 140)
    assert (b.num_hidden_layers, b.hidden_size) == (9, 140)
    assert (c.num_hidden_layers, c.hidden_size, c.intermediate_size) == (2, 33, 132)


def test_the_origin_of_a_value_is_that_of_the_layer_it_came_from() -> None:
    base = Table({"optim": {"lr": 1, "eps": 2}}, {("optim", "lr"): "f:1", ("optim", "eps"): "f:2"})
    merged = Table({"optim": {"lr": 3}}, {("optim", "lr"): "--set optim.lr=3"}).over(base)
    assert merged.origin(("optim", "lr")) == "--set optim.lr=3"
    assert merged.origin(("optim", "eps")) == "f:2"
    assert merged.origin(("train", "x")) == "default"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("optim", "lr"), "optim.lr"),
        (("sweep", "space", "optim.lr", "low"), 'sweep.space."optim.lr".low'),
        (("corpus", "parts", 0), "corpus.parts.0"),
    ],
)
def test_a_key_path_is_written_as_in_toml(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


def test_a_set_value_that_is_no_toml_is_a_bare_string(load: Load, ground: str) -> None:
    arm = load(ground, "masking=span", "corpus.path=my file.txt", "masking.max_span=3").arms[0]
    assert arm.masking is not None
    assert arm.masking.settings()["max_span"] == 3
    assert arm.data.corpus.settings()["path"] == "my file.txt"


def test_the_sandbox_above_the_file_is_found_by_itself(
    tmp_path: Path, ground: str, registry: object
) -> None:
    from clozebox.config import load_experiment

    (tmp_path / "sandbox.toml").write_text("[defaults]\noptim.lr = 0.07\n")
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "question.toml"
    path.write_text(ground)
    assert load_experiment(path, registry).arms[0].optim.lr == 0.07  # type: ignore[arg-type]
