"""Corpus -> tokenizer -> token store -> examples, in numpy alone."""

from clozebox.data.corpus import Corpus, Document
from clozebox.data.examples import Examples, Rows, make_examples
from clozebox.data.prepare import prepare
from clozebox.data.sentences import split_sentences
from clozebox.data.streams import bits, integer_seed, permutation, uniform
from clozebox.data.token_store import DamagedStoreError, Split, TokenStore
from clozebox.data.training_text import TrainingText
from clozebox.data.vocabulary import Vocabulary

__all__ = [
    "Corpus",
    "DamagedStoreError",
    "Document",
    "Examples",
    "Rows",
    "Split",
    "TokenStore",
    "TrainingText",
    "Vocabulary",
    "bits",
    "integer_seed",
    "make_examples",
    "permutation",
    "prepare",
    "split_sentences",
    "uniform",
]
