"""The kinds of example a model can learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clozebox.data.pairs import PairExamples
from clozebox.data.rows import Examples, Ids, Rows
from clozebox.data.single import SingleExamples
from clozebox.data.token_store import TokenStore

if TYPE_CHECKING:
    from clozebox.components import ExampleKind

__all__ = ["Examples", "Rows", "make_examples"]


def make_examples(
    kind: ExampleKind,
    store: TokenStore,
    documents: Ids,
    seq_length: int,
    short_seq_prob: float,
    seed: int,
) -> Examples[Any]:
    """The examples of some documents, as rows of ``seq_length`` tokens.

    ``documents`` are ids from ``store.split``. ``short_seq_prob`` is the share of documents that
    make shorter pairs (BERT: 0.1); single sequences are always filled. Raises UserError when the
    documents allow no example.
    """
    if kind == "single":
        return SingleExamples(store, documents, seq_length, seed)
    swapped = kind == "swapped_pair"
    return PairExamples(store, documents, seq_length, short_seq_prob, seed, swapped)
