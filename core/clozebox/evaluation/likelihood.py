"""How likely a model finds a sentence, in its own way of reading.

A model that reads one side predicts each token from what comes before it on that side: one pass,
and the sum over the tokens is a log-likelihood. A model that reads both sides predicts each token
from all the others, with that token hidden: one pass for each token, and the sum is a
pseudo-log-likelihood (PLL; Salazar et al., 2020, section 2). PLL overrates words of several pieces,
for the later ones give the earlier away; the corrected form hides them too (Kauf and Ivanova, 2023,
"PLL-word-l2r"). A prefix model predicts each token from all before it, read from both sides.

The same tokens are scored for all: those of the sentence. [CLS] and [SEP] never are, so that the
sums of models that read from the left, from the right and from both sides are over the same things.

S sentences, B sequences, T tokens, D hidden size, V vocabulary, M predicted tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from clozebox.data import Rows, Vocabulary
from clozebox.evaluation.held_out import EVALUATION_SEED
from clozebox.evaluation.sentences import framed, groups, special
from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    PretrainingModel,
    TokenObjective,
    View,
    labelled,
    labelled_rows,
)

Scoring = Literal["pll", "pll_within_word"]
"""What of a word is hidden with a token of it: nothing, or the pieces after it. It makes no
difference to a model that reads one side."""

TOKENS = 4096
"""Tokens in a batch. It changes a score by rounding only."""

Flags = NDArray[np.bool_]


def speaker(model: PretrainingModel, device: torch.device) -> TokenObjective | None:
    """The first objective that fills in blanks and predicts tokens; None if there is none."""
    for objective in model.each_objective():
        if isinstance(objective, TokenObjective) and _trial(objective, model, device) is not None:
            return objective
    return None


def sentence_scores(
    model: PretrainingModel,
    objective: TokenObjective,
    sentences: Sequence[Sequence[int]],
    device: torch.device,
    scoring: Scoring = "pll",
    tokens: int = TOKENS,
) -> NDArray[np.float64]:
    """The (pseudo-)log-likelihood of each of S sentences, in nats -> (S,).

    See ``token_scores``, which it sums.
    """
    scores = token_scores(model, objective, sentences, device, scoring, tokens)
    return np.array([score.sum() for score in scores])


def token_scores(
    model: PretrainingModel,
    objective: TokenObjective,
    sentences: Sequence[Sequence[int]],
    device: torch.device,
    scoring: Scoring = "pll",
    tokens: int = TOKENS,
) -> list[NDArray[np.float64]]:
    """The log-probability of each token of each sentence, in nats: S arrays, one number a token.

    ``sentences`` are ids without [CLS] and [SEP], which are added here. A special token in a
    sentence is not predicted, and counts 0. Computed in the precision of the weights, whatever the
    arm trains in: the two sides of a minimal pair may differ by less than bf16 can tell apart.

    Raises:
        ValueError: the objective fills in other tokens than it is asked for.
    """
    contents = [np.asarray(sentence, dtype=np.int64) for sentence in sentences]
    lengths = np.array([len(content) for content in contents], dtype=np.int64)  # (S,)
    begin = np.cumsum(lengths) - lengths  # (S,)
    found = np.zeros(int(lengths.sum()))
    one_pass = reads_one_side(objective, model, device)
    owner, column = _copies(contents, model.vocabulary, one_pass)  # each (copies,)
    for group in groups(lengths[owner] + 2, tokens):
        rows = framed([contents[sentence] for sentence in owner[group]], model.vocabulary)
        place = np.arange(rows.input_ids.shape[1])  # (T,)
        asked = ~rows.special_tokens_mask  # (B, T)
        if not one_pass:
            asked &= place == column[group, None]
        hidden = asked
        if not one_pass and scoring == "pll_within_word":
            hidden = asked | later_pieces(rows, column[group], model.vocabulary)
        batch = _batch(rows, model.vocabulary, device)
        log_probabilities = _asked(model, objective, batch, asked, hidden)  # (M,)
        # Token j of a sentence stands in column j + 1, behind [CLS].
        found[(begin[owner[group], None] + place - 1)[asked]] = log_probabilities
    return [found[first : first + length] for first, length in zip(begin, lengths, strict=True)]


def reads_one_side(
    objective: TokenObjective, model: PretrainingModel, device: torch.device
) -> bool:
    """Whether one pass gives the log-probability of every token, each from one side of it."""
    view = _trial(objective, model, device)
    return view is not None and view.attention.kind in ("causal", "anticausal")


def later_pieces(rows: Rows, column: NDArray[np.int64], vocabulary: Vocabulary) -> Flags:
    """The pieces behind ``column`` (B,) that belong to the same word -> (B, T)."""
    begins = ~np.isin(rows.input_ids, vocabulary.continuation_ids)  # (B, T)
    word = begins.cumsum(axis=1)
    same: Flags = word == np.take_along_axis(word, column[:, None], axis=1)
    return same & (np.arange(rows.input_ids.shape[1]) > column[:, None])


def _copies(
    contents: Sequence[NDArray[np.int64]], vocabulary: Vocabulary, one_pass: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sentence of each row to be read, and the column it is asked for; of one pass, none."""
    if one_pass:
        everyone = np.flatnonzero([len(content) for content in contents])
        return everyone, np.zeros_like(everyone)
    columns = [np.flatnonzero(~special(content, vocabulary)) + 1 for content in contents]
    owner = np.repeat(np.arange(len(contents)), [len(each) for each in columns])
    return owner, np.concatenate([np.zeros(0, dtype=np.int64), *columns])


