"""Which settings an arm reads. One that nothing reads is an error: it would silently do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from clozebox.components import EmbeddingConfig, ExampleKind, ObjectiveConfig
from clozebox.config.layers import KeyPath, Table
from clozebox.config.problems import Problems, show, unknown
from clozebox.config.settings import Optim, TokenizerSettings, Train

Objectives = Sequence[type[ObjectiveConfig]]

LISTS = (
    ("objectives", "objective", "objective"),
    ("evaluations", "evaluation", "evaluation task"),
    ("reporters", "reporter", "reporter"),
)
"""The list of names, the table of their options, and the kind."""


def example_kind(table: Table, objectives: Objectives) -> str:
    """The kind of example an arm learns from: as it says, or pairs once an objective needs them."""
    given = table.get(("train", "examples"), Train().examples)
    if given != "auto":
        return str(given)
    return next((one.example for one in objectives if one.example != "single"), "single")


def idle(table: Table, objectives: Objectives | None) -> Iterator[tuple[KeyPath, str]]:
    """The settings that were given and that nothing in this arm reads, each with the reason.

    ``objectives`` is None when they are not all known; what depends on them is then not judged.
    """
    for plural, option, _ in LISTS:
        names, options = table.get((plural,)), table.get((option,))
        if isinstance(names, list) and isinstance(options, dict):
            for name in options:
                if name not in names:
                    reason = (
                        f"nothing reads it: {unknown(name, f'not in {plural}', map(str, names))}"
                    )
                    yield (option, name), reason
    masking = table.get(("masking",))
    if isinstance(masking, dict) and masking.get("name") == "none":
        for key in masking.keys() - {"name"}:
            yield ("masking", key), "nothing reads it: masking is 'none'"
    schedule = table.get(("optim", "schedule"), Optim().schedule)
    others = set(get_args(Optim.model_fields["schedule"].annotation)) - {"wsd"}
    if str(schedule) in others and table.get(("optim", "decay")) is not None:
        yield ("optim", "decay"), f"only schedule 'wsd' reads it, and the schedule is '{schedule}'"
    yield from _idle_tokenizer(table)
    if objectives is not None and table.get(("train", "short_seq_prob")) is not None:
        kind = example_kind(table, objectives)
        if kind == "single":
            yield ("train", "short_seq_prob"), f"only pairs read it, and the examples are '{kind}'"


def _idle_tokenizer(table: Table) -> Iterator[tuple[KeyPath, str]]:
    """What a tokenizer that is loaded says itself."""
    path = table.get(("tokenizer", "path"))
    if not isinstance(path, str):
        return
    reads = {"path", "lowercase"} if Path(path).suffix == ".txt" else {"path"}
    for key in TokenizerSettings.model_fields:
        if key not in reads and table.get(("tokenizer", key)) is not None:
            yield ("tokenizer", key), f"nothing reads it: the tokenizer is loaded from {show(path)}"


def check_together(table: Table, objectives: Objectives, problems: Problems) -> None:
    """Settings that are right alone and wrong together."""
    names = ", ".join(objective.name for objective in objectives)
    masking = table.get(("masking", "name"))
    needs = [objective.name for objective in objectives if objective.needs_masking]
    if masking == "none" and needs:
        text = (
            f"objective '{needs[0]}' predicts what masking hides, and there is none; "
            'say masking = { name = "...", rate = 0.15 }'
        )
        problems.add(table.origin(("masking",)), ("masking",), text)
    elif masking != "none" and objectives and not needs:
        text = (
            f"nothing reads it: no objective of this arm ({names}) uses masking; "
            'say masking.name = "none"'
        )
        problems.add(table.origin(("masking",)), ("masking",), text)
    _check_examples(table, objectives, problems)


def _check_examples(table: Table, objectives: Objectives, problems: Problems) -> None:
    """All objectives of an arm learn from one kind of example, or from single sequences of it."""
    given = table.get(("train", "examples"), Train().examples)
    kind = example_kind(table, objectives)
    path: KeyPath = ("objectives",) if given == "auto" else ("train", "examples")
    for objective in objectives:
        if objective.example in ("single", kind) or kind not in get_args(ExampleKind):
            continue
        text = f"objective '{objective.name}' learns from '{objective.example}' examples"
        if given == "auto":
            text += f", and another of the arm's from '{kind}'"
        else:
            text = f"must be '{objective.example}' or 'auto' (got {show(given)}): {text}"
        problems.add(table.origin(path), path, text)


def check_positions(
    table: Table, embedding: EmbeddingConfig, train: Train, problems: Problems
) -> None:
    """A sequence must not be longer than the embedding has positions."""
    if train.seq_length > embedding.max_position_embeddings:
        path: KeyPath = ("train", "seq_length")
        if path not in table.origins:
            path = ("embedding", "max_position_embeddings")
        text = (
            f"seq_length {train.seq_length} is larger than "
            f"embedding.max_position_embeddings {embedding.max_position_embeddings}"
        )
        problems.add(table.origin(path), path, text)
