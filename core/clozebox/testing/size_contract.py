"""What must hold of every size preset."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from clozebox.components import ModelShape, SizePreset
from clozebox.model import BertEmbedding, BertEncoder
from clozebox.testing.verdict import Property


@dataclass(frozen=True, eq=False)
class SizeCase:
    """A size; the seed is for other kinds."""

    config: SizePreset
    seed: int


def a_bert_of_it_can_be_made(case: SizeCase) -> None:
    shape = ModelShape.of(case.config, vocab_size=30_522, max_position_embeddings=512)
    with torch.device("meta"):  # no memory is taken, whatever the size
        BertEmbedding(shape)
        BertEncoder(shape)


PROPERTIES: tuple[Property[SizeCase], ...] = (
    Property(
        "builds",
        "BERT's embedding and encoder can be made in this size",
        "heads that do not divide the hidden size",
        a_bert_of_it_can_be_made,
    ),
)
