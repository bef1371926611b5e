"""The files of a task -> its examples, or everything that is wrong with them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clozebox.errors import did_you_mean
from clozebox.evaluation.finetuning.drafts import DRAFTS, Draft, Refused
from clozebox.evaluation.finetuning.examples import Dataset, LabelledText, TaggedWords
from clozebox.evaluation.finetuning.faults import Faults
from clozebox.evaluation.finetuning.metrics import spans
from clozebox.evaluation.finetuning.rows import READERS, Row
from clozebox.evaluation.finetuning.squad import read_squad
from clozebox.evaluation.finetuning.task import COLUMNS, Task


def load_dataset(task: Task) -> Dataset:
    """Read every file of a task.

    Raises:
        UserError: what is wrong, with file, line and reason.
    """
    faults = Faults()
    labels: tuple[str, ...] = ()
    splits: dict[str, Sequence[Any]]
    if task.settings.kind == "question_answering":
        splits = {name: read_squad(path, faults) for name, path in task.files.items()}
        faults.settle()
    else:
        drafts = {name: list(_drafts(task, path, faults)) for name, path in task.files.items()}
        faults.settle()
        labels = _labels(task, drafts, faults)
        finish = FINISH[task.settings.kind]
        splits = {
            name: [one for draft in some if (one := finish(draft, labels, faults)) is not None]
            for name, some in drafts.items()
        }
        faults.settle()
    for name, examples in splits.items():
        if not examples:
            faults.add(task.files[name], 1, f"there is no example in it: the {name} split is empty")
    faults.settle()
    return Dataset(splits, labels, _fingerprint(task), dict(faults.passed_over))


def _drafts(task: Task, path: Path, faults: Faults) -> Iterator[Draft]:
    settings = task.settings
    columns = [column for key in COLUMNS if (column := getattr(settings, key)) is not None]
    draft = DRAFTS[settings.kind]
    for row in READERS[settings.format](path, columns, faults):
        try:
            yield draft(settings, row)
        except Refused as refused:
            faults.add(path, row.line, str(refused))


def _labels(task: Task, drafts: Mapping[str, Sequence[Draft]], faults: Faults) -> tuple[str, ...]:
    """Those that the task names, or those of the training file, sorted; none of values."""
    if task.settings.kind == "regression":
        _require_two_values(task, drafts, faults)
        return ()
    known = tuple(map(str, task.settings.labels or ()))
    if not known:
        is_tagged = task.settings.kind == "tagging"
        found = {tag for d in drafts["train"] for tag in (d.label if is_tagged else (d.label,))}
        known = tuple(sorted(found))
    if len(known) == 1:
        faults.add(task.files["train"], 1, f"every label is '{known[0]}': there is no choice")
    if task.settings.kind == "classification":
        _refuse_header(task, drafts, faults)
    elif known and task.metric == "span_f1" and not spans(known):
        reason = f"no tag begins a span, as B-X does (there are: {', '.join(known[:12])})"
        faults.add(task.files["train"], 1, f'span_f1: {reason}; set metric = "accuracy"')
    return known


def _require_two_values(task: Task, drafts: Mapping[str, Sequence[Draft]], faults: Faults) -> None:
    for name, some in drafts.items():
        if some and len(values := {draft.label for draft in some}) == 1:
            reason = f"every label is {min(values):g}: nothing can correlate with it"
            faults.add(task.files[name], 1, reason)


def _refuse_header(task: Task, drafts: Mapping[str, Sequence[Draft]], faults: Faults) -> None:
    """Columns by number in files with a header: its label would be one more class.

    It is known by standing first in every file and nowhere else, while all others come again.
    """
    if not isinstance(task.settings.label, int) or not all(drafts.values()):
        return
    names = {some[0].label for some in drafts.values()}
    counts = [Counter(draft.label for draft in some) for some in drafts.values()]
    if len(names) > 1 or any(count[min(names)] > 1 for count in counts):
        return
    if all(number > 1 for label, number in counts[0].items() if label not in names):
        reason = f"the label '{min(names)}' stands in the first line alone, as in a header"
        for path in task.files.values():
            faults.add(path, 1, f"{reason}: name the columns that it names")


def _text_example(draft: Draft, labels: tuple[str, ...], faults: Faults) -> LabelledText | None:
    number = _number(draft.label, labels, draft.row, 0, faults)
    text, pair = draft.content
    return None if number is None else LabelledText(text, pair, number)


def _value_example(draft: Draft, labels: tuple[str, ...], faults: Faults) -> LabelledText:
    text, pair = draft.content
    return LabelledText(text, pair, draft.label)


def _tagged_example(draft: Draft, labels: tuple[str, ...], faults: Faults) -> TaggedWords | None:
    tags = [_number(tag, labels, draft.row, n, faults) for n, tag in enumerate(draft.label)]
    known = tuple(tag for tag in tags if tag is not None)
    return TaggedWords(draft.content, known) if len(known) == len(tags) else None


def _number(label: str, labels: tuple[str, ...], row: Row, item: int, faults: Faults) -> int | None:
    if label in labels:
        return labels.index(label)
    shown = f"known: {', '.join(labels)}" if len(labels) < 12 else f"{len(labels)} are known"
    reason = f"unknown label '{label[:60]}'{did_you_mean(label[:60], labels)} ({shown})"
    faults.add(row.path, row.line_of(item), reason)
    return None


Finish = Callable[[Draft, tuple[str, ...], Faults], LabelledText | TaggedWords | None]
FINISH: Mapping[str, Finish] = MappingProxyType(
    {
        "classification": _text_example,
        "regression": _value_example,
        "tagging": _tagged_example,
    }
)
"""Names -> numbers, by kind; None, and a fault, where a name is not known."""


def _fingerprint(task: Task) -> str:
    digest = hashlib.sha256()
    for name, path in task.files.items():
        with path.open("rb") as file:
            digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
