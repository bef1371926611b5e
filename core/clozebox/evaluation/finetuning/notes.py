"""What is not wrong with a task and yet must be known to read its scores."""

from __future__ import annotations

from collections.abc import Iterator

from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.finetuning.question_answering import whole_answers

JUDGES = ("development", "test")


def notes_on(prepared: Prepared) -> list[str]:
    """A sentence each: examples that are in two splits, or cut, or passed over, and the like."""
    notes = [*_shared(prepared), *_cut(prepared)]
    for path, count in prepared.dataset.passed_over.items():
        notes.append(f"{path}: {count:,} lines end before a column that is read: passed over")
    if prepared.dataset.scored == "development":
        notes.append("no test file: the split that is scored on has chosen the epoch or layer too")
    return notes


def _shared(prepared: Prepared) -> Iterator[str]:
    """How many examples were learned from, or chosen by, and are scored on all the same."""
    held = {
        split: [one.content for one in prepared.examples(split)]
        for split in prepared.dataset.splits
    }
    for split in JUDGES:
        for other in ("train", "development"):
            if split not in held or split == other:
                continue
            known = set(held[other])
            if shared := sum(one in known for one in held[split]):
                total = len(held[split])
                yield f"{shared:,} of {total:,} {split} examples are {other} examples too"


def _cut(prepared: Prepared) -> Iterator[str]:
    length = prepared.tokens.seq_length
    asks = prepared.task.settings.kind == "question_answering"
    for split, features in prepared.features.items():
        total = len(prepared.examples(split))
        if asks:
            answered = sum(bool(one.answers) for one in prepared.examples(split))
            if lost := answered - whole_answers(features):
                few = f"windows of {length} tokens hold no whole answer"
                yield f"{few} of {lost:,} of {answered:,} {split} questions"
        elif cut := len({one.example for one in features if one.is_cut}):
            yield f"{cut:,} of {total:,} {split} examples are cut: they exceed {length} tokens"
