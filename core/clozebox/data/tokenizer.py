"""Tokenizers: BERT's WordPiece or byte-level BPE, trained on a corpus or loaded from a file."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from clozebox.data.vocabulary import Vocabulary
from clozebox.data.wordpiece import train_wordpiece
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.config.settings import TokenizerSettings

PAD, UNK, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BYTES = 256

# The block of Latin, Greek and Cyrillic accents. BERT strips every non-spacing mark, which takes
# the vowels from Hindi and Thai and the voicing from Japanese.
_ACCENTS = Regex("[\u0300-\u036f]")


def train_tokenizer(settings: TokenizerSettings, texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """Learns a vocabulary of at most ``settings.vocab_size`` ids from ``texts()``.

    The same texts and settings give the same file, byte for byte. ``texts`` is called once or
    twice. Raises UserError when the size cannot hold the smallest vocabulary of its kind.
    """
    tokenizer = _wordpiece(settings.lowercase) if settings.kind == "wordpiece" else _bpe(settings)
    if settings.kind == "wordpiece":
        vocabulary = train_wordpiece(tokenizer, texts, settings.vocab_size, SPECIAL_TOKENS)
        tokenizer.model = models.WordPiece(vocabulary, unk_token=UNK, max_input_chars_per_word=100)
    else:
        trainer = trainers.BpeTrainer(
            vocab_size=settings.vocab_size,
            min_frequency=2,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts(), trainer)
    return _framed(tokenizer)


def load_tokenizer(settings: TokenizerSettings) -> Tokenizer:
    """The tokenizer at ``settings.path``: a ``tokenizer.json``, or BERT's ``vocab.txt``.

    Raises UserError when the file cannot be read or lacks one of the five special tokens.
    """
    path = Path(settings.path or "").expanduser()
    if not path.is_file():
        raise UserError(f"tokenizer.path: there is no file {path}")
    try:
        if path.suffix == ".txt":
            tokenizer = _framed(_bert(path, settings.lowercase))
        else:
            tokenizer = Tokenizer.from_file(str(path))
    except UserError:
        raise
    except Exception as error:  # tokenizers raises bare Exception
        raise UserError(f"tokenizer.path: {path} is not a tokenizer: {error}") from error
    # A published file may cut and pad every text to a length of its own.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """What a tokenizer's ids are. Raises UserError when it lacks one of the special tokens."""
    tokens = tokenizer.get_vocab()
    _check_special_tokens(tokens)
    added = tokenizer.get_added_tokens_decoder()
    special = {index for index, token in added.items() if token.special}
    special |= {tokens[token] for token in SPECIAL_TOKENS}
    continuation = (id for token, id in tokens.items() if _continues_word(tokenizer, token))
    return Vocabulary(
        size=max(tokens.values()) + 1,
        pad_id=tokens[PAD],
        unk_id=tokens[UNK],
        cls_id=tokens[CLS],
        sep_id=tokens[SEP],
        mask_id=tokens[MASK],
        special_ids=tuple(sorted(special)),
        continuation_ids=tuple(sorted(set(continuation) - special)),
    )


def _check_special_tokens(tokens: Container[str]) -> None:
    missing = [token for token in SPECIAL_TOKENS if token not in tokens]
    if missing:
        raise UserError(
            f"the tokenizer has no {', '.join(missing)}: all of {', '.join(SPECIAL_TOKENS)} "
            "are needed"
        )


def _continues_word(tokenizer: Tokenizer, token: str) -> bool:
    if isinstance(tokenizer.model, models.WordPiece):
        return token.startswith("##")
    # Byte-level: a word starts at its blank (Ġ), and punctuation is a word of its own.
    return token[0].isalnum() and token[0] != "Ġ"


def _wordpiece(lowercase: bool) -> Tokenizer:
    steps: list[normalizers.Normalizer] = [
        normalizers.BertNormalizer(strip_accents=False, lowercase=lowercase)
    ]
    if lowercase:
        # Composed again, or every Hangul syllable would stay apart in its letters.
        steps += [normalizers.NFD(), normalizers.Replace(_ACCENTS, "")]
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.NFC()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _bert(vocab: Path, lowercase: bool) -> Tokenizer:
    # Exactly BERT's own normaliser: a published vocabulary was made with it.
    tokenizer = _wordpiece(lowercase)
    pieces = models.WordPiece.read_file(str(vocab))
    _check_special_tokens(pieces)
    tokenizer.model = models.WordPiece(pieces, unk_token=UNK)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    return tokenizer


def _bpe(settings: TokenizerSettings) -> Tokenizer:
    smallest = _BYTES + len(SPECIAL_TOKENS)
    if settings.vocab_size < smallest:
        raise UserError(
            f"tokenizer.vocab_size is {settings.vocab_size}: byte-level BPE needs at least "
            f"{smallest}, the {_BYTES} bytes and {len(SPECIAL_TOKENS)} special tokens"
        )
    case = [normalizers.Lowercase()] if settings.lowercase else []
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([*case, normalizers.NFC()])
    # The blank in front makes a word at the start of a sentence the same token as elsewhere.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _framed(tokenizer: Tokenizer) -> Tokenizer:
    """Declares the special tokens, and frames every text as [CLS] A [SEP] (B [SEP])."""
    # [MASK] takes the blank before it, so that "a [MASK] b" reads like "a word b" to BPE.
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False, lstrip=token == MASK)
            for token in SPECIAL_TOKENS
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (CLS, SEP)],
    )
    return tokenizer
