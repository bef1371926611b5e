"""What must hold of every corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from clozebox.components import CorpusConfig
from clozebox.testing.verdict import Property, Violation

READ = 500
"""Documents: enough to see how a corpus is made, few enough for a large one."""


@dataclass(frozen=True, eq=False)
class CorpusCase:
    """Settings of a corpus; the seed is for other kinds."""

    config: CorpusConfig
    seed: int

    def documents(self) -> Iterator[list[str]]:
        return (list(document) for document in islice(self.config.build().documents(), READ))


def documents_are_lists_of_sentences(case: CorpusCase) -> None:
    empty = True
    for number, document in enumerate(islice(case.config.build().documents(), READ)):
        empty = False
        if isinstance(document, str) or not isinstance(document, Sequence):
            kind = type(document).__name__
            raise Violation(f"document {number} is a {kind}; a list of sentences is due")
        for sentence in document:
            if not isinstance(sentence, str):
                raise Violation(f"document {number} holds {sentence!r}; a sentence is a string")
        if not any(sentence.strip() for sentence in document):
            raise Violation(f"document {number} holds no text")
    if empty:
        raise Violation("there are no documents")


def it_reads_the_same_twice(case: CorpusCase) -> None:
    corpus = case.config.build()
    first, again = (map(list, corpus.documents()) for _ in range(2))
    pairs = zip_longest(first, again, fillvalue="none")
    for number, (left, right) in enumerate(islice(pairs, READ)):
        if left != right:
            example = f"first: {str(left)[:80]}\nagain: {str(right)[:80]}"
            raise Violation(f"document {number} is another at the second reading", example)


def another_object_gives_the_same(case: CorpusCase) -> None:
    left, right = case.config.build(), case.config.build()
    if left.fingerprint() != right.fingerprint():
        raise Violation(f"fingerprints {left.fingerprint()!r} and {right.fingerprint()!r} differ")
    if list(case.documents()) != list(case.documents()):
        raise Violation("built again, it gives other documents under the same fingerprint")


def there_is_something_to_hold_out(case: CorpusCase) -> None:
    if len(list(islice(case.config.build().documents(), 2))) < 2:
        raise Violation("it is a single document; held-out data is chosen by document")


PROPERTIES: tuple[Property[CorpusCase], ...] = (
    Property(
        "documents",
        "documents are lists of sentences, and none is empty",
        "a document that is yielded as one string, or blank lines that are kept",
        documents_are_lists_of_sentences,
    ),
    Property(
        "again",
        "it can be read more than once, and is the same each time",
        "one iterator that is kept and used up, or files in the order of the file system",
        it_reads_the_same_twice,
    ),
    Property(
        "fingerprint",
        "the fingerprint is of the content, the same whenever it is asked for",
        "a time, an address or Python's hash() in the fingerprint; a set that is iterated over",
        another_object_gives_the_same,
    ),
    Property(
        "split",
        "there is a document to train on and one to judge by",
        "a whole file taken for one document",
        there_is_something_to_hold_out,
    ),
)
