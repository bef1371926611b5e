"""What must hold of every embedding. B sequences, T tokens, D hidden size, V vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from clozebox.components import EmbeddingConfig, ModelShape
from clozebox.model import Embedding, initialise
from clozebox.testing.bench import SIZE
from clozebox.testing.verdict import Property, Violation

ROWS, LENGTH, VOCABULARY = 3, 12, 50
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class EmbeddingCase:
    """An embedding of a small size, in double precision, without its dropout."""

    config: EmbeddingConfig
    seed: int

    @cached_property
    def embedding(self) -> Embedding:
        embedding = self.config.build(ModelShape.of(SIZE, VOCABULARY, 64))
        initialise(embedding, self.seed)
        return embedding.double().eval()

    @cached_property
    def ids(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(1, VOCABULARY, (ROWS, LENGTH), generator=generator)

    def embed(self, ids: Tensor) -> Tensor:
        output: Tensor = self.embedding(ids, torch.zeros_like(ids))
        return output


def shapes_are_right(case: EmbeddingCase) -> None:
    output, due = case.embed(case.ids), (ROWS, LENGTH, SIZE.hidden_size)
    if output.shape != due:
        raise Violation(f"ids of {(ROWS, LENGTH)} became {tuple(output.shape)}; {due} is due")
    if case.embedding.token_table.shape != (VOCABULARY, SIZE.hidden_size):
        raise Violation(f"token_table is {tuple(case.embedding.token_table.shape)}, not (V, D)")


def a_token_moves_its_own_position(case: EmbeddingCase) -> None:
    before = case.embed(case.ids)
    for place in range(LENGTH):
        ids = case.ids.clone()
        ids[:, place] = (ids[:, place] + 7) % VOCABULARY
        moved = (case.embed(ids) - before).abs().amax(-1) > NOTHING  # (B, T)
        if not moved[:, place].all() or moved.sum() != ROWS:
            seen = f"another token at {place} moves {moved[0].nonzero().squeeze(1).tolist()}"
            raise Violation(seen)


def the_table_is_what_is_read(case: EmbeddingCase) -> None:
    output = case.embed(case.ids)
    output.square().sum().backward()  # type: ignore[no-untyped-call]
    gradient = case.embedding.token_table.grad
    if gradient is None or not gradient[case.ids.flatten()].any():
        raise Violation("token_table, to which heads are tied, is not what the embedding reads")


PROPERTIES: tuple[Property[EmbeddingCase], ...] = (
    Property(
        "shapes",
        "ids (B, T) become vectors (B, T, D), and the table is (V, D)",
        "a table of another width, without the projection to D",
        shapes_are_right,
    ),
    Property(
        "positions",
        "a token moves the vector at its own position, and no other",
        "mixing along T, which would let a one-sided objective see ahead",
        a_token_moves_its_own_position,
    ),
    Property(
        "table",
        "token_table is the table that is read",
        "a copy of the table, so that heads are tied to nothing",
        the_table_is_what_is_read,
    ),
)
