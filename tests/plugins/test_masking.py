"""The bundled masking strategies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clozebox.pretraining import IGNORE_INDEX, number_to_choose
from clozebox.training.console import Console
from clozebox.training.setup import set_up


def test_token_masking_hides_berts_number_of_ordinary_tokens(
    make_run: Callable[..., Any], registry: Any
) -> None:
    run = make_run(masking={"name": "token", "rate": 0.25}, train={"batch_size": 50})
    training = set_up(run, registry, Console().say)
    [batch] = training.batches(0)
    hidden = batch.masked.labels != IGNORE_INDEX
    assert not (hidden & batch.special_tokens_mask).any()
    for sequence, length in enumerate(batch.attention_mask.sum(1).tolist()):
        assert hidden[sequence].sum() == number_to_choose(length, 0.25)


def test_the_next_pass_over_the_corpus_hides_other_tokens(
    make_run: Callable[..., Any], registry: Any
) -> None:
    training = set_up(make_run(masking={"name": "token"}), registry, Console().say)
    epoch = len(training.examples)
    seen: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for step in range(3 * epoch // training.arm.train.batch_size):
        [batch] = training.batches(step)
        for ids, labels in zip(batch.input_ids, batch.masked.labels, strict=True):
            places = tuple((labels != IGNORE_INDEX).nonzero().flatten().tolist())
            seen.setdefault(tuple(ids.tolist()), set()).add(places)
    assert max(len(places) for places in seen.values()) > 1
