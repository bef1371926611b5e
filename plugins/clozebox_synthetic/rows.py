"""From rows of token ids to sentences of word numbers, and the refusal of rows that are otherwise.

B rows of T tokens; J sentences of W words each, J those of a document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clozebox.data import TokenStore
from clozebox.errors import UserError
from clozebox.pretraining import Batch
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.inference import Flags
from clozebox_synthetic.language import Indices, Weights, words_of

NOTHING = -1
"""In place of a word number: nothing is seen of the word."""
NO_WORD = -2
"""In place of a word number: a token that is none of the words."""


def numbering(config: HmmConfig, store: TokenStore, seq_length: int) -> Indices:
    """The word number of every token id: (ids,).

    Raises:
        UserError: rows of ``seq_length`` tokens of this store are not what the floors are of.
    """
    numbers = np.full(store.vocabulary.size, NO_WORD)
    numbers[store.vocabulary.mask_id] = NOTHING
    tokenizer, cut = store.tokenizer(), []
    for number, word in enumerate(words_of(config)):
        ids = tokenizer.encode(word, add_special_tokens=False).ids
        if len(ids) == 1 and ids[0] not in store.vocabulary.special_ids:
            numbers[ids[0]] = number
        else:
            cut.append(word)
    problems = []
    if cut:
        problems.append(
            f"{len(cut)} of the {config.words} words are not one token each, such as {cut[0]!r}: "
            f"train the tokenizer on this corpus (no tokenizer.path), with tokenizer.vocab_size = "
            f"{config.words + 500}; words that are too rare for it need more corpus.documents"
        )
    due = config.sentences * config.sentence_words + 3
    if seq_length != due:
        problems.append(
            f"a row must be just long enough for a document and for a pair of its parts: set "
            f"train.seq_length = {due} (it is {seq_length})"
        )
    if problems:
        raise UserError("evaluation floor: " + "\n  and ".join(problems))
    return numbers


@dataclass(frozen=True, eq=False)
class Places:
    """Where the words of a batch stand; rows of fewer sentences than J have places without."""

    column: Indices  # (B, J, W)
    real: Flags  # (B, J): whether there is such a sentence
    first_part: Indices  # (B,): how many of them stand before the first [SEP]

    @classmethod
    def of(cls, batch: Batch, config: HmmConfig) -> Places:
        """The places of the words of ``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]``.

        Raises:
            ValueError: the rows are cut otherwise than between sentences.
        """
        width = config.sentence_words
        special = batch.special_tokens_mask.cpu().numpy()  # (B, T)
        first_part, left = np.divmod(special[:, 1:].argmax(1), width)
        sentences, over = np.divmod((~special).sum(1), width)
        if left.any() or over.any():
            raise ValueError("a row of the corpus hmm is cut inside a sentence")
        place = np.arange(config.sentences)
        behind = place >= first_part[:, None]  # (B, J): behind the first [SEP], if anywhere
        real = place < sentences[:, None]
        column = 1 + width * place[:, None] + np.arange(width) + (behind & real)[:, :, None]
        return cls(np.where(real[:, :, None], column, 0), real, first_part)

    def words(self, ids: Indices, numbers: Indices) -> Indices:
        """The words that stand there in rows of ids (B, T): (B, J, W); NOTHING where none is."""
        rows = np.arange(len(ids))[:, None, None]
        return np.where(self.real[:, :, None], numbers[ids[rows, self.column]], NOTHING)

    def in_rows(self, values: Weights, shape: tuple[int, ...]) -> Weights:
        """Values of words, (B, J, W), in the columns of (B, T); 0 everywhere else."""
        found = np.zeros(shape)
        row, sentence = np.nonzero(self.real)
        found[row[:, None], self.column[row, sentence]] = values[row, sentence]
        return found
