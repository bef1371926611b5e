"""English that every Python carries: its language reference by topic, and its docstrings."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from clozebox.data import Corpus, Document, split_sentences
from clozebox.errors import UserError
from clozebox_corpora import PythonDocsConfig

_SKIPPED = frozenset({"test", "tests", "idlelib", "turtledemo", "lib2to3", "site-packages"})
_BLANK_LINE = re.compile(r"\n\s*\n")
_MARKUP = re.compile(r"`+|(?<![\w*])\*(?=\w+\*)|(?<=\w)\*(?![\w*])")  # ``code`` and *emphasis*
_PROSE = re.compile(r"[A-Z\"'*`(][^\n]*\w[\s\S]*[.!?:)]$")
_SHORTEST = 40  # characters; below, a paragraph is a heading, a signature or a label


class PythonDocs(Corpus):
    """A topic is a document, and so are all the docstrings of one module.

    Grammar, code and tables are left out: only paragraphs that read like sentences are kept.
    """

    def __init__(self, config: PythonDocsConfig) -> None:
        self._config = config

    def documents(self) -> Iterator[Document]:
        return iter(self._documents)

    @cached_property
    def _documents(self) -> list[Document]:
        texts = [[topic] for _, topic in sorted(_topics().items())]
        texts += [_docstrings(path.read_bytes()) for path in self._modules()]
        parts = ([sentence for text in part for sentence in _sentences(text)] for part in texts)
        return [part for part in parts if part]  # some modules hold no prose

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._config.settings()).encode())
        digest.update(json.dumps(_topics(), sort_keys=True).encode())
        for path in self._modules():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _modules(self) -> list[Path]:
        """The standard library's own source files, tests left out."""
        if not self._config.docstrings:
            return []
        found: list[Path] = []
        for folder, inner, files in os.walk(sysconfig.get_path("stdlib")):
            # Not even looked into: every installed package may lie in there.
            inner[:] = {*inner} - _SKIPPED
            found += [Path(folder, name) for name in files if name.endswith(".py")]
        return sorted(found)


def _topics() -> dict[str, str]:
    if find_spec("pydoc_data") is None:
        raise UserError("corpus python_docs: this Python comes without its module pydoc_data")
    from pydoc_data.topics import topics

    return topics


def _docstrings(source: bytes) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's code
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):  # templates that only look like modules
            return []
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def _sentences(text: str) -> Iterator[str]:
    for paragraph in _BLANK_LINE.split(text.expandtabs()):
        if _is_prose(paragraph):
            yield from split_sentences(_MARKUP.sub("", paragraph.strip()))


def _is_prose(paragraph: str) -> bool:
    lines = paragraph.strip("\n").split("\n")
    text = paragraph.strip()
    return (
        len(text) >= _SHORTEST
        and not any(line.startswith(" ") for line in lines[1:])
        and "::=" not in text
        and ">>>" not in text
        and _PROSE.match(text) is not None
    )
