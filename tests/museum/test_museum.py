"""Every bug is found by the property that is there for it, and nothing right is flagged."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from tests.museum import elsewhere
from tests.museum.exhibit import Exhibit, verdicts
from tests.museum.rooms import EXHIBITS, ROOMS, TWINS
from tests.museum.score import bundled

from clozebox.components import Component, MaskingConfig, ObjectiveConfig
from clozebox.testing.check import CONTRACTS

BUNDLED = bundled()


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_the_bug_is_found_by_the_property_that_is_there_for_it(exhibit: Exhibit) -> None:
    if exhibit.seen(seed=0) is None:
        pytest.fail(
            f"{exhibit.flagged_by!r} holds; what flags it is {exhibit.flags(seed=0) or 'nothing'}"
        )


@pytest.mark.parametrize("name", TWINS)
def test_what_the_mutants_were_made_from_is_right(name: str) -> None:
    assert [str(one) for one in verdicts(TWINS[name], seed=0) if not one.passed] == []


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", BUNDLED)
def test_nothing_bundled_is_flagged(name: str, seed: int) -> None:
    assert [str(one) for one in verdicts(BUNDLED[name], seed) if not one.passed] == []


def test_documents_of_which_pairs_can_be_made_are_not_refused() -> None:
    assert elsewhere.refusal(elsewhere.Given(documents=3, sentences=5, seed=0)) is None


def test_all_seventeen_are_on_show() -> None:
    assert {one.number for one in EXHIBITS} - {None} == set(range(1, 18))


@pytest.mark.parametrize("kind", [MaskingConfig, ObjectiveConfig])
def test_no_property_is_there_for_nothing(kind: type[Component]) -> None:
    needed = {one.flagged_by for one in EXHIBITS if isinstance(one.settings, kind)}
    assert needed == {one.name for one in CONTRACTS[kind].properties}


def test_every_exhibit_has_a_story_and_a_name_of_its_own() -> None:
    assert all(one.story for one in EXHIBITS)
    assert len({one.name for one in EXHIBITS}) == len(EXHIBITS)
    text = "".join(inspect.getsource(room) for room in ROOMS)
    assert text.count("@exhibit(") + text.count("@found_by(") == len(EXHIBITS)


def test_the_readme_tells_of_the_seventeen() -> None:
    text = (Path(__file__).parent / "README.md").read_text()
    for number in range(1, 18):
        assert f"\n| {number} |" in text
