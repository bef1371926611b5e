"""What an experiment becomes, and what is said of one that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clozebox.config import Experiment, Sandbox
from clozebox.errors import UserError
from clozebox.registry import Registry

Load = Callable[..., Experiment]
Problems = Callable[..., list[str]]

THREE_ARMS = """\
#:schema schema.json
# How much should it hide?
# And   why?

# not the question
corpus = { name = "lines" }
objectives = ["mlm"]
masking = { name = "token", rate = 0.15 }
seeds = [0, 3]
[budget]
flops = 2e14
[[arm]]
name = "token-15"
[[arm]]
name = "token-40"
masking.rate = 0.40
[[arm]]
name = "forward"
objectives = ["forward"]
masking.name = "none"
"""

NINE_FAULTS = """\
corpus = "linse"
objectives = ["mlm"]
masking = { name = "token", rte = 0.4 }
seeds = [2, 2]
[budget]
stpes = 11
[train]
batch_size = "32"
[optim]
schedule = "cosin"
warmup = 1.5
[[arm]]
name = "a b"
[[arm]]
name = "second"
encoder.droput = 0.2
"""


def test_an_experiment_is_its_arms_seeds_and_question(load: Load) -> None:
    experiment = load(THREE_ARMS)
    assert experiment.name == "question"
    assert experiment.question == "How much should it hide? And why?"
    assert experiment.seeds == (0, 3)
    assert experiment.given == THREE_ARMS
    first, second, third = experiment.arms
    assert [arm.name for arm in experiment.arms] == ["token-15", "token-40", "forward"]
    assert first.masking is not None and first.masking.rate == 0.15
    assert second.masking is not None and second.masking.rate == 0.40
    assert third.masking is None
    assert third.budget.flops == 2e14


def test_without_arms_there_is_one_that_is_called_base(load: Load, ground: str) -> None:
    experiment = load(ground)
    assert [arm.name for arm in experiment.arms] == ["base"]
    assert experiment.seeds == (0, 1, 2)
    assert [task.name for task in experiment.arms[0].evaluations] == ["held_out", "cloze"]


def test_nine_faults_are_all_told_at_once_with_place_key_and_suggestion(problems: Problems) -> None:
    told = problems(NINE_FAULTS)
    expected = [
        ("question.toml:1: corpus.name: no corpus is named 'linse'", "did you mean 'lines'?"),
        ("question.toml:3: masking.rte: unknown key", "did you mean 'rate'?"),
        ("question.toml:4: seeds: must be distinct", "[2, 2]"),
        ("question.toml:6: budget.stpes: unknown key", "did you mean 'steps'?"),
        ("question.toml:8: train.batch_size: must be a valid integer", 'got "32"'),
        ("question.toml:10: optim.schedule: must be 'constant', 'linear'", "mean 'cosine'?"),
        ("question.toml:11: optim.warmup: must be less than or equal to 1", "got 1.5"),
        ("question.toml:13: arm.name: it must be 1 to 100 letters", 'got "a b"'),
        ("question.toml:16: encoder.droput: unknown key", "did you mean 'dropout'?"),
    ]
    for line, (start, suggestion) in zip(told, expected, strict=True):
        assert line.startswith(start)
        assert suggestion in line


def test_a_fault_that_all_arms_share_is_told_once(problems: Problems, ground: str) -> None:
    arms = "".join(f'[[arm]]\nname = "{name}"\noptim.eps = {name}.0\n' for name in "123")
    assert len(problems(ground + "optim.lr = -1.0\n" + arms)) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("batch_size = 3", "question.toml:5: batch_size: unknown key here; did you mean 'train.ba"),
        ("speed.graphs = true", "question.toml:5: speed.graphs: unknown key"),
        ("optim = 3", "question.toml:5: optim: must be a table of lr, beta1"),
        ("size = 3", "question.toml:5: size: must name: one size preset of tiny, mini (got 3)"),
        ("size.hidden_size = 97", "question.toml:5: size: hidden_size 97 is not divisible by"),
        ('evaluations = "cloze"', 'question.toml:5: evaluations: must be (got "cloze"): a list'),
        ('evaluations = ["cloze", "cloze"]', "question.toml:5: evaluations: 'cloze' is given twic"),
        ('reporters = ["consol"]', "question.toml:5: reporters: no reporter is named 'consol'; di"),
        ("evaluation.cloze.rows = 0", "question.toml:5: evaluation.cloze.rows: must be greater t"),
        ("optim.lr = nan", "question.toml:5: optim.lr: must be a finite number"),
        ("optim.lr = inf", "question.toml:5: optim.lr: must be a finite number"),
        ("train.seq_length = 513", "question.toml:5: train.seq_length: seq_length 513 is larger"),
        ("embedding.max_position_embeddings = 100", "question.toml:5: embedding.max_position_embe"),
        ("seeds = []", "question.toml:5: seeds: "),
        ("seeds = [-1]", "question.toml:5: seeds.0: must be greater than or equal to 0 (got -1)"),
        ("seeds = [true]", "question.toml:5: seeds.0: must be a valid integer (got true)"),
        (
            "budget.tokens = 7.0",
            "question.toml:4: budget: exactly one of steps, tokens, predictions",
        ),
        ("arm = 3", "question.toml:5: arm: must be tables, each begun with [[arm]] (got 3)"),
        ("[[arm]]\nrate = 3", "question.toml:5: arm.name: must be given"),
        ('[[arm]]\nname = "x"\nseeds = [1]', "question.toml:7: seeds: belongs to the experiment"),
        ('[[arm]]\nname = "../x"', "question.toml:6: arm.name: it must be 1 to 100 letters"),
        ("optim.lr = 1979-05-27", "question.toml:5: optim.lr: must be a valid number"),
        ("tokenizer.path = 1979-05-27", "question.toml:5: tokenizer.path: must be a valid string"),
        ("encoder.dropout = 1", "question.toml:5: encoder.dropout: must be less than 1 (got 1)"),
    ],
)
def test_what_is_wrong_is_said_where_it_was_given(
    problems: Problems, ground: str, line: str, said: str
) -> None:
    told = problems(f"{ground}{line}\n")
    assert any(each.startswith(said) for each in told), told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optim.decay = 0.3", "optim.decay: only schedule 'wsd' reads it, and the schedule is"),
        ("train.short_seq_prob = 0.3", "train.short_seq_prob: only pairs read it, and the exam"),
        ("objective.nsp.weight = 2.0", "objective.nsp: nothing reads it: not in objectives"),
        ("objective.mlmm.weight = 2.0", "objective.mlmm: nothing reads it: not in objectives; di"),
        ("reporter.console = {}", "reporter.console: nothing reads it: not in reporters"),
        (
            'tokenizer = { path = "a/tokenizer.json", kind = "bpe" }',
            'tokenizer.kind: nothing reads it: the tokenizer is loaded from "a/tokenizer.json"',
        ),
        ('tokenizer = { path = "t.json", vocab_size = 99 }', "tokenizer.vocab_size: nothing reads"),
        ('tokenizer = { path = "t.json", lowercase = true }', "tokenizer.lowercase: nothing reads"),
        ('tokenizer = { path = "vocab.txt", vocab_size = 99 }', "tokenizer.vocab_size: nothing re"),
        ("sweep.trials = 3", "sweep.trials: nothing reads it: there is no [sweep.space]"),
        ('sweep.pruner = "none"', "sweep.pruner: nothing reads it: there is no [sweep.space]"),
    ],
)
def test_a_setting_that_nothing_reads_is_an_error(
    problems: Problems, ground: str, line: str, said: str
) -> None:
    (told,) = problems(f"{ground}{line}\n")
    assert told.startswith(f"question.toml:5: {said}")


def test_masking_that_no_objective_reads_must_be_said_to_be_none(problems: Problems) -> None:
    arm = '[[arm]]\nname = "x"\nobjectives = ["forward"]\n'
    (told,) = problems(THREE_ARMS + arm)
    assert told.startswith("question.toml:8: masking: nothing reads it: no objective of this arm")
    assert 'say masking.name = "none"' in told


def test_an_objective_that_needs_masking_must_have_some(problems: Problems) -> None:
    (told,) = problems(THREE_ARMS + '[[arm]]\nname = "x"\nmasking = "none"\n')
    assert "masking: objective 'mlm' predicts what masking hides" in told


def test_an_option_of_no_masking_is_an_error(problems: Problems) -> None:
    text = THREE_ARMS.replace('masking.name = "none"', 'masking = { name = "none", rate = 0.3 }')
    assert problems(text) == ["question.toml:20: masking.rate: nothing reads it: masking is 'none'"]


def test_single_examples_and_an_objective_of_pairs_do_not_go_together(
    problems: Problems, ground: str
) -> None:
    text = ground.replace('["mlm"]', '["mlm", "nsp"]') + 'train.examples = "single"\n'
    (told,) = problems(text)
    assert told.startswith(
        "question.toml:5: train.examples: must be 'pair' or 'auto' (got \"single\")"
    )


def test_what_one_arm_reads_the_others_may_leave(load: Load, ground: str) -> None:
    text = ground + 'optim.decay = 0.3\nobjective.nsp.weight = 2.0\n[[arm]]\nname = "plain"\n'
    text += '[[arm]]\nname = "pairs"\nobjectives = ["mlm", "nsp"]\noptim.schedule = "wsd"\n'
    plain, pairs = load(text, "masking.rate=0.3").arms
    assert plain.optim.decay == 0.2
    assert pairs.optim.decay == 0.3
    assert [objective.weight for objective in pairs.objectives] == [1.0, 2.0]


def test_what_the_checkout_shares_need_not_be_read(
    load: Load, ground: str, sandbox: Sandbox
) -> None:
    defaults = {"optim": {"decay": 0.3}, "reporter": {"console": {}}, "sweep": {"trials": 3}}
    origins = {(a, b): f"sandbox.toml:{a}" for a, table in defaults.items() for b in table}
    shared = Sandbox(sandbox.root, sandbox.runs, sandbox.cache, (), (), defaults, origins)
    assert load(ground, sandbox=shared).arms[0].optim.decay == 0.2


def test_a_fault_in_the_shared_defaults_is_named_there(
    problems: Problems, ground: str, sandbox: Sandbox
) -> None:
    shared = Sandbox(
        sandbox.root,
        sandbox.runs,
        sandbox.cache,
        defaults={"optim": {"lr": "fast"}},
        origins={("optim", "lr"): "sandbox.toml:9"},
    )
    (told,) = problems(ground, sandbox=shared)
    assert told == 'sandbox.toml:9: optim.lr: must be a valid number (got "fast")'


def test_two_arms_of_one_name_are_an_error(problems: Problems) -> None:
    told = problems(THREE_ARMS + '[[arm]]\nname = "forward"\noptim.lr = 0.5\n')
    assert "question.toml:22: arm.name: another arm is named 'forward' already" in told


def test_two_arms_that_are_the_same_choice_are_an_error(problems: Problems) -> None:
    (told,) = problems(THREE_ARMS + '[[arm]]\nname = "again"\nmasking.rate = 0.15\n')
    assert told.startswith("question.toml:21: arm: arm 'again' is the same as arm 'token-15'")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.lr=quick", '--set optim.lr=quick: optim.lr: must be a valid number (got "quick")'),
        ("optim.lrr=1", "--set optim.lrr=1: optim.lrr: unknown key; did you mean 'lr'?"),
        ("trian.batch_size=1", "--set trian.batch_size=1: trian: unknown key; did you mean 'train"),
        ("arm=3", "--set arm=3: arm: unknown key"),
        ("seeds=[1, 1]", "--set seeds=[1, 1]: seeds: must be distinct"),
        ("masking.max_span=3", "--set masking.max_span=3: masking.max_span: unknown key"),
    ],
)
def test_a_fault_of_an_override_names_it(
    problems: Problems, ground: str, override: str, said: str
) -> None:
    (told,) = problems(ground, override)
    assert told.startswith(said)


@pytest.mark.parametrize("override", ["optim.lr", "=3", "a b=3", "  =", "a..b=1", "x\n=1"])
def test_an_override_that_is_no_key_and_value_is_one_sentence(
    load: Load, ground: str, override: str
) -> None:
    with pytest.raises(UserError, match="^--set "):
        load(ground, override)


def test_a_missing_corpus_objective_and_budget_are_told_together(problems: Problems) -> None:
    told = problems("# nothing\n")
    assert [line.split(": ")[1] for line in told] == ["corpus", "objectives", "budget"]
    assert all(line.startswith("question.toml:1: ") for line in told)


def test_the_name_of_the_file_must_be_fit_for_a_folder(
    tmp_path: Path, registry: Registry, ground: str, sandbox: Sandbox
) -> None:
    from clozebox.config import load_experiment

    path = tmp_path / "a question.toml"
    path.write_text(ground)
    with pytest.raises(UserError, match="the experiment's name"):
        load_experiment(path, registry, (), sandbox)