def _asked(
    model: PretrainingModel, objective: TokenObjective, batch: Batch, asked: Flags, hidden: Flags
) -> NDArray[np.float64]:
    """Log-probabilities (M,) of the ``asked`` tokens (B, T), row by row, while ``hidden`` are."""
    chosen = torch.from_numpy(asked).to(batch.input_ids.device)  # (B, T)
    wanted = _cloze(objective, batch, chosen)
    # Where an objective puts the label of a token is its own affair: at the token, or before it,
    # or behind. In whatever column, they follow one another as the tokens do.
    labels = wanted.labels[wanted.labels != IGNORE_INDEX]  # (M,)
    if not torch.equal(labels, batch.input_ids[chosen]):
        raise ValueError(f"{objective.name}.cloze labels other tokens than those it is asked for")
    concealed = torch.from_numpy(hidden).to(batch.input_ids.device)  # (B, T)
    view = replace(_cloze(objective, batch, concealed), labels=wanted.labels)
    with torch.no_grad():
        states, labels = labelled(model.encode(view, labelled_rows(view)), view)  # (M, D), (M,)
        there = labels != IGNORE_INDEX
        logits = objective.head(states[there])  # (M, V)
        loss = F.cross_entropy(logits, labels[there], reduction="none")  # (M,)
    found: NDArray[np.float64] = -loss.double().cpu().numpy()
    return found


def _cloze(objective: TokenObjective, batch: Batch, chosen: Tensor) -> View:
    view = objective.cloze(batch, chosen)
    if view is None:
        raise ValueError(f"{objective.name} fills in no blanks")
    return view


def _trial(objective: TokenObjective, model: PretrainingModel, device: torch.device) -> View | None:
    """How the objective fills in a sentence of one token."""
    word = int(model.vocabulary.ordinary_ids[0])
    batch = _batch(framed([[word]], model.vocabulary), model.vocabulary, device)
    return objective.cloze(batch, ~batch.special_tokens_mask)


def _batch(rows: Rows, vocabulary: Vocabulary, device: torch.device) -> Batch:
    return Batch.of(
        rows,
        vocabulary,
        None,
        seed=EVALUATION_SEED,
        first=0,
        stream="eval/sentences",
        device=device,
    )
