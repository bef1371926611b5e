"""Contextual vectors: what a pretrained model makes of tokens, words and sentences, layer by layer.

B sequences, T tokens, D hidden size, L layers that are asked for, R rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from clozebox.data import TokenStore
from clozebox.errors import UserError
from clozebox.evaluation.held_out import EVALUATION_SEED
from clozebox.evaluation.likelihood import TOKENS
from clozebox.evaluation.sentences import framed, groups, special
from clozebox.model import AttentionKind
from clozebox.pretraining import Batch, PretrainingModel, passes_of

Pool = Literal["token", "cls", "mean"]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Text:
    """A text as the model reads it. Lists are by column: [CLS], the tokens, [SEP]."""

    number: int
    """Counted from 1, for people."""
    text: str
    ids: list[int]
    """Without [CLS] and [SEP]."""
    tokens: list[str]
    spans: list[tuple[int, int]]
    """The characters that each column stands for; none for [CLS] and [SEP]."""
    words: list[int]
    """The word of each column, as the tokenizer cuts words."""


@dataclass(frozen=True)
class Spot:
    """One row of the result: the mean over some columns of a text."""

    text: Text
    label: str
    columns: list[int]


def texts_of(store: TokenStore, texts: Sequence[str], positions: int) -> list[Text]:
    """Tokenize. Raises UserError for texts without a token or with more than the model reads."""
    found, problems = [], []
    encoded = store.tokenizer().encode_batch(list(texts), add_special_tokens=False)
    for number, (text, one) in enumerate(zip(texts, encoded, strict=True), start=1):
        length = len(one.ids) + 2
        if not one.ids:
            problems.append(f"text {number}, {text[:60]!r}, has no token")
        if length > positions:
            problems.append(f"text {number} has {length} tokens; the model reads {positions}")
        # A tokenizer may take the blank before [MASK] to it.
        tokens = ["[CLS]", *(token.strip() for token in one.tokens), "[SEP]"]
        # A special token that is written in a text belongs to no word: it is one by itself.
        words = [-2 - i if word is None else word for i, word in enumerate(one.word_ids)]
        spans = [(0, 0), *one.offsets, (0, 0)]
        found.append(Text(number, text, one.ids, tokens, spans, [-1, *words, -1]))
    if problems:
        raise UserError("\n".join(problems))
    return found


def pooled(text: Text, pool: Pool, store: TokenStore) -> list[Spot]:
    """Each ordinary token by itself, or [CLS], or the mean over the ordinary tokens."""
    ordinary = np.flatnonzero(~special(np.array(text.ids), store.vocabulary)) + 1
    if pool == "token":
        return [Spot(text, text.tokens[column], [int(column)]) for column in ordinary]
    columns = [0] if pool == "cls" else [int(column) for column in ordinary]
    return [Spot(text, text.text, columns)] if columns else []


def occurrences(texts: Sequence[Text], word: str, store: TokenStore) -> list[Spot]:
    """Where a word (or several in a row) stands in the texts, and the pieces that it is cut into.

    In any case, if the tokenizer makes no difference either.

    Raises:
        UserError: a text does not hold it as a word of its own; every such text is named.
    """
    normalizer = store.tokenizer().normalizer
    blind = normalizer is not None and normalizer.normalize_str("A") == "a"
    pattern = re.compile(re.escape(word), re.IGNORECASE if blind else 0)
    found, missing = [], []
    for text in texts:
        spans = [match.span() for match in pattern.finditer(text.text)] if word else []
        places = [columns for span in spans if (columns := _columns(text, *span))]
        if not places:
            missing.append(f"text {text.number}, {text.text[:60]!r}, does not hold {word!r}")
        for nth, columns in enumerate(places):
            letter = "abcdefghijklmnopqrstuvwxyz"[nth % 26] if len(places) > 1 else ""
            found.append(Spot(text, f"{text.number}{letter}", columns))
    if missing:
        raise UserError("\n".join([*missing, "as a word of its own; give texts that do"]))
    return found


def _columns(text: Text, begin: int, end: int) -> list[int]:
    """The columns of the characters ``begin .. end``; none where they are a part of a word only."""
    touching = [first < end and last > begin for first, last in text.spans]
    touched = {word for word, touches in zip(text.words, touching, strict=True) if touches}
    columns = [column for column, word in enumerate(text.words) if word in touched]
    if not columns:
        return []
    first, last = text.spans[columns[0]][0], text.spans[columns[-1]][1]
    # Byte-level BPE counts the blank before a word to it.
    first += len(text.text[first:last]) - len(text.text[first:last].lstrip())
    return columns if (first, last) == (begin, end) else []


def reading_of(model: PretrainingModel, batch: Batch) -> AttentionKind:
    """How the model learned to read, asked with a batch of its training.

    From both sides, if any of its objectives does; a prefix is read so too, and a whole text is one
    long prefix. Else from the side of its first objective.
    """
    with torch.no_grad():
        kinds = [one.view.attention.kind for one in passes_of(model, batch)]
    both = any(kind in ("bidirectional", "prefix") for kind in kinds)
    return "bidirectional" if both else kinds[0]


def embed(
    model: PretrainingModel,
    spots: Sequence[Spot],
    layers: Sequence[int],
    reading: AttentionKind,
    device: torch.device,
) -> Vectors:
    """The vector of each spot at each layer -> (R, L, D). Layer 0 is what the embedding gives."""
    texts = list({spot.text.number: spot.text for spot in spots}.values())
    rows_of: dict[int, list[int]] = {text.number: [] for text in texts}
    for row, spot in enumerate(spots):
        rows_of[spot.text.number].append(row)
    found = np.zeros((len(spots), len(layers), model.shape.hidden_size), dtype=np.float32)
    for group in groups(np.array([len(text.ids) + 2 for text in texts]), TOKENS):
        together = [texts[i] for i in group]
        hidden = _hidden(model, together, layers, reading, device)  # (B, T, L, D)
        for text, states in zip(together, hidden, strict=True):
            for row in rows_of[text.number]:
                found[row] = states[spots[row].columns].mean(axis=0)  # (columns, L, D) -> (L, D)
    return found


def cosines(vectors: Vectors) -> Vectors:
    """(R, L, D) -> (R, R, L): the cosine similarity of every two rows, layer by layer."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit = vectors / np.maximum(length, np.finfo(np.float32).tiny)
    similar: Vectors = np.einsum("rld,sld->rsl", unit, unit)
    return similar


def _hidden(
    model: PretrainingModel,
    texts: Sequence[Text],
    layers: Sequence[int],
    reading: AttentionKind,
    device: torch.device,
) -> Vectors:
    """The states of the ``layers`` of a batch of texts -> (B, T, L, D)."""
    rows = framed([text.ids for text in texts], model.vocabulary)
    batch = Batch.of(rows, model.vocabulary, None, seed=EVALUATION_SEED, first=0, device=device)
    one_sided = {"causal": batch.causal, "anticausal": batch.anticausal}
    view = one_sided.get(reading, batch.plain)
    with torch.no_grad():
        embedded = model.embedding(view.input_ids, view.token_type_ids)  # (B, T, D)
        states = model.encoder.hidden_states(embedded, view.attention)
        chosen = torch.stack([states[layer] for layer in layers], dim=2)  # (B, T, L, D)
    found: Vectors = chosen.float().cpu().numpy()
    return found
