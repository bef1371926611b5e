"""Every score is scikit-learn's or SciPy's, or that of the published script."""

from __future__ import annotations

import numpy as np
import pytest

from clozebox.evaluation.finetuning import metrics

CLOSE = 1e-9


def drawn(seed: int, classes: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, n)
    wrong = generator.random(n) < 0.4
    return truth, np.where(wrong, generator.integers(0, classes, n), truth)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_class_scores_are_those_of_scikit_learn(classes: int, seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, predicted = drawn(seed, classes)
    assert abs(metrics.accuracy(truth, predicted) - sklearn.accuracy_score(truth, predicted)) < (
        CLOSE
    )
    expected = sklearn.f1_score(truth, predicted, average="macro")
    assert abs(metrics.macro_f1(truth, predicted) - expected) < CLOSE
    expected = sklearn.matthews_corrcoef(truth, predicted)
    assert abs(metrics.matthews_correlation(truth, predicted) - expected) < CLOSE
    if classes == 2:
        assert abs(metrics.f1(truth, predicted) - sklearn.f1_score(truth, predicted)) < CLOSE


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(
    ("truth", "predicted"),
    [([0, 1, 1, 0], [1, 1, 1, 1]), ([0, 0], [0, 0]), ([0, 1, 2], [3, 3, 3]), ([1, 0], [0, 1])],
)
def test_scores_of_one_sided_predictions_are_those_of_scikit_learn(
    truth: list[int], predicted: list[int]
) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    left, right = np.array(truth), np.array(predicted)
    expected = sklearn.f1_score(left, right, average="macro", zero_division=0)
    assert abs(metrics.macro_f1(left, right) - expected) < CLOSE
    expected = sklearn.matthews_corrcoef(left, right)
    assert abs(metrics.matthews_correlation(left, right) - expected) < CLOSE


@pytest.mark.parametrize("seed", range(4))
def test_correlations_are_those_of_scipy_ties_included(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 6, 150).astype(float)
    predicted = np.round(truth + generator.normal(0, 2, 150), seed % 2)
    expected = stats.pearsonr(truth, predicted).statistic
    assert abs(metrics.pearson_correlation(truth, predicted) - expected) < CLOSE
    expected = stats.spearmanr(truth, predicted).statistic
    assert abs(metrics.spearman_correlation(truth, predicted) - expected) < CLOSE


def test_a_constant_has_no_correlation_and_gets_zero() -> None:
    truth = np.array([0.1, 0.7, 0.4])
    assert metrics.pearson_correlation(truth, np.full(3, 0.1)) == 0.0
    assert metrics.spearman_correlation(truth, np.full(3, 0.1)) == 0.0


@pytest.mark.parametrize("unit", [1e-12, 1e9])
def test_a_correlation_has_no_unit(unit: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    truth, predicted = np.array([0.1, 0.7, 0.4, 0.9]), np.array([0.3, 0.5, 0.1, 0.8])
    expected = stats.pearsonr(truth, predicted).statistic
    assert abs(metrics.pearson_correlation(truth * unit, predicted * unit) - expected) < CLOSE
    assert metrics.pearson_correlation(truth, np.full(4, 0.1 * unit)) == 0.0


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-X I-X O B-Y", [("X", 0, 2), ("Y", 3, 4)]),
        ("I-X I-X I-Y", [("X", 0, 2), ("Y", 2, 3)]),  # IOB1: no B- needed
        ("B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("B-X I-Y O", [("X", 0, 1), ("Y", 1, 2)]),
        ("S-X B-Y I-Y E-Y I-Y", [("X", 0, 1), ("Y", 1, 4), ("Y", 4, 5)]),
        ("B-X I-X L-X U-Y", [("X", 0, 3), ("Y", 3, 4)]),  # BILOU
        ("O O", []),
        ("B-PER-SON I-PER-SON", [("PER-SON", 0, 2)]),
    ],
)
def test_spans_are_cut_as_conll_cuts_them(tags: str, spans: list[tuple[str, int, int]]) -> None:
    assert metrics.spans(tags.split()) == spans


def test_span_f1_is_scikit_learns_over_the_spans_of_either_side() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    tags = np.array(["O", "B-X", "I-X", "B-Y", "I-Y"])
    truth = [list(tags[generator.integers(0, 5, 9)]) for _ in range(30)]
    predicted = [
        [str(generator.choice(tags)) if generator.random() < 0.2 else tag for tag in row]
        for row in truth
    ]
    sides = [
        {(n, *span) for n, row in enumerate(rows) for span in metrics.spans(row)}
        for rows in (truth, predicted)
    ]
    every = sorted(sides[0] | sides[1])
    marks = [[int(span in side) for span in every] for side in sides]
    expected = sklearn.f1_score(*marks)
    assert 0.2 < expected < 0.9
    assert abs(metrics.span_f1(truth, predicted) - expected) < CLOSE


def test_no_span_anywhere_scores_zero() -> None:
    assert metrics.span_f1([["O"]], [["O"]]) == 0.0


def test_answers_are_compared_as_squad_compares_them() -> None:
    golds = [("The Broncos", "Denver Broncos"), ("forty-two",), (), ()]
    assert metrics.exact_match(golds, ["denver  broncos!", "forty two", "", "something"]) == 0.5
    # 2 of "denver broncos" in "broncos": precision 1, recall 1/2; "a" is an article.
    found = metrics.answer_f1([("Denver Broncos",), ("a b c d",)], ["the Broncos", "b x"])
    assert found == pytest.approx((2 / 3 + 2 * 1 / (3 + 2)) / 2, abs=CLOSE)
