from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.core.data.conftest import GivenConfig, GivenCorpus

from clozebox import CorpusConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import Corpus, DamagedStoreError, TokenStore, prepare
from clozebox.data.token_store import ARRAYS
from clozebox.data.tokenizer import SPECIAL_TOKENS
from clozebox.errors import UserError

Build = Callable[..., TokenStore]

TEXTS = [
    ["Tea is hot.", "Milk is not."],
    ["Bread and salt.", "Salt and bread.", "Honey [MASK] [SEP] plum."],
    ["Rice is white, milk is white."],
]


def test_a_store_holds_every_sentence_of_every_document_in_order(build: Build) -> None:
    store = build(TEXTS, vocab_size=99)
    tokenizer = store.tokenizer()
    assert (store.num_documents, store.num_sentences) == (3, 6)
    assert store.tokens.dtype == np.uint16
    for document, sentences in enumerate(TEXTS):
        first, end = store.document_offsets[document : document + 2]
        assert end - first == len(sentences)
        for sentence, text in zip(range(first, end), sentences, strict=True):
            begin, stop = store.sentence_offsets[sentence : sentence + 2]
            tokenizer.encode_special_tokens = True
            expected = tokenizer.encode(text, add_special_tokens=False).ids
            assert store.tokens[begin:stop].tolist() == expected


def test_text_that_spells_a_special_token_stays_text(build: Build) -> None:
    store = build(TEXTS, vocab_size=99)
    special = set(store.vocabulary.special_ids) - {store.vocabulary.unk_id}
    assert special.isdisjoint(store.tokens.tolist())


def test_blank_sentences_and_documents_leave_no_trace(build: Build) -> None:
    blank = [["", "  ", "\t"], *TEXTS[:1], [], ["\x00", *TEXTS[1], "\u200b "], TEXTS[2]]
    store, plain = build(blank, vocab_size=99), build(TEXTS, vocab_size=99)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(store, name), getattr(plain, name))


@pytest.mark.parametrize("texts", [[], [[]], [["", " "]], [["\x00\x01"]]])
def test_an_empty_corpus_is_refused_and_leaves_no_store(
    build: Build, tmp_path: Path, texts: list[list[str]]
) -> None:
    with pytest.raises(UserError, match="corpus is empty"):
        build(texts)
    assert not list(tmp_path.glob("stores/[!.]*"))


@pytest.mark.parametrize("document", ["the ship sails", None, ["a", None], b"bytes"])
def test_what_is_no_list_of_sentences_is_refused(tmp_path: Path, document: Any) -> None:
    class Careless(Corpus):
        def documents(self) -> Iterator[Any]:
            yield from (["a ship"], document)

        def fingerprint(self) -> str:
            return "careless"

    class CarelessConfig(CorpusConfig):
        name: ClassVar[str] = "careless"

        def build(self) -> Corpus:
            return Careless()

    with pytest.raises(UserError, match="document 1 is no list of sentences"):
        prepare(CarelessConfig(), TokenizerSettings(), tmp_path)


def test_a_large_vocabulary_needs_wider_tokens(build: Build, tmp_path: Path) -> None:
    words = [*SPECIAL_TOKENS, *(f"w{number}" for number in range(1 << 16))]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    store = build([["w65535 w0"], ["w1"]], path=str(tmp_path / "vocab.txt"))
    assert store.tokens.dtype == np.uint32
    assert store.tokens.tolist() == [65540, 5, 6]


def test_a_store_is_built_once_and_then_reused(build: Build) -> None:
    first = build(TEXTS, vocab_size=99)
    written = (first.path / "tokens.bin").stat().st_mtime_ns
    second = build(TEXTS, vocab_size=99)
    assert (second.path, second.fingerprint) == (first.path, first.fingerprint)
    assert (second.path / "tokens.bin").stat().st_mtime_ns == written


def test_another_text_or_tokenizer_is_another_store(build: Build) -> None:
    stores = [
        build(TEXTS, vocab_size=99),
        build(TEXTS[::-1], vocab_size=99),
        build(TEXTS, vocab_size=99, lowercase=False),
        build(TEXTS, kind="bpe", vocab_size=300),
    ]
    assert len({store.path for store in stores}) == len(stores)


def test_two_builds_are_the_same_to_the_byte(build: Build, tmp_path: Path) -> None:
    a = build(TEXTS, cache=tmp_path / "a", vocab_size=99).path
    b = build(TEXTS, cache=tmp_path / "b", vocab_size=99).path
    assert [f.name for f in sorted(a.iterdir())] == [f.name for f in sorted(b.iterdir())]
    assert all(file.read_bytes() == (b / file.name).read_bytes() for file in a.iterdir())


