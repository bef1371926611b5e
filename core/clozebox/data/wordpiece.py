"""Training of WordPiece that gives the same vocabulary every time.

The trainer of ``tokenizers`` numbers the continuing letters (``##e``) in the order of a hash map
and breaks ties between merges by those numbers, so that ids and even the *set* of pieces change
from run to run. Here every letter gets its number beforehand: the trainer keeps the order of what
it takes for special tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tokenizers import Tokenizer, models, trainers

_PREFIX = "##"


def train_wordpiece(
    tokenizer: Tokenizer,
    texts: Callable[[], Iterable[str]],
    vocab_size: int,
    special_tokens: Sequence[str],
) -> dict[str, int]:
    """Learns pieces from ``texts()``, cut into words as ``tokenizer`` cuts them -> piece: id.

    In order: the special tokens, the letters, the continuing letters, what was merged of them. At
    most half of the vocabulary is letters, the most frequent ones.
    """
    counts = _letter_counts(tokenizer, texts())
    letters = sorted(counts)
    continuing = {
        letter: _PREFIX + letter for letter in letters if _can_continue(tokenizer, letter)
    }
    kept: set[str] = set()
    entries = 0
    for letter in sorted(letters, key=lambda letter: (-counts[letter], letter)):
        entries += 1 + (letter in continuing)
        if entries > vocab_size // 2:
            break
        kept.add(letter)

    alphabet = [*special_tokens, *letters, *continuing.values()]
    pieces = [*special_tokens, *(letter for letter in letters if letter in kept)]
    pieces += [piece for letter, piece in continuing.items() if letter in kept]
    merged = _merged_pieces(tokenizer, texts(), alphabet, vocab_size - len(pieces))
    pieces += [piece for piece in merged if kept.issuperset(piece.removeprefix(_PREFIX))]
    return {piece: id for id, piece in enumerate(pieces)}


def _letter_counts(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    """Every character a normalised text holds, blanks aside."""
    normalize = tokenizer.normalizer.normalize_str
    counts: Counter[str] = Counter()
    ascii_counts: Counter[str] = Counter()
    for text in texts:
        # ASCII is normalised letter by letter, so counting before it is the same, and quick.
        if text.isascii():
            ascii_counts.update(text)
        else:
            counts.update(normalize(text))
    for letter, count in ascii_counts.items():
        counts.update(dict.fromkeys(normalize(letter), count))
    return Counter({letter: n for letter, n in counts.items() if not letter.isspace()})


def _can_continue(tokenizer: Tokenizer, letter: str) -> bool:
    """False for punctuation and Chinese characters, which are always words of their own."""
    text = tokenizer.normalizer.normalize_str("a" + letter)
    return len(tokenizer.pre_tokenizer.pre_tokenize_str(text)) == 1


def _merged_pieces(
    tokenizer: Tokenizer, texts: Iterable[str], alphabet: list[str], count: int
) -> list[str]:
    trained = Tokenizer(models.BPE(continuing_subword_prefix=_PREFIX))
    trained.normalizer = tokenizer.normalizer
    trained.pre_tokenizer = tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + count,
        min_frequency=2,
        special_tokens=alphabet,
        continuing_subword_prefix=_PREFIX,
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    ids = trained.get_vocab()
    known = set(alphabet)
    return [piece for piece in sorted(ids, key=ids.__getitem__) if piece not in known]
