"""What a model fills in, in words: a number that carries a text, which the reporter shows.

B sequences, T tokens, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import torch
from torch import Tensor

from clozebox.data import TokenStore
from clozebox.errors import UserError
from clozebox.evaluation import EvaluationTask, HeldOut, text_with_blanks
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    PretrainingModel,
    TokenObjective,
    labelled,
    labelled_rows,
)
from clozebox_tensorboard import MASK, FillsConfig

WINDOW = 12
"""Tokens shown on either side of a blank."""


class Told(float):
    """A number that says more in words; a plain number to everything but a reporter that asks."""

    text: str

    def __new__(cls, value: float, text: str) -> Self:
        made = super().__new__(cls, value)
        made.text = text
        return made

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]
        return float(self), self.text  # what a copy is made of


@dataclass(frozen=True, eq=False)
class Blanks:
    """Sequences with what is hidden in them, and the tokens that were there, if any."""

    batch: Batch
    chosen: Tensor  # (B, T)
    are_known: bool
    """Whether the hidden tokens are the right ones, or no more than [MASK]s."""


class Fills(EvaluationTask):
    def __init__(self, config: FillsConfig) -> None:
        self._config = config
        # One table for each store: asked at every evaluation, it is made once.
        self._words = lru_cache(maxsize=1)(words_of)

    def evaluate(self, model: PretrainingModel, held_out: HeldOut) -> dict[str, float]:
        """``fills_confidence``, the mean probability of the likeliest guess, with all in words.

        Raises:
            UserError: a sentence is too long for the model.
        """
        lines: list[tuple[str, str]] = []
        best: list[float] = []
        for blanks in self._blanks(model, held_out):
            found = probabilities_of(model, blanks, held_out)
            if found is None:
                return {}
            lines += _lines(found, blanks, held_out.store, self._config.top)
            best += found.max(-1).values.tolist()
        if not best:
            return {}
        return {"fills_confidence": Told(sum(best) / len(best), _table(lines))}

    def _blanks(self, model: PretrainingModel, held_out: HeldOut) -> Iterator[Blanks]:
        if not self._config.sentences:
            for batch in held_out.batches(self._config.excerpts):
                yield Blanks(batch, one_word_each(batch, self._words(held_out.store)), True)
        for sentence in self._config.sentences:
            batch = _batch_of(sentence, model, held_out)
            yield Blanks(batch, batch.input_ids == model.vocabulary.mask_id, are_known=False)


def probabilities_of(model: PretrainingModel, blanks: Blanks, held_out: HeldOut) -> Tensor | None:
    """(M, V) of the hidden tokens, row by row; None where no objective of the model fills in."""
    for objective in model.speakers():
        view = objective.cloze(blanks.batch, blanks.chosen)
        if view is None or not isinstance(objective, TokenObjective):
            continue
        with torch.no_grad(), held_out.numerics.autocast():
            states, labels = labelled(model.encode(view, labelled_rows(view)), view)  # (M, D), (M,)
            logits: Tensor = objective.head(states[labels != IGNORE_INDEX])  # (M, V)
        return logits.float().softmax(-1)
    return None


def words_of(store: TokenStore) -> Tensor:
    """Which tokens have a letter in them, (V,)."""
    tokenizer, size = store.tokenizer(), store.vocabulary.size
    tokens = (tokenizer.id_to_token(token) or "" for token in range(size))
    return torch.tensor([any(map(str.isalpha, token)) for token in tokens])


def one_word_each(batch: Batch, is_word: Tensor) -> Tensor:
    """A token to hide in each sequence, always the same; ``is_word`` (V,) -> (B, T).

    Whole words where there are any: a piece would be given away by the rest of its word, and a
    full stop is no news.
    """
    score = batch.uniform("fills")  # (B, T)
    pieces = torch.as_tensor(batch.vocabulary.continuation_ids, device=score.device)
    piece = torch.isin(batch.input_ids, pieces)  # (B, T)
    cut = piece | piece.roll(-1, 1)  # or the beginning of a word that goes on
    score = score + cut + ~is_word.to(score.device)[batch.input_ids]
    score = score.masked_fill(batch.special_tokens_mask, torch.inf)
    place = torch.arange(score.shape[1], device=score.device)  # (T,)
    return (place == score.argmin(1, keepdim=True)) & ~batch.special_tokens_mask  # (B, T)


def _batch_of(sentence: str, model: PretrainingModel, held_out: HeldOut) -> Batch:
    longest, device = model.shape.max_position_embeddings, held_out.numerics.device
    try:
        return text_with_blanks(sentence, held_out.store, longest, device)
    except UserError as error:  # of many settings, whose text it is
        raise UserError(f"evaluation fills: {error}") from None


def _lines(
    probabilities: Tensor, blanks: Blanks, store: TokenStore, top: int
) -> Iterator[tuple[str, str]]:
    """For each hidden token, its surroundings and what is filled in."""
    rows, columns = blanks.chosen.nonzero(as_tuple=True)
    for guess, row, column in zip(probabilities, rows.tolist(), columns.tolist(), strict=True):
        ids = blanks.batch.input_ids[row].tolist()
        best = guess.topk(min(top, len(guess)))
        said = " · ".join(
            f"{_token(int(token), store)} {share:.0%}"
            for share, token in zip(best.values.tolist(), best.indices, strict=True)
        )
        if blanks.are_known:
            said += f" (it was: {_token(ids[column], store)}, {guess[ids[column]]:.0%})"
        yield _around(ids, column, store), said


def _around(ids: Sequence[int], column: int, store: TokenStore) -> str:
    tokenizer, begin = store.tokenizer(), max(0, column - WINDOW)
    while begin < column and ids[begin] in store.vocabulary.continuation_ids:
        begin += 1  # not in the middle of a word
    before = tokenizer.decode(ids[begin:column])
    after = tokenizer.decode(ids[column + 1 : column + 1 + WINDOW])
    return f"{before} **{MASK}** {after}".strip()


def _token(token: int, store: TokenStore) -> str:
    return store.tokenizer().id_to_token(token) or "?"


def _table(lines: Sequence[tuple[str, str]]) -> str:
    """Markdown, in which no text may end a cell."""
    rows = [f"| {_cell(text)} | {_cell(said)} |" for text, said in lines]
    return "\n".join(["| text | filled in |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
