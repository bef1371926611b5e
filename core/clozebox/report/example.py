"""What is told of one training example: plain words and numbers, ready to be printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fate = Literal["masked", "random", "replaced", "kept"]
"""``random`` is a masking strategy's doing, ``replaced`` an objective's own."""


@dataclass(frozen=True)
class ShownToken:
    """One position of one encoder pass."""

    shown: str
    """What the encoder is shown."""
    text: str
    """What stands there in the text."""
    label: str | None
    """What is predicted there: a token, or the number of a class; None if nothing is."""
    fate: Fate | None
    special: bool
    padding: bool
    part: str
    """Its segment, or its document where a row packs several."""


@dataclass(frozen=True)
class ShownTerm:
    """A term of a loss, on this example alone."""

    name: str
    targets: int
    classes: int
    flops_each: int
    """Forward, for one target."""
    flops_besides: int
    """Forward, for the sequence."""


@dataclass(frozen=True)
class ShownObjective:
    """An objective, and its part in this example."""

    name: str
    weight: float
    share: float | None
    learns: bool
    """Whether this example is among its share."""
    pair_label: int | None
    """What it predicts of a pair as a whole, if it learns from pairs."""
    terms: tuple[ShownTerm, ...]


@dataclass(frozen=True)
class ShownPass:
    """One encoder pass over the example, and the objectives that read it."""

    objectives: tuple[ShownObjective, ...]
    tokens: tuple[ShownToken, ...]
    predicts: Literal["tokens", "classes"] | None
    """What the labels are; None if no objective of the pass reads them."""
    offset: int | None
    """How far after its position a label stands in the text; None if there is no one answer."""
    masking: str | None
    """The strategy that chose, and its rate."""
    attention: str
    pattern: tuple[tuple[bool, ...], ...]
    """Which position (row) looks at which (column)."""
    encoder_flops: int
    """Forward, for the sequence."""


@dataclass(frozen=True)
class ShownPhase:
    """The encoder passes of one phase of the training."""

    title: str
    """Empty where the training has no phases."""
    passes: tuple[ShownPass, ...]


@dataclass(frozen=True)
class ShownExample:
    """An example of the training stream: what it is, and how it is seen."""

    place: int
    step: int
    """The optimizer step that learns from it first, counted from 0."""
    row: int
    rows: int
    kind: str
    texts: tuple[tuple[str, str], ...]
    """Each part's name and its text, as the tokenizer reads it back."""
    pair_label: int | None
    length: int
    real: int
    vocabulary: int
    phases: tuple[ShownPhase, ...]
