"""Whether an experiment can answer its question is said before it is run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from clozebox.config import read_experiment
from clozebox.config.lint import SEEN_WITH, Remark, lint

Lint = Callable[[str], Sequence[Remark]]
ARMS = '[[arm]]\nname = "base"\n[[arm]]\nname = "other"\n'
SEEDS = "seeds = [0, 1, 2, 3, 4]\n"


@pytest.fixture
def remarks(tmp_path: Path, registry, sandbox, ground: str) -> Lint:
    def remarks(text: str) -> Sequence[Remark]:
        path = tmp_path / "question.toml"
        path.write_text(ground + text)
        return lint(read_experiment(path, registry, (), sandbox))

    return remarks


def test_arms_that_differ_in_one_thing_are_no_ones_business(remarks: Lint) -> None:
    assert remarks(SEEDS + ARMS + "masking.rate = 0.4\n") == []
    assert remarks(f'factor = "masking.rate"\n{SEEDS}{ARMS}masking.rate = 0.4\n') == []


def test_what_follows_from_the_objectives_is_no_second_difference(remarks: Lint) -> None:
    forward = 'objectives = ["forward"]\nmasking.name = "none"\n'
    assert remarks(SEEDS + ARMS + forward) == []
    pairs = 'objectives = ["mlm", "nsp"]\nobjective.nsp.weight = 2.0\ntrain.short_seq_prob = 0.2\n'
    assert remarks(f'factor = "objectives"\n{SEEDS}{ARMS}{pairs}') == []


def test_another_component_is_one_choice_with_all_its_options(remarks: Lint) -> None:
    assert remarks(SEEDS + ARMS + 'masking = { name = "span", max_span = 3, rate = 0.15 }\n') == []


def test_two_differences_are_a_warning_where_no_factor_was_declared(remarks: Lint) -> None:
    (told,) = remarks(SEEDS + ARMS + "masking.rate = 0.4\noptim.lr = 0.1\n")
    assert told.level == "warning"
    assert "'other' differs from 'base' in masking.rate, optim.lr" in told.text


def test_a_second_difference_is_an_error_where_one_was(remarks: Lint) -> None:
    text = f'factor = "masking.rate"\n{SEEDS}{ARMS}masking.rate = 0.4\noptim.lr = 0.1\n'
    (told,) = remarks(text)
    assert told.level == "error"
    assert "in optim.lr as well: the factor is masking.rate" in told.text
    assert told.origin.endswith("question.toml:12")


def test_a_factor_that_no_arm_changes_is_an_error(remarks: Lint) -> None:
    text = f'factor = ["masking.rate", "size"]\n{SEEDS}{ARMS}masking.rate = 0.4\n'
    (told,) = remarks(text)
    assert (told.level, "factor 'size': no arm changes it" in told.text) == ("error", True)


def test_arms_that_differ_in_speed_alone_are_the_same_arm(remarks: Lint) -> None:
    (told,) = remarks(SEEDS + ARMS + "speed.threads = 2\n")
    assert "differ only in what never changes a result" in told.text


@pytest.mark.parametrize(
    ("metric", "change", "level", "said"),
    [
        ("eval/mlm_loss", "masking.rate = 0.4", "error", "while arms change masking"),
        ("eval/mlm_loss", "optim.lr = 0.1", None, ""),
        ("eval/mlm_loss", "objective.mlm.weight = 2.0", None, ""),
        ("eval/cloze_loss", "masking.rate = 0.4", None, ""),
        ("eval/cloze_loss", "tokenizer.vocab_size = 99", "warning", "not on one scale"),
        ("eval/mlm_loss", 'objectives = ["forward"]\nmasking.name = "none"', "error", "never"),
        ("train/mlm_loss", "optim.lr = 0.1", "error", "not measured at the end"),
        ("eval/cloze_accuracy", "optim.lr = 0.1", "warning", "is to minimize eval/cloze_accuracy"),
    ],
)
def test_a_metric_that_is_not_the_same_for_all(
    remarks: Lint, metric: str, change: str, level: str | None, said: str
) -> None:
    found = remarks(f'sweep.metric = "{metric}"\n{SEEDS}{ARMS}{change}\n')
    if level is None:
        assert found == []
    else:
        assert found[0].level == level
        assert any(said in told.text for told in found)


def test_a_search_that_sets_itself_an_easier_task_is_an_error(remarks: Lint) -> None:
    space = '[sweep]\nmetric = "eval/mlm_loss"\n[sweep.space]\n'
    found = remarks("seeds = [0]\n" + space + '"masking.rate" = { low = 0.1, high = 0.5 }\n')
    assert [told.level for told in found] == ["error"]
    assert "while trials change masking" in found[0].text
    assert remarks("seeds = [0]\n" + space + '"optim.lr" = { low = 0.1, high = 0.5 }\n') == []


def test_seeds_that_are_too_few_are_told_with_what_they_find(remarks: Lint) -> None:
    (told,) = remarks("seeds = [0, 1, 2]\n" + ARMS + "optim.lr = 0.1\n")
    assert (
        told.level == "warning" and "3 seeds find, 4 times in 5, a difference of 3.3" in told.text
    )
    (told,) = remarks("seeds = [3]\n" + ARMS + "optim.lr = 0.1\n")
    assert "one seed" in told.text
    assert remarks("seeds = [3]\n") == [], "one arm asks for no difference"


def test_a_component_that_is_searched_loses_the_options_of_the_arm(remarks: Lint) -> None:
    space = 'seeds = [1]\n[sweep.space]\n"masking.name" = { choices = ["token", "span"] }\n'
    (told,) = remarks(space)
    assert "masking.rate is theirs alone" in told.text
    assert remarks(f'{space}"masking.rate" = {{ low = 0.1, high = 0.4 }}\n') == []


def test_the_differences_that_seeds_find_are_those_of_the_paired_t_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    integrate = pytest.importorskip("scipy.integrate")
    for seeds, effect in SEEN_WITH.items():
        df, shift = seeds - 1, effect * seeds**0.5
        edge = stats.t.ppf(0.975, df)

        def power(v: float, df: int = df, shift: float = shift, edge: float = edge) -> float:
            reach = edge * (v / df) ** 0.5
            found = stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift)
            return float(found * stats.chi2.pdf(v, df))

        end = stats.chi2.ppf(1 - 1e-9, df)
        found = integrate.quad(power, 0, end, limit=400, points=[1e-6, 1e-3, 0.1, 1])[0]
        assert found == pytest.approx(0.8, abs=0.01), seeds
