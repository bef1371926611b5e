"""The lowest loss that is possible at the targets of a view, whatever the model.

It is the loss of who knows the language and sees what the view shows, on these very rows: there no
answer has a lower expected loss (Gibbs). None stands for a floor that is not known here.

B rows of T tokens; J sentences of W words; S states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clozebox.pretraining import IGNORE_INDEX, Batch, View
from clozebox_synthetic import HmmConfig
from clozebox_synthetic.choice import corruption_of
from clozebox_synthetic.corruption import Corruption
from clozebox_synthetic.inference import Arrangement, States, nothing_seen
from clozebox_synthetic.language import Indices, Language, Weights
from clozebox_synthetic.pairs import expected_pairs
from clozebox_synthetic.rows import NOTHING, Places

if TYPE_CHECKING:
    from clozebox import ExampleKind


class Floor(NamedTuple):
    """Summed over targets."""

    nats: float
    targets: int
    most_in_a_row: int
    """Targets of one sequence."""
    errors: float | None = None
    """How many the best guess gets wrong, of pairs."""

    @property
    def mean(self) -> float:
        """Nats a target."""
        return self.nats / self.targets

    @classmethod
    def sum(cls, floors: Iterable[Floor | None]) -> Floor | None:
        """Over batches; None without targets, or as soon as one of them is not known."""
        known: list[Floor] = []
        for floor in floors:
            if floor is None:
                return None
            known.append(floor)
        targets = sum(one.targets for one in known)
        if not targets:
            return None
        errors = [one.errors for one in known if one.errors is not None]
        return cls(
            nats=sum(one.nats for one in known),
            targets=targets,
            most_in_a_row=max(one.most_in_a_row for one in known),
            errors=sum(errors) if errors else None,
        )


class Floors:
    """Of batches of one language, whose pairs are of one ``kind``."""

    def __init__(
        self, config: HmmConfig, numbers: Indices, kind: ExampleKind, short_seq_prob: float
    ) -> None:
        """``numbers`` are the word numbers of token ids, as ``rows.numbering`` gives them."""
        self._config = config
        self._language = Language.of(config)
        self._numbers = numbers
        self._kind = kind
        self._short_seq_prob = short_seq_prob

    def of_tokens(self, view: View, batch: Batch, blanks: Tensor | None = None) -> Floor | None:
        """Of the tokens that ``view`` labels, each the token of its own place or of the next.

        ``blanks`` (B, T) are the places that are hidden, where they are not the arm's own choice.
        """
        step = _step(view, batch, blanks)
        if step is None or batch.document_ids is not None:
            return None
        places = Places.of(batch, self._config)
        kind = view.attention.kind
        if kind == "bidirectional":
            corruption = self._corruption(view, batch, places, blanks)
            nats = None if corruption is None else self._two_sided(view, batch, places, corruption)
        elif step == (-1 if kind == "anticausal" else 1) and _is_plain_text(view, batch):
            nats = self._one_sided(batch, places, from_the_left=step == 1)
        else:
            nats = None
        if nats is None:
            return None
        at_target = places.in_rows(nats, tuple(batch.input_ids.shape))  # (B, T)
        labelled = (view.labels != IGNORE_INDEX).cpu().numpy()
        return Floor(
            nats=at_target[np.roll(labelled, step, axis=1)].sum(),
            targets=int(labelled.sum()),
            most_in_a_row=int(labelled.sum(1).max()),
        )

    def of_pairs(self, view: View, batch: Batch) -> Floor | None:
        """Of whether the second part follows the first, as far as a two-sided view tells."""
        chances = self.chances(view, batch)
        if chances is None or batch.pair_label is None:
            return None
        right = chances[np.arange(len(chances)), batch.pair_label.cpu().numpy()]  # (B,)
        errors = np.where(np.isclose(right, 0.5, rtol=0, atol=1e-9), 0.5, right < 0.5)
        return Floor(-np.log(right).sum(), len(right), most_in_a_row=1, errors=errors.sum())

    def chances(self, view: View, batch: Batch) -> Weights | None:
        """P(label | what the view shows): (B, 2)."""
        if batch.pair_label is None or view.attention.kind != "bidirectional":
            return None
        places = Places.of(batch, self._config)
        corruption = self._corruption(view, batch, places, None)
        if corruption is None:
            return None
        evidence = corruption.evidence(self._language, self._words(view.input_ids, places))
        states, rows = States.of(self._language, evidence, evidence), np.arange(len(evidence))
        weights = np.stack(
            [
                prior * states.likelihood(arrangement)[rows, corruption.hidden]
                for prior, arrangement in self._arrangements(batch, places)
            ],
            axis=1,
        )  # (B, 2)
        chances: Weights = weights / weights.sum(1, keepdims=True)
        return chances

    def _two_sided(
        self, view: View, batch: Batch, places: Places, corruption: Corruption
    ) -> Weights:
        shown, word = (self._words(ids, places) for ids in (view.input_ids, batch.input_ids))
        evidence = corruption.evidence(self._language, shown)
        states = States.of(self._language, evidence, evidence)
        posterior = sum(
            prior[:, None, None, None, None] * states.posterior(arrangement)
            for prior, arrangement in self._arrangements(batch, places)
        )  # (B, J, W, S, C)
        return corruption.nats(np.asarray(posterior), self._language, shown, word)

    def _one_sided(self, batch: Batch, places: Places, from_the_left: bool) -> Weights | None:
        """Every length is known, so that [SEP] at the end and [CLS] at the front cost nothing."""
        if batch.pair_label is not None:
            return None  # in pairs, where the first part ends must be guessed as well
        word = self._words(batch.input_ids, places)
        everything = Corruption.none(len(word))
        seen = everything.evidence(self._language, word)
        sides = (seen, nothing_seen(seen)) if from_the_left else (nothing_seen(seen), seen)
        [(_, joined)] = self._arrangements(batch, places)
        posterior = States.of(self._language, *sides).posterior(joined)
        return everything.nats(posterior, self._language, np.full_like(word, NOTHING), word)

    def _arrangements(self, batch: Batch, places: Places) -> Iterator[tuple[Weights, Arrangement]]:
        """For each label a row may have: how likely it is, with its lengths (B,); what it means."""
        rows, sentences = places.real.shape
        joined = Arrangement.joined(rows, sentences)
        if batch.pair_label is None:
            yield np.ones(rows), joined
            return
        first, both = places.first_part, places.real.sum(1)
        follows, other = self._expected[:, first, both - first]  # each (B,)
        yield follows, joined
        if self._kind == "pair":
            yield other, Arrangement.apart(first, sentences)
        else:
            yield other, Arrangement.swapped(first, both, sentences)

    @cached_property
    def _expected(self) -> Weights:
        """How often which pair is cut: (2, J + 1, J + 1)."""
        if self._kind == "single":
            raise ValueError("pairs were cut for an arm that learns from single sequences")
        sizes = self._config.sentences, self._config.sentence_words
        return expected_pairs(self._kind, *sizes, self._short_seq_prob)

    def _corruption(
        self, view: View, batch: Batch, places: Places, blanks: Tensor | None
    ) -> Corruption | None:
        if blanks is not None:
            known = torch.equal(view.input_ids, batch.hide(blanks).input_ids)
            return Corruption.none(len(places.real)) if known else None
        if not _is_masked(view, batch):
            # Corrupted otherwise, by an objective itself, the row follows no law that is known.
            return Corruption.none(len(places.real)) if _is_plain_text(view, batch) else None
        shown = self._words(view.input_ids, places)
        hidden = (shown == NOTHING) & places.real[:, :, None]
        return corruption_of(batch, hidden.sum((1, 2)))

    def _words(self, ids: Tensor, places: Places) -> Indices:
        """ids (B, T) -> word numbers (B, J, W)."""
        return places.words(ids.cpu().numpy(), self._numbers)


def _step(view: View, batch: Batch, blanks: Tensor | None) -> int | None:
    """How far behind its own place stands the token that a label names; None if it names none.

    Where tokens are hidden, labels name hidden ones: a word may come twice, side by side.
    """
    if blanks is None and _is_masked(view, batch):
        blanks = batch.masked.labels != IGNORE_INDEX  # (B, T)
    for step in (0, 1, -1):
        named = view.labels == batch.input_ids.roll(-step, 1)
        if blanks is not None:
            named &= blanks.roll(-step, 1)
        if (named | (view.labels == IGNORE_INDEX)).all():
            return step
    return None


def _is_masked(view: View, batch: Batch) -> bool:
    return batch.masking is not None and view.input_ids is batch.masked.input_ids


def _is_plain_text(view: View, batch: Batch) -> bool:
    return torch.equal(view.input_ids, batch.input_ids)
