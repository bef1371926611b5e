from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from clozebox.config.settings import TokenizerSettings
from clozebox.data import TokenStore
from clozebox.data.tokenizer import load_tokenizer, train_tokenizer, vocabulary_of
from clozebox.errors import UserError

Build = Callable[..., TokenStore]

TEXT = [
    "The café opened at nine; the cafés closed.",
    "한국어 문장을 한국어로 쓴다.",
    "我们学习汉字。",
    "हिन्दी में लिखा है।",
    "ガラスの机で勉強する。",
    "Der Käse ist gut, der Käse ist alt.",
] * 3


def trained(**settings: object) -> Tokenizer:
    return train_tokenizer(TokenizerSettings.model_validate(settings), lambda: TEXT)


TRAIN_AND_HASH = """
import hashlib, random
from clozebox.config.settings import TokenizerSettings
from clozebox.data.tokenizer import train_tokenizer
letters = random.Random(0)
texts = ["".join(letters.choices("abcdefgh é한漢 ", k=60)) for _ in range(400)]  # ties everywhere
for kind in ("wordpiece", "bpe"):
    settings = TokenizerSettings(kind=kind, vocab_size=400)
    print(hashlib.sha256(train_tokenizer(settings, lambda: texts).to_str().encode()).hexdigest())
"""


def test_training_gives_the_same_file_in_every_process() -> None:
    printed = set()
    for hash_seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", TRAIN_AND_HASH]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        printed.add(run.stdout)
    assert len(printed) == 1


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_special_tokens_come_first_and_in_order(kind: str) -> None:
    vocabulary = vocabulary_of(trained(kind=kind, vocab_size=300))
    ids = vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id
    assert (*ids, vocabulary.mask_id) == vocabulary.special_ids == (0, 1, 2, 3, 4)
    assert vocabulary.ordinary_ids.tolist() == list(range(5, vocabulary.size))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_script_survives(kind: str, lowercase: bool) -> None:
    tokenizer = trained(kind=kind, vocab_size=700, lowercase=lowercase)
    for text in ("한국어", "हिन्दी", "ガラス", "我们"):
        encoding = tokenizer.encode(text, add_special_tokens=False)
        assert "[UNK]" not in encoding.tokens
        assert tokenizer.decode(encoding.ids).replace(" ", "") == text


def test_hangul_that_comes_in_letters_is_read_as_syllables() -> None:
    decomposed = "\u1112\u1161\u11ab"  # 한 as three letters
    for lowercase in (True, False):
        tokenizer = trained(vocab_size=300, lowercase=lowercase)
        assert tokenizer.encode(decomposed, add_special_tokens=False).tokens == ["한"]


def test_lower_case_wordpiece_drops_latin_accents_as_bert_does() -> None:
    tokens = trained(vocab_size=300).encode("CAFÉ", add_special_tokens=False).tokens
    assert tokens == trained(vocab_size=300).encode("cafe", add_special_tokens=False).tokens
    cased = trained(vocab_size=300, lowercase=False)
    assert cased.normalizer.normalize_str("Café") == "Café"


def test_chinese_characters_are_words_of_their_own_in_wordpiece() -> None:
    tokens = trained(vocab_size=300).encode("学习汉字", add_special_tokens=False).tokens
    assert tokens == ["学", "习", "汉", "字"]


def test_letters_take_at_most_half_of_a_small_vocabulary() -> None:
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 500)]
    tokenizer = train_tokenizer(
        TokenizerSettings(vocab_size=64), lambda: ["".join(letters), "abc abc"]
    )
    assert tokenizer.get_vocab_size() <= 64
    assert sum(token in letters for token in tokenizer.get_vocab()) <= 32


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_text_is_framed_as_bert_frames_it(kind: str) -> None:
    encoding = trained(kind=kind, vocab_size=300).encode("the cafés", "closed")
    tokens = encoding.tokens
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    second = tokens.index("[SEP]") + 1
    assert encoding.type_ids == [0] * second + [1] * (len(tokens) - second)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_a_mask_is_one_token_and_leaves_its_neighbours_alone(kind: str) -> None:
    tokenizer = trained(kind=kind, vocab_size=400)
    words = {word: tokenizer.encode(word, add_special_tokens=False).ids for word in ("the", "at")}
    masked = tokenizer.encode("the [MASK] at", add_special_tokens=False).ids
    assert masked == [*words["the"], 4, *words["at"]]


def test_continuations_are_the_pieces_inside_a_word() -> None:
    for kind, mark in (("wordpiece", "##"), ("bpe", "Ġ")):
        tokenizer = trained(kind=kind, vocab_size=400)
        continuation = set(vocabulary_of(tokenizer).continuation_ids)
        encoding = tokenizer.encode("the cafézzz opened", add_special_tokens=False)
        starts = [id not in continuation for id in encoding.ids]
        assert sum(starts) == 3
        marked = [token.startswith(mark) for token in encoding.tokens]
        assert starts == ([not m for m in marked] if kind == "wordpiece" else marked)


def test_byte_level_bpe_refuses_a_vocabulary_smaller_than_the_bytes() -> None:
    with pytest.raises(UserError, match="at least 261"):
        trained(kind="bpe", vocab_size=260)


def test_a_loaded_tokenizer_neither_cuts_nor_pads(tmp_path: Path) -> None:
    tokenizer = trained(vocab_size=300)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(TokenizerSettings(path=str(tmp_path / "tokenizer.json")))
    text = "the café opened at nine"
    assert loaded.encode(text).ids == trained(vocab_size=300).encode(text).ids


def test_a_vocab_txt_is_read_as_bert_reads_it(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "caf", "##e", "!"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    loaded = load_tokenizer(TokenizerSettings(path=str(tmp_path / "vocab.txt")))
    assert loaded.encode("Café!").ids == [2, 5, 6, 7, 3]


@pytest.mark.parametrize("content", [None, "not json", '{"version": "1.0"}'])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.path.*tokenizer\.json"):
        load_tokenizer(TokenizerSettings(path=str(path)))


def test_a_vocabulary_without_a_special_token_is_refused(tmp_path: Path, build: Build) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\ntea\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"\[MASK\]"):
        build([["Tea."], ["Milk."]], path=str(tmp_path / "vocab.txt"))


def test_a_word_of_any_length_is_trained_on_in_no_time(build: Build) -> None:
    words = [hashlib.shake_256(bytes([n])).hexdigest(4500) for n in range(20)]  # 9,000 letters
    started = time.process_time()
    store = build([[f"tea {word} tea" for word in words], ["tea", "".join(words)]], vocab_size=99)
    assert time.process_time() - started < 4  # the trainer's own time is quadratic: 14 s
    assert store.num_documents == 2
