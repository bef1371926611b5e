"""Looks at one training example through every objective of an arm, as training does.

B sequences, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from clozebox.pretraining import IGNORE_INDEX, Batch, Pass, Reader, View
from clozebox.pretraining.mixture import share_out
from clozebox.pretraining.passes import passes
from clozebox.report.example import (
    Fate,
    ShownExample,
    ShownObjective,
    ShownPass,
    ShownPhase,
    ShownTerm,
    ShownToken,
)
from clozebox.training.seeds import seed_globals

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from clozebox.config import Arm
    from clozebox.training.setup import Learner

TOGETHER = 8
"""Sequences that are looked at together: an objective may set an example against others."""
OFFSETS = (0, 1, -1, 2, -2, 3, -3)
"""Where in the text a label is looked for, seen from its position."""


def show_example(learner: Learner, place: int, progress: float | None = None) -> ShownExample:
    """Example ``place`` of the training stream, as each phase sees it when it begins.

    Or as it is seen when the share ``progress`` (0 to 1) of the training is done. The model has its
    initial weights.
    """
    batch, size = learner.batch(place, 1), learner.arm.train.batch_size
    with torch.no_grad():
        phases = [
            ShownPhase(title, _passes(learner, place, share))
            for title, share in _phases(learner.arm, progress)
        ]
    return ShownExample(
        place=place,
        step=place // size,
        row=place % size,
        rows=size,
        kind=learner.arm.examples,
        texts=_texts(learner.store.tokenizer(), batch),
        pair_label=None if batch.pair_label is None else int(batch.pair_label[0]),
        length=batch.input_ids.shape[1],
        real=int(batch.attention_mask.sum()),
        vocabulary=learner.store.vocabulary.size,
        phases=tuple(phases),
    )


def _phases(arm: Arm, progress: float | None) -> Iterator[tuple[str, float]]:
    """The title of each phase that is shown, and the share of the training at which to look."""
    if not arm.phases:
        yield "", progress or 0.0
    begin, last = 0.0, len(arm.phases)
    for number, phase in enumerate(arm.phases, 1):
        end = begin + phase.share
        if progress is None or begin <= progress < end or (number == last and progress >= begin):
            title = f"phase {number} of {last}: {begin:.0%} to {end:.0%} of the training"
            yield title, begin if progress is None else progress
        begin = end


def _texts(tokenizer: Tokenizer, batch: Batch) -> tuple[tuple[str, str], ...]:
    """The name of each part of the first sequence, and what it says without special tokens."""
    parts: dict[str, list[int]] = {}
    special = batch.special_tokens_mask[0].tolist()
    for part, token, skip in zip(
        _parts(batch.plain, batch), batch.input_ids[0], special, strict=True
    ):
        if not skip:
            parts.setdefault(part, []).append(int(token))
    return tuple((part, tokenizer.decode(ids)) for part, ids in parts.items())


def _parts(view: View, batch: Batch) -> list[str]:
    """Which part each position of the first sequence belongs to."""
    if batch.document_ids is not None:
        return [f"document {number}" for number in batch.document_ids[0].tolist()]
    return [f"segment {number}" for number in view.token_type_ids[0].tolist()]


def _passes(learner: Learner, place: int, progress: float) -> tuple[ShownPass, ...]:
    # As the loop does: what an objective draws from torch's own stream is what it draws there.
    seed_globals(learner.seed, "step", place // learner.arm.train.batch_size)
    batch = learner.batch(place, TOGETHER, progress)
    objectives = learner.model.named(learner.arm.objectives_at(progress))
    learning = {r.objective.name: r for r in share_out(objectives, batch) if _begins(r, place)}
    rows = np.arange(TOGETHER)
    readers = [learning.get(one.name) or Reader(one, batch.take(rows)) for one in objectives]
    batches = {reader.objective.name: reader.batch for reader in readers}
    scene = _Scene(learner, learner.store.tokenizer(), batches, frozenset(learning))
    return tuple(scene.shown(one) for one in passes(readers))


def _begins(reader: Reader, place: int) -> bool:
    """Whether the example falls to the objective: then it is the first that it reads."""
    return bool(reader.batch.places[0] == place)


@dataclass(frozen=True, eq=False)
class _Scene:
    """The example as the first row of the batch of each objective."""

    learner: Learner
    tokenizer: Tokenizer
    batches: Mapping[str, Batch]
    learning: frozenset[str]
    """The objectives that this example falls to."""

    def shown(self, one: Pass) -> ShownPass:
        view, batch = one.view, self.batches[one.objectives[0].name]
        objectives = tuple(self._objective(objective.name, view) for objective in one.objectives)
        predicts = self._predicts(one)
        # A view that is derived from the masked one keeps its tokens.
        masked = batch.masking is not None and view.input_ids is batch.masked.input_ids
        offset = _offset(view, batch) if masked or predicts == "tokens" else None
        length = view.input_ids.shape[1]
        pattern = view.attention.pattern(len(view.input_ids), length)[0]  # (T, T)
        return ShownPass(
            objectives=objectives,
            tokens=self._tokens(view, batch, _fates(view, batch, offset, masked), predicts),
            predicts=predicts,
            offset=offset,
            masking=self._masking(batch.progress) if masked else None,
            attention=view.attention.kind,
            pattern=tuple(tuple(row) for row in pattern.tolist()),
            encoder_flops=self.learner.model.encoder.flops(length),
        )

    def _objective(self, name: str, view: View) -> ShownObjective:
        [config] = [one for one in self.learner.arm.objectives if one.name == name]
        [objective] = self.learner.model.named([name])
        alone = objective.targets(self.batches[name].take(np.array([0])))
        pair_label = None if config.example == "single" else view.pair_label
        return ShownObjective(
            name=name,
            weight=config.weight,
            share=config.share,
            learns=name in self.learning,
            pair_label=None if pair_label is None else int(pair_label[0]),
            terms=tuple(
                ShownTerm(term, int(one.count), one.classes, one.flops_each, one.flops_besides)
                for term, one in alone.items()
            ),
        )

    def _predicts(self, one: Pass) -> Literal["tokens", "classes"] | None:
        """What the labels of a pass are: its terms tell, those that count as many targets first."""
        labels = one.view.labels[one.view.labels != IGNORE_INDEX]
        terms = [
            term
            for objective in one.objectives
            for term in objective.targets(self.batches[objective.name]).values()
        ]
        classes = [term.classes for term in terms if int(term.count) == len(labels)]
        classes = classes or [term.classes for term in terms]
        if not len(labels):
            return None
        if self.learner.store.vocabulary.size in classes:
            return "tokens"
        return "classes" if int(labels.max()) < max(classes) else None

    def _masking(self, progress: float) -> str:
        strategy, config = self.learner.masking, self.learner.arm.masking
        assert strategy is not None and config is not None
        return f"{config.name} at rate {strategy.rate_at(progress):.3g}"

    def _tokens(
        self, view: View, batch: Batch, fates: Sequence[Fate | None], predicts: str | None
    ) -> tuple[ShownToken, ...]:
        vocabulary = self.learner.store.vocabulary
        frame = {vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id}

        def label_of(label: int) -> str | None:
            if label == IGNORE_INDEX or predicts is None:
                return None
            return self._word(label) if predicts == "tokens" else str(label)

        return tuple(
            ShownToken(
                shown=self._word(shown),
                text=self._word(text),
                label=label_of(label),
                fate=fate,
                special=text in frame,
                padding=text == vocabulary.pad_id,
                part=part,
            )
            for shown, text, label, fate, part in zip(
                view.input_ids[0].tolist(),
                batch.input_ids[0].tolist(),
                view.labels[0].tolist(),
                fates,
                _parts(view, batch),
                strict=True,
            )
        )

    def _word(self, token: int) -> str:
        return self.tokenizer.id_to_token(token) or f"<{token}>"


def _fates(view: View, batch: Batch, offset: int | None, masked: bool) -> list[Fate | None]:
    """What became of each token of the first sequence."""
    shown: list[int] = view.input_ids[0].tolist()
    text: list[int] = batch.input_ids[0].tolist()
    labels: list[int] = view.labels[0].tolist()
    # The places of the predicted tokens themselves, which may stand beside their labels.
    chosen = {n + (offset or 0) for n, label in enumerate(labels) if label != IGNORE_INDEX}
    # Where nothing at all was changed, as in reading from one side, keeping is not a fate.
    keeps = offset == 0 or (offset is not None and shown != text)
    found: list[Fate | None] = []
    for position, (now, before) in enumerate(zip(shown, text, strict=True)):
        if now != before and now == batch.vocabulary.mask_id:
            found.append("masked")
        elif now != before:
            found.append("random" if masked else "replaced")
        else:
            found.append("kept" if keeps and position in chosen else None)
    return found


def _offset(view: View, batch: Batch) -> int | None:
    """How far after its position each label stands in the text, if that is the same for all."""
    text: list[int] = batch.input_ids[0].tolist()
    labels = [
        (n, label) for n, label in enumerate(view.labels[0].tolist()) if label != IGNORE_INDEX
    ]
    for offset in OFFSETS:
        inside = all(0 <= n + offset < len(text) for n, _ in labels)
        if labels and inside and all(text[n + offset] == label for n, label in labels):
            return offset
    return None
