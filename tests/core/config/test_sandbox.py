from pathlib import Path

import pytest

from clozebox.config import ConfigError, find_sandbox


def test_without_a_file_the_folder_itself_is_the_sandbox(tmp_path: Path) -> None:
    sandbox = find_sandbox(tmp_path)
    assert (sandbox.root, sandbox.runs, sandbox.cache) == (
        tmp_path,
        tmp_path / "runs",
        tmp_path / ".cache",
    )


def test_the_nearest_file_upward_counts_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "sandbox.toml").write_text(
        '[paths]\nruns = "out"\ncache = "/elsewhere"\n'
        '[plugins]\ndisable = ["nsp"]\npaths = ["mine.py"]\n[defaults]\noptim.lr = 0.3\n'
    )
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    sandbox = find_sandbox(deep)
    assert sandbox.root == tmp_path
    assert sandbox.runs == tmp_path / "out"
    assert sandbox.cache == Path("/elsewhere")
    assert sandbox.disable == ("nsp",)
    assert sandbox.plugin_paths == (tmp_path / "mine.py",)
    assert sandbox.defaults == {"optim": {"lr": 0.3}}
    assert sandbox.origins[("optim", "lr")] == f"{tmp_path}/sandbox.toml:8"


def test_all_that_is_wrong_with_it_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "sandbox.toml").write_text('[path]\n[paths]\nrnus = "x"\n[plugins]\ndisable = 3\n')
    with pytest.raises(ConfigError) as caught:
        find_sandbox(tmp_path)
    assert [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems] == [
        "sandbox.toml:1: path: unknown key; did you mean 'paths'? "
        "(allowed: defaults, paths, plugins)",
        "sandbox.toml:3: paths.rnus: unknown key; did you mean 'runs'? (allowed: cache, runs)",
        "sandbox.toml:5: plugins.disable: must be a valid array (got 3)",
    ]
