"""The page in a real browser: it draws what it says, on a desk and on a phone, without an error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.core.report.studies import tell_findings, write_search, write_trial
from tests.core.report.synthetic import write_run

from clozebox.report import compare_runs
from clozebox.report.page import as_page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PHONE = 400
FRAMES = Path(__file__).with_name("frames.html")
"""Looks at pages in frames, and leaves what it saw in its own text."""

LISTEN = "<script>errors = []; onerror = (message) => { errors.push(String(message)); };</script>"


def framed(page: Path, width: int) -> str:
    """A page in a page: a browser's own window cannot be as narrow as a phone."""
    return f'<iframe style="width:{width}px;height:900px;border:0" src="{page.as_uri()}"></iframe>'


@cache
def seen(folder: Path) -> dict[str, Any]:
    """What a plan's page shows on a desk and on a phone, and a search's: one start of a browser."""
    assert CHROMIUM is not None
    for name in ("plan", "search", "winners"):
        page = as_page(compare_runs(folder / name)).replace("<title>", f"{LISTEN}<title>", 1)
        (folder / f"{name}.html").write_text(page)
    shown = (("plan", 1100), ("plan", PHONE), ("search", 1100), ("winners", 1100))
    frames = [framed(folder / f"{name}.html", width) for name, width in shown]
    html = folder / "frames.html"
    html.write_text(FRAMES.read_text().replace("FRAMES", "".join(frames)))
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000"),
            "--allow-file-access-from-files",
            "--dump-dom",
            html.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr
    return dict(json.loads(unescape(found[1])))


def write_confirmed(folder: Path) -> None:
    """A search of two arms, the better trial of each on three fresh seeds."""
    trials = [(3.0, {"optim.lr": 1e-3}), (3.1, {"optim.lr": 2e-3})]
    for index, arm in enumerate(("masked", "forward")):
        for number, (value, values) in enumerate(trials):
            write_trial(folder, arm, index, number, 0, value, values)
        for seed in (1, 2, 3):
            loss = 3.0 + 0.1 * index + 0.01 * seed * seed**index
            write_trial(folder, arm, index, 0, seed, loss, trials[0][1])
    best = {"masked": [0], "forward": [0]}
    tell_findings(folder, {arm: [*trials] for arm in best}, best)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium and no google-chrome on the PATH: the page is not drawn")
    folder = tmp_path_factory.mktemp("pages")
    for seed in range(3):
        for index, arm in enumerate(("base", "other", "an-arm-with-quite-a-long-name")):
            losses = [4.0, 3.0 + 0.1 * seed, 2.5 + 0.1 * index + 0.01 * seed]
            write_run(folder / "plan", arm, seed, losses, index=index, a_long_task_accuracy=losses)
    write_run(folder / "plan", "other", 3, [4.0, 9.0], index=1, state="diverged")
    write_search(folder / "search")
    write_confirmed(folder / "winners")
    return seen(folder)


def test_no_script_of_the_page_fails(shown: dict[str, Any]) -> None:
    assert shown["errors"] == []


def test_curves_bands_and_differences_are_drawn_and_redrawn_against_another_cost(
    shown: dict[str, Any],
) -> None:
    desk = shown["found"][0]
    # Three means, three bands, the run that diverged with its cross, and what clips them.
    assert desk["curves"] == 3 + 3 + 2 + 1
    assert desk["forest"] == 2 * (3 + 1), "three seeds and a mean, of two arms"
    assert "steps" in desk["names"] and "training time, seconds" in desk["second"]
    assert "base" in desk["names"], "the name stands beside its line"
    assert "axis=seconds" in desk["hash"]
    assert desk["buttons"] == 2 * 6


def test_nothing_is_wider_than_a_phone(shown: dict[str, Any]) -> None:
    phone = shown["found"][1]
    assert phone["overflow"] <= 0
    assert phone["curves"] == shown["found"][0]["curves"]


def test_every_panel_of_a_search_is_drawn_and_no_differences_between_trials(
    shown: dict[str, Any],
) -> None:
    search = shown["found"][2]
    assert all(search["search"]) and search["forest"] == 0
    history, importance, front, slices = search["search"]
    assert (importance, slices) == (3, 3 * 10), "three settings; ten trials that finished"
    assert history == 10 + 2 + 1, "a dot each, a cross for each pruned one, and the best so far"
    assert shown["found"][0]["search"] == [0, 0, 0, 0]


def test_winners_have_differences_and_their_trials_the_panels(shown: dict[str, Any]) -> None:
    winners = shown["found"][3]
    assert winners["forest"] == 3 + 1, "three fresh seeds and their mean, of one arm"
    history, importance, _, slices = winners["search"]
    assert (history, importance, slices) == (2 + 1, 1, 2), "two trials of the first arm"
    assert "forward" in winners["names"]