@pytest.mark.parametrize("name", [*(f"{name}.bin" for name in ARRAYS), "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_store_is_noticed_and_built_again(build: Build, name: str, damage: str) -> None:
    file = build(TEXTS, vocab_size=99).path / name
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[:-3])
    else:
        file.unlink()
    with pytest.raises(DamagedStoreError, match=name):
        TokenStore(file.parent)
    build(TEXTS, vocab_size=99)
    assert file.read_bytes() == whole


def test_a_flipped_bit_is_found_by_reading_everything(build: Build) -> None:
    store = build(TEXTS, vocab_size=99)
    store.verify()
    content = bytearray((store.path / "tokens.bin").read_bytes())
    content[5] ^= 4
    (store.path / "tokens.bin").write_bytes(content)
    with pytest.raises(DamagedStoreError, match=r"tokens\.bin was altered"):
        store.verify()


def test_the_split_is_by_document_and_leaves_neither_part_empty(build: Build) -> None:
    store = build([[f"{a} {b}"] for a in "abcdefg" for b in "hijkl"], vocab_size=99)
    for share, held_out in ((0.2, 7), (0.0001, 1), (0.9999, 34)):
        split = store.split(share)
        assert len(split.held_out) == held_out
        assert sorted([*split.train, *split.held_out]) == list(range(35))
        np.testing.assert_array_equal(split.held_out, store.split(share).held_out)
    assert store.split(0.2).held_out.tolist() != list(range(7))


def test_a_single_document_cannot_be_split(build: Build) -> None:
    with pytest.raises(UserError, match="single document"):
        build([["Tea is hot.", "Milk is not."]], vocab_size=99).split(0.1)


BUILD = """
import resource, sys, time
from pathlib import Path
from typing import ClassVar
from tests.core.data.conftest import GivenConfig, GivenCorpus

from clozebox import CorpusConfig
from clozebox.config.settings import TokenizerSettings
from clozebox.data import Corpus, prepare

documents, pause, cache, path = int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:]
words = ["tea", "milk", "bread", "salt", "honey", "plum", "rice"]

class Made(Corpus):
    def documents(self):
        for n in range(documents):
            time.sleep(pause)
            yield [" ".join(words[(n + i * i) % 7] for i in range(150))] * 7
    def fingerprint(self):
        return "made"

class MadeConfig(CorpusConfig):
    name: ClassVar[str] = "made"
    def build(self):
        return Made()

settings = TokenizerSettings(vocab_size=99, path=path or None)
store = prepare(MadeConfig(), settings, Path(cache), say=lambda line: print(line, flush=True))
print(store.fingerprint, store.num_tokens, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def building(documents: int, pause: float, cache: Path, path: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(documents), str(pause), str(cache), path]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(builder: subprocess.Popen[str]) -> list[str]:
    output, errors = builder.communicate(timeout=100)
    assert builder.returncode == 0, errors
    assert errors == ""
    return output.splitlines()


def test_a_builder_that_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    builder = building(30, 0.02, tmp_path)
    while not list(tmp_path.glob("stores/.*.partial/tokens.bin")):
        assert builder.poll() is None
        time.sleep(0.005)
    builder.kill()
    builder.communicate()
    assert list(tmp_path.glob("stores/.*.partial"))
    assert not list(tmp_path.glob("stores/[!.]*"))
    ended(building(30, 0, tmp_path))
    (built,) = tmp_path.glob("stores/[!.]*")
    TokenStore(built).verify()
    assert not list(tmp_path.glob("stores/.*.partial"))


def test_processes_that_want_the_same_store_build_it_once(tmp_path: Path) -> None:
    outputs = [ended(builder) for builder in [building(30, 0.003, tmp_path) for _ in range(2)]]
    assert len({output[-1].split()[0] for output in outputs}) == 1
    assert sum("tokenising" in " ".join(output) for output in outputs) == 1


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    vocab = tmp_path / "vocab.txt"
    words = [*SPECIAL_TOKENS, "tea", "milk", "bread", "salt", "honey", "plum", "rice"]
    vocab.write_text("\n".join(words) + "\n", encoding="utf-8")
    peaks = []
    for documents in (400, 1600):  # 2 MB and 8 MB of text
        printed = ended(building(documents, 0, tmp_path / str(documents), str(vocab)))
        _, tokens, kilobytes = printed[-1].split()
        assert int(tokens) == documents * 7 * 150
        peaks.append(int(kilobytes) / 1024)
    assert peaks[1] - peaks[0] < 20


def test_a_fingerprint_that_forgets_a_setting_does_no_harm(tmp_path: Path) -> None:
    class Forgetful(GivenCorpus):
        def fingerprint(self) -> str:
            return "always the same"

    class ForgetfulConfig(GivenConfig):
        def build(self) -> Corpus:
            return Forgetful(self.texts)

    one, other = (
        prepare(ForgetfulConfig(texts=((text,),)), TokenizerSettings(vocab_size=99), tmp_path)
        for text in ("a few words", "some other words")
    )
    assert one.path != other.path
    assert one.num_tokens != 0 != other.num_tokens
