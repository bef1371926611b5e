"""Filling in blanks: what a pretrained model would write where a text says [MASK]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from clozebox.data import Rows, TokenStore
from clozebox.errors import UserError
from clozebox.pretraining import Batch, PretrainingModel, TokenObjective, labelled, labelled_rows


@dataclass(frozen=True)
class Guess:
    """A token and its probability."""

    token: str
    probability: float


def fill(
    model: PretrainingModel, store: TokenStore, text: str, device: torch.device, top: int = 5
) -> list[list[Guess]]:
    """The likeliest tokens for each [MASK] in ``text``, in order.

    Each objective that can fill in blanks does so in its own way: a one-sided model from its side.

    Raises:
        UserError: no [MASK] in the text, a text that is too long, or no objective that fills in.
    """
    batch = text_with_blanks(text, store, model.shape.max_position_embeddings, device)
    chosen = batch.input_ids == store.vocabulary.mask_id  # (1, T)
    if not chosen.any():
        raise UserError(f"there is no [MASK] in {text!r}")
    for objective in model.speakers():
        view = objective.cloze(batch, chosen)
        if view is None or not isinstance(objective, TokenObjective):
            continue
        with torch.no_grad():
            states, _ = labelled(model.encode(view, labelled_rows(view)), view)  # (M, D)
            probabilities = objective.head(states).softmax(-1)  # (M, V)
        return [_guesses(row, store, top) for row in probabilities]
    raise UserError("none of the run's objectives fills in blanks")


def text_with_blanks(text: str, store: TokenStore, longest: int, device: torch.device) -> Batch:
    """A batch (1, T) of a text in which [MASK] may stand.

    Raises:
        UserError: more than ``longest`` tokens.
    """
    vocabulary = store.vocabulary
    content = store.tokenizer().encode(text, add_special_tokens=False).ids
    if len(content) + 2 > longest:
        problem = f"{text!r} has {len(content) + 2} tokens; the model reads {longest}"
        raise UserError(problem)
    ids = np.array([[vocabulary.cls_id, *content, vocabulary.sep_id]])  # (1, T)
    rows = Rows(
        input_ids=ids,
        token_type_ids=np.zeros_like(ids),
        attention_mask=np.ones_like(ids, dtype=np.bool_),
        special_tokens_mask=np.isin(ids, [vocabulary.cls_id, vocabulary.sep_id]),
    )
    return Batch.of(rows, vocabulary, None, seed=0, first=0, device=device)


def _guesses(probabilities: torch.Tensor, store: TokenStore, top: int) -> list[Guess]:
    tokenizer = store.tokenizer()
    best = probabilities.topk(min(top, len(probabilities)))
    return [
        Guess(tokenizer.id_to_token(int(token)) or "?", float(probability))
        for probability, token in zip(best.values, best.indices, strict=True)
    ]
