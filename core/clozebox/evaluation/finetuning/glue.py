"""GLUE's nine tasks in the layout in which they are handed out (Wang et al., 2019).

All are tab-separated without quoting: a quotation mark is a character like any other. The published
test files carry no labels, so the development file is what is scored on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def _task(text: int | str, pair: str | None, label: int | str, **others: Any) -> dict[str, Any]:
    facts = {
        "kind": "classification",
        "train": "train.tsv",
        "development": "dev.tsv",
        "text": text,
        "text_pair": pair,
        "label": label,
        "metric": "accuracy",
    }
    return {key: value for key, value in {**facts, **others}.items() if value is not None}


_ENTAILMENT = ["entailment", "not_entailment"]
_MNLI = _task(
    "sentence1", "sentence2", "gold_label", labels=["contradiction", "entailment", "neutral"]
)

GLUE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # CoLA alone has no header: source, label, the author's mark, sentence.
        "cola": _task(3, None, 1, labels=["0", "1"], metric="matthews_correlation"),
        "sst2": _task("sentence", None, "label", labels=["0", "1"]),
        "mrpc": _task("#1 String", "#2 String", "Quality", labels=["0", "1"], metric="f1"),
        "qqp": _task("question1", "question2", "is_duplicate", labels=["0", "1"], metric="f1"),
        "stsb": _task(
            "sentence1", "sentence2", "score", kind="regression", metric="pearson_correlation"
        ),
        "mnli": {**_MNLI, "development": "dev_matched.tsv"},
        "mnli_mismatched": {**_MNLI, "development": "dev_mismatched.tsv"},
        "qnli": _task("question", "sentence", "label", labels=_ENTAILMENT),
        "rte": _task("sentence1", "sentence2", "label", labels=_ENTAILMENT),
        "wnli": _task("sentence1", "sentence2", "label", labels=["0", "1"]),
    }
)
"""What a task file need not say of each."""
