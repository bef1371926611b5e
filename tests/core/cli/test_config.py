import json
from collections.abc import Callable
from pathlib import Path

import pytest

Clozebox = Callable[..., int]
Captured = pytest.CaptureFixture[str]

GROUND = """\
corpus = "lines"
objectives = ["mlm"]
masking = { name = "token", rate = 0.15 }
budget.steps = 11
seeds = [0, 3]
"""
ARMS = '[[arm]]\nname = "low"\n[[arm]]\nname = "high"\nmasking.rate = 0.4\noptim.lr = 0.002\n'


@pytest.fixture
def experiment(folder: Path) -> str:
    (folder / "question.toml").write_text(GROUND + ARMS)
    return "question.toml"


def test_check_counts_the_runs_of_a_good_file(
    clozebox: Clozebox, experiment: str, capsys: Captured
) -> None:
    assert clozebox("config", "check", experiment) == 0
    assert capsys.readouterr().out == "question.toml: 2 arms x 2 seeds, nothing wrong\n"


def test_check_counts_the_trials_of_a_search(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    space = 'sweep.space."optim.lr" = { low = 1e-4, high = 1e-3 }\nsweep.trials = 4\n'
    (folder / "search.toml").write_text(GROUND.replace("[0, 3]", "[6]") + space + ARMS)
    assert clozebox("config", "check", "search.toml") == 0
    told = capsys.readouterr().out
    assert told == "search.toml: 2 arms x 4 trials at seed 6, nothing wrong\n"


def test_check_tells_nine_faults_at_once_and_exits_with_2(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    (folder / "bad.toml").write_text(
        'corpus = "linse"\nobjectives = ["mlmm"]\nmasking = { name = "tokne" }\nseeds = []\n'
        'budget.stpes = 11\ntrain.batch_size = "32"\noptim = { schedule = "cosin", lr = -1.0 }\n'
        "spede.threads = 3\n"
    )
    assert clozebox("config", "check", "bad.toml") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: 9 problems in the configuration:\n")
    assert "Traceback" not in told
    for line, key, suggestion in [
        (1, "corpus.name", "did you mean 'lines'?"),
        (2, "objectives", "did you mean 'mlm'?"),
        (3, "masking.name", "did you mean 'token'?"),
        (4, "seeds", "at least 1"),
        (5, "budget.stpes", "did you mean 'steps'?"),
        (6, "train.batch_size", "must be a valid integer"),
        (7, "optim.schedule", "did you mean 'cosine'?"),
        (7, "optim.lr", "must be greater than 0"),
        (8, "spede", "did you mean 'speed'?"),
    ]:
        (said,) = (each for each in told.splitlines() if f"bad.toml:{line}: {key}: " in each)
        assert suggestion in said


def test_check_goes_on_after_a_bad_file(
    clozebox: Clozebox, experiment: str, folder: Path, capsys: Captured
) -> None:
    (folder / "bad.toml").write_text("= 3\n")
    assert clozebox("config", "check", "bad.toml", experiment, "gone.toml") == 2
    said = capsys.readouterr()
    assert "question.toml: 2 arms" in said.out
    assert "bad.toml:1: not valid TOML" in said.err
    assert "gone.toml: cannot be read" in said.err


def test_show_prints_what_an_arm_reads_with_its_origin(
    clozebox: Clozebox, experiment: str, capsys: Captured
) -> None:
    line = ["config", "show", experiment, "--arm", "high", "--origins", "--set", "optim.eps=1e-7"]
    assert clozebox(*line) == 0
    told = capsys.readouterr().out
    assert told.startswith("# arm high\n")
    settings = {
        each.split(" = ")[0]: each.split(" = ")[1].split() for each in told.splitlines()[1:]
    }
    assert settings["masking.rate"] == ["0.4", "#", "question.toml:10"]
    assert settings["optim.lr"] == ["0.002", "#", "question.toml:11"]
    assert settings["optim.eps"] == ["1e-07", "#", "--set", "optim.eps=1e-7"]
    assert settings["optim.beta1"] == ["0.9", "#", "default"]
    assert "optim.decay" not in settings


def test_what_show_prints_is_an_experiment_again(
    clozebox: Clozebox, experiment: str, folder: Path, capsys: Captured
) -> None:
    clozebox("config", "show", experiment, "--arm", "high")
    (folder / "again.toml").write_text(capsys.readouterr().out)
    assert clozebox("config", "diff", experiment, "again.toml", "--set", "seeds=[1]") == 0
    first, second = capsys.readouterr().out.split("setting")[1:]
    assert "masking.rate" in first
    assert second.split() == ["question.toml:", "high", "again.toml:", "base"]


def test_what_show_prints_of_phases_is_an_experiment_again(
    clozebox: Clozebox, folder: Path, capsys: Captured
) -> None:
    phases = """
[[phase]]
share = 0.25
objectives = ["forward"]
[[phase]]
share = 0.75
objectives = ["mlm", "forward"]
"""
    (folder / "phases.toml").write_text(GROUND.replace('["mlm"]', '["mlm", "forward"]') + phases)
    assert clozebox("config", "show", "phases.toml", "--origins") == 0
    told = capsys.readouterr().out
    (line,) = (line for line in told.splitlines() if line.startswith("phase"))
    assert line.endswith("# phases.toml:7")
    assert '{ share = 0.25, objectives = ["forward"] }' in line
    (folder / "again.toml").write_text(told)
    assert clozebox("config", "diff", "phases.toml", "again.toml") == 0
    assert len(capsys.readouterr().out.splitlines()) <= 1, "nothing but the heading"


def test_show_of_an_arm_that_is_not_there_suggests_one(
    clozebox: Clozebox, experiment: str, capsys: Captured
) -> None:
    assert clozebox("config", "show", experiment, "--arm", "hihg") == 2
    assert "no arm is named 'hihg'; did you mean 'high'?" in capsys.readouterr().err


def test_diff_prints_only_what_differs(
    clozebox: Clozebox, experiment: str, capsys: Captured
) -> None:
    assert clozebox("config", "diff", experiment, "low", "high") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["setting", "low", "high"],
        ["masking.rate", "0.15", "0.4"],
        ["optim.lr", "0.001", "0.002"],
    ]


def test_schema_is_json_with_the_components_that_are_there(
    clozebox: Clozebox, capsys: Captured
) -> None:
    assert clozebox("config", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["objectives"]["items"]["enum"] == ["mlm", "forward", "nsp", "sop"]
