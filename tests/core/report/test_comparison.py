"""Runs grouped by arm and set against the baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.report.in_memory import compared
from tests.core.report.synthetic import training, write_run

from clozebox.errors import UserError
from clozebox.report import compare_runs, summary, verdicts
from clozebox.report.arms import ArmRuns
from clozebox.report.curves import learning_curve
from clozebox.report.differences import instrument_differences
from clozebox.report.notes import notes
from clozebox.report.page import as_page
from clozebox.report.records import RunRecord
from clozebox.report.task_table import task_table


def test_arms_come_in_the_order_of_the_experiment_and_the_first_is_the_baseline(
    experiment: Path,
) -> None:
    comparison = compare_runs(experiment)
    assert [arm.name for arm in comparison.arms] == ["masked", "whole_word", "forward"]
    assert comparison.rows("eval/cloze_loss")[0].difference is None
    chosen = compare_runs(experiment, baseline="forward")
    assert [arm.name for arm in chosen.arms] == ["forward", "masked", "whole_word"]


def test_a_verdict_claims_a_difference_only_where_there_is_one(experiment: Path) -> None:
    near, far = verdicts(compare_runs(experiment), "eval/cloze_loss")
    assert near.outcome == "same"
    assert near.sentence == (
        "whole_word cannot be told apart from masked: the difference is -0.001 "
        "(95 % interval -0.025 to 0.023, 5 paired seeds). "
        "Four in five such experiments would find a difference of 0.039."
    )
    assert far.outcome == "worse"
    assert far.sentence == (
        "forward is worse than masked by 0.400 (95 % interval 0.380 to 0.420, 5 paired seeds)."
    )


def test_a_metric_that_should_rise_is_judged_the_other_way_round(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / "e", "a", seed, [3.0], accuracy=[0.30 + 0.01 * seed])
        write_run(tmp_path / "e", "b", seed, [3.0], index=1, accuracy=[0.40 + 0.011 * seed])
    (verdict,) = verdicts(compare_runs(tmp_path / "e"), "eval/accuracy")
    assert verdict.outcome == "better"


def test_an_interval_clear_of_zero_is_not_enough_when_many_arms_are_compared(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "many"
    for seed in range(4):
        write_run(folder, "base", seed, [3.0])
        write_run(folder, "edge", seed, [3.0 + 0.02 + 0.009 * (seed - 1.5)], index=1)
        for index in range(2, 8):
            noise = 0.1 if seed % 2 else -0.1
            write_run(folder, f"noise-{index}", seed, [3.0 + noise], index=index)
    row = compare_runs(folder).rows("eval/cloze_loss")[1]
    assert row.difference is not None and row.difference.estimate.interval is not None
    assert not row.difference.estimate.interval.holds(0)
    verdict = verdicts(compare_runs(folder), "eval/cloze_loss")[0]
    assert verdict.outcome == "same"
    assert "once 7 comparisons are allowed for" in verdict.sentence


def test_runs_that_did_not_finish_leave_the_means_but_are_named(experiment: Path) -> None:
    with training(write_run(experiment, "masked", 7, [2.0, 1.0], state="running")):
        comparison = compare_runs(experiment)
    assert set(comparison.baseline.values("eval/cloze_loss")) == {0, 1, 2, 3, 4}
    said = notes(comparison)
    assert "Left out: forward seed 5 diverged at step 7 of 77: the loss is nan." in said
    assert "Left out: masked seed 7 is running at step 14 of 77." in said


def test_arms_that_were_measured_differently_get_no_verdict(tmp_path: Path) -> None:
    small = {"tokenizer": {"vocab_size": 2048}, "evaluation": {"cloze": {"rate": 0.15}}}
    large = {"tokenizer": {"vocab_size": 4096}, "evaluation": {"cloze": {"rate": 0.4}}}
    alike = {**small, "optim": {"lr": 0.01}, "evaluation": {**small["evaluation"], "own": {"n": 3}}}
    for seed in range(4):
        write_run(tmp_path / "e", "small", seed, [3.0 + 0.01 * seed], settings=small)
        write_run(tmp_path / "e", "large", seed, [2.0], index=1, settings=large)
        write_run(tmp_path / "e", "alike", seed, [2.0], index=2, settings=alike)
    comparison = compare_runs(tmp_path / "e")
    unlike, like = verdicts(comparison, "eval/cloze_loss")
    assert unlike.outcome == "unknown"
    assert unlike.sentence == (
        "large was not measured with the same instrument: evaluation.cloze.rate differs "
        "(0.15, 0.4); tokenizer.vocab_size differs (2048, 4096)."
    )
    assert like.outcome == "better"
    assert '<span class="pill unknown">no verdict</span>' in as_page(comparison)


@pytest.mark.parametrize(
    ("key", "same"),
    [
        ("corpus.name", False),
        ("train.seq_length", False),
        ("train.held_out", False),
        ("train.batch_size", True),
        ("masking.rate", True),
    ],
)
def test_the_instrument_is_text_tokens_length_and_blanks(
    tmp_path: Path, key: str, same: bool
) -> None:
    section, name = key.split(".")
    for seed in range(3):
        for index, value in enumerate((0.25, 0.75)):
            loss = [3.0 + index + 0.01 * seed * index]
            settings = {section: {name: value}}
            write_run(tmp_path / "e", f"arm-{index}", seed, loss, index=index, settings=settings)
    (verdict,) = verdicts(compare_runs(tmp_path / "e"), "eval/cloze_loss")
    assert verdict.outcome == ("worse" if same else "unknown")


def test_settings_of_another_yardstick_change_nothing_of_this_one() -> None:
    tasks: dict[str, Any] = {"cloze": {"rate": 0.15}, "fills": {"top": 3}}
    settings = {
        "a": {"evaluation": tasks},
        "b": {"evaluation": {**tasks, "fills": {"top": 9}}},
    }
    runs = {a: [{"eval/cloze_loss": v, "eval/odd": v} for v in (1.0, 1.2)] for a in settings}
    comparison = compared(runs, metric="eval/cloze_loss", settings=settings)
    assert comparison.rows("eval/cloze_loss")[1].unlike == {}
    # Of a metric that is named after none of them, it cannot be told which yardstick it is from.
    assert list(comparison.rows("eval/odd")[1].unlike) == ["evaluation.fills.top"]


def test_a_metric_that_the_baseline_lacks_is_not_called_another_quantity() -> None:
    settings = {"a": {"objectives": ["ar"]}, "b": {"objectives": ["mlm"], "masking": {"rate": 0.3}}}
    settings["a"]["masking"] = {"rate": 0.1}
    runs = {
        "a": [{"eval/loss": 1.0, "eval/ar_loss": 1.0}] * 2,
        "b": [{"eval/loss": 1.0, "eval/mlm_loss": 1.0}] * 2,
    }
    table = task_table(compared(runs, settings=settings))
    assert table is not None
    assert table.rows == (("ar_loss", "1.0000  ", "-  "), ("mlm_loss", "-  ", "1.0000  "))


OWN: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    ("mlm_loss", {"masking": {"rate": 0.15}}, {"masking": {"rate": 0.4}}, "masking.rate"),
    ("cloze_loss", {"masking": {"rate": 0.15}}, {"masking": {"rate": 0.4}}, None),
    ("mlm_excess", {"masking": {"rate": 0.15}}, {"masking": {"rate": 0.4}}, None),
    ("mlm_loss", {"optim": {"lr": 0.1}}, {"optim": {"lr": 0.2}}, None),
    ("mlm_loss", {}, {"train": {"short_seq_prob": 0.1}}, "train.examples"),
    ("mlm_loss", {"train": {"short_seq_prob": 0.2}}, {"train": {"short_seq_prob": 0.1}}, None),
]


@pytest.mark.parametrize(("metric", "base", "other", "said"), OWN)
def test_what_an_objective_measures_of_itself_is_another_quantity_under_other_masks(
    metric: str, base: dict[str, Any], other: dict[str, Any], said: str | None
) -> None:
    settings = {"a": {"objectives": ["mlm"], **base}, "b": {"objectives": ["mlm"], **other}}
    losses = {"a": (3.0, 3.1, 3.2), "b": (2.0, 2.11, 2.19)}
    runs = {
        arm: [{"eval/main_loss": 1.0, f"eval/{metric}": v} for v in values]
        for arm, values in losses.items()
    }
    comparison = compared(runs, metric="eval/main_loss", settings=settings)
    _, row = comparison.rows(f"eval/{metric}")
    [verdict] = verdicts(comparison, f"eval/{metric}")
    [shown] = [line for line in task_table(comparison).rows if line[0] == metric]  # type: ignore[union-attr]
    if said is None:
        assert verdict.outcome == "better" and row.difference is not None
        assert shown[2].endswith("▲")
        assert not any("quantity" in note for note in notes(comparison))
        return
    assert list(row.unlike) == [said] and row.difference is None and row.p is None
    assert verdict.outcome == "unknown" and f"instrument: {said} differs" in verdict.sentence
    assert shown[2].endswith("≠")
    note = f"eval/{metric} is not the same quantity in b as in a: {said} differ."
    assert note in notes(comparison)


AUTO, PAIRS = {"examples": "auto"}, {"examples": "pair"}
KINDS: list[tuple[dict[str, str], str | None, dict[str, str], str | None, tuple[str, ...]]] = [
    (AUTO, "pair", AUTO, "swapped_pair", ("pair", "swapped_pair")),
    (AUTO, "single", AUTO, "pair", ("single", "pair")),
    (AUTO, "pair", PAIRS, "pair", ()),
    (AUTO, "pair", AUTO, "pair", ()),
    (AUTO, None, AUTO, "pair", ()),
    (AUTO, None, PAIRS, None, ("auto", "pair")),
]


@pytest.mark.parametrize(("base", "kind", "other", "other_kind", "said"), KINDS)
def test_the_kinds_of_example_are_those_that_auto_came_to(
    base: dict[str, str],
    kind: str | None,
    other: dict[str, str],
    other_kind: str | None,
    said: tuple[str, ...],
) -> None:
    def arm(name: str, train: dict[str, str], examples: str | None) -> ArmRuns:
        settings = {"objectives": ["mlm"], "train": {**train, "short_seq_prob": 0.1}}
        resolved: dict[str, Any] = {"arm": name, "settings": settings}
        if examples is not None:  # which runs of 0.1.0 do not say
            resolved["examples"] = examples
        return ArmRuns(name, (RunRecord(Path(), resolved, {}, (), {}, False),))

    arms = arm("a", base, kind), arm("b", other, other_kind)
    assert instrument_differences(*arms, "eval/mlm_loss").get("train.examples", ()) == said
    assert instrument_differences(*arms, "eval/cloze_loss") == {}


def test_arms_that_were_not_measured_alike_are_not_among_those_that_holm_allows_for() -> None:
    settings = {"a": {}, "b": {}, "c": {"tokenizer": {"vocab_size": 99}}}
    runs = {arm: [{"eval/loss": v + i} for v in (3.0, 3.1, 3.25)] for i, arm in enumerate("abc")}
    runs["b"][0]["eval/loss"] = 4.3
    b, c = compared(runs, settings=settings).rows("eval/loss")[1:]
    assert b.difference is not None and b.p == b.difference.p_t
    assert c.p is None


def test_a_run_whose_process_was_killed_has_stopped(experiment: Path) -> None:
    run = write_run(experiment, "masked", 7, [2.0, 1.0], state="running")
    said = (
        "Left out: masked seed 7 stopped at step 14 of 77: "
        "process gone; the same command resumes it."
    )
    for _ in range(2):  # a lock file that nobody holds is no different from none
        assert said in notes(compare_runs(experiment))
        (run / ".lock").touch()


def test_a_finished_run_whose_metric_is_not_a_number_is_left_out_and_named(
    experiment: Path,
) -> None:
    write_run(experiment, "masked", 9, [3.0, float("nan")])
    comparison = compare_runs(experiment)
    assert 9 not in comparison.baseline.values("eval/cloze_loss")
    assert any("masked seed 9 is done but eval/cloze_loss is nan" in n for n in notes(comparison))


def test_one_common_seed_concludes_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a", 0, [3.0])
    write_run(tmp_path / "e", "b", 0, [3.5], index=1)
    (verdict,) = verdicts(compare_runs(tmp_path / "e"), "eval/cloze_loss")
    assert verdict.outcome == "unknown"
    assert "0.5000 above a in the one seed" in verdict.sentence


@pytest.mark.parametrize(
    ("seed", "state", "clause"),
    [(3, "done", "no finished seed in common"), (0, "failed", "b has no finished run yet")],
)
def test_arms_without_a_common_finished_seed_are_not_compared(
    tmp_path: Path, seed: int, state: str, clause: str
) -> None:
    write_run(tmp_path / "e", "a", 0, [3.0])
    write_run(tmp_path / "e", "b", seed, [3.5], index=1, state=state)
    (sentence,) = summary(compare_runs(tmp_path / "e"))
    assert clause in sentence


def test_a_metric_that_an_arm_lacks_is_missing_there_and_not_invented(experiment: Path) -> None:
    comparison = compare_runs(experiment)
    assert comparison.metrics == ("eval/cloze_loss", "eval/accuracy")
    forward = comparison.rows("eval/accuracy")[2]
    assert forward.estimate is None and forward.difference is None
    sentence = verdicts(comparison, "eval/accuracy")[1].sentence
    assert sentence == "forward does not measure eval/accuracy."


def test_runs_of_one_arm_with_other_settings_are_never_pooled(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a", 0, [3.0], fingerprint="aaaaaaaa")
    write_run(tmp_path / "e", "a", 1, [4.0], fingerprint="bbbbbbbb")
    names = [arm.name for arm in compare_runs(tmp_path / "e").arms]
    assert names == ["a@aaaaaa", "a@bbbbbb"]


def test_each_trial_of_a_search_stands_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "trial-3", 0, [3.0], trial=3, fingerprint="aaaaaaaa")
    write_run(tmp_path / "e", "trial-12", 0, [4.0], trial=12, fingerprint="bbbbbbbb")
    assert {arm.name for arm in compare_runs(tmp_path / "e").arms} == {"trial-3", "trial-12"}


def test_the_notes_say_what_the_arms_spent_alike_and_what_not(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a", 0, [3.0])
    write_run(tmp_path / "e", "b", 0, [3.5], index=1, flops_per_step=2.2e11)
    first = notes(compare_runs(tmp_path / "e"))[0]
    assert first == (
        "Every arm spent the same steps, tokens and seconds (within 2 %); FLOPs differ."
    )


def test_unequal_steps_are_explained_where_the_flops_agree(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a", 0, [3.0], every=100, flops_per_step=2.02e11)
    write_run(tmp_path / "e", "b", 0, [3.5], index=1, every=200, flops_per_step=1e11)
    first = notes(compare_runs(tmp_path / "e"))[0]
    assert first == (
        "The arms spent the same FLOPs; steps, tokens and seconds differ, "
        "as their steps cost differently."
    )


def test_runs_of_other_code_or_another_machine_are_told_apart(tmp_path: Path) -> None:
    def session(commit: str, sha: str, threads: int, dirty: bool = False) -> dict[str, Any]:
        return {
            "git": {"commit": commit * 5, "dirty": dirty},
            "plugins": {"mlm": {"version": "1", "sha256": sha}},
            "libraries": {"torch": "2.9"},
            "numerics": {"threads": threads},
        }

    old, new = session("a1b2c3d4", "x", 4), session("d4e5f6a7", "y", 2)
    write_run(tmp_path / "e", "a", 0, [3.0], provenance=old)
    write_run(tmp_path / "e", "a", 1, [], state="failed", provenance=new)
    assert not any("The runs were" in note for note in notes(compare_runs(tmp_path / "e")))
    resumed = {"sessions": [old, session("a1b2c3d4", "x", 4, dirty=True), new]}
    write_run(tmp_path / "e", "a", 2, [3.0], provenance=resumed)
    said = [note for note in notes(compare_runs(tmp_path / "e")) if "The runs were" in note]
    assert said == [
        "The runs were trained by 3 versions of the code "
        "(commits a1b2c3d, a1b2c3d with local changes, d4e5f6a).",
        "The runs were trained by different versions of plugin mlm.",
        "The runs were not computed alike: threads 4, 2.",
    ]


def test_a_curve_is_the_mean_over_seeds_where_all_looked_and_then_their_ends(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "e", "a", 0, [8.0, 5.0, 3.0])
    write_run(tmp_path / "e", "a", 1, [9.0, 6.0, 4.0, 2.0])
    points = learning_curve(compare_runs(tmp_path / "e").baseline, "eval/cloze_loss")
    assert [(p.cost["steps"], p.estimate.mean) for p in points] == [
        (7.0, 8.5),
        (14.0, 5.5),
        (24.5, 2.5),
    ]
    assert (points[0].low, points[0].high) == (8.0, 9.0)


def test_wrong_names_are_refused_with_what_there_is(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"did you mean 'eval/cloze_loss'"):
        compare_runs(experiment, metric="eval/cloze_los")
    with pytest.raises(UserError, match=r"no arm is named 'mask'; did you mean 'masked'"):
        compare_runs(experiment, baseline="mask")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there are no runs in"):
        compare_runs(tmp_path / "empty")
    write_run(tmp_path / "other", "a", 0, [1.0])
    with pytest.raises(UserError, match="several experiments, compare one: objective, other"):
        compare_runs(tmp_path)


def test_curves_are_drawn_against_what_the_arms_were_given_alike() -> None:
    from types import SimpleNamespace

    from clozebox.report.arms import ArmRuns
    from clozebox.report.comparison import Comparison

    for budget, expected in (({"flops": 1e9}, "flops"), ({"steps": 5}, "steps"), ({}, "steps")):
        run: Any = SimpleNamespace(resolved={"settings": {"budget": budget}})
        comparison = Comparison(Path(), (ArmRuns("a", (run,)),), "eval/cloze_loss")
        assert comparison.budget == expected


def test_a_curve_that_is_thinned_keeps_its_end_and_about_as_many_points(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / "e", "a", seed, [float(100 - i) for i in range(100)])
    arm = compare_runs(tmp_path / "e").baseline
    whole = learning_curve(arm, "eval/cloze_loss")
    thin = learning_curve(arm, "eval/cloze_loss", most=20)
    assert len(whole) == 100 and 20 <= len(thin) <= 26
    assert thin[-1] == whole[-1] and set(p.estimate.mean for p in thin) <= {
        p.estimate.mean for p in whole
    }


def test_the_nth_evaluations_of_seeds_belong_together_whatever_their_steps(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "a", 0, [8.0, 5.0, 3.0])
    write_run(tmp_path / "e", "a", 1, [9.0, 6.0, 4.0])
    log = tmp_path / "e" / "a" / "seed-1" / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps({**x, "step": x["step"] + 1}) + "\n" for x in lines))
    points = learning_curve(compare_runs(tmp_path / "e").baseline, "eval/cloze_loss")
    assert [p.estimate.mean for p in points] == [8.5, 5.5, 3.5]
