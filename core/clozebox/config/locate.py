"""Reads TOML and remembers the line on which every key stands, which ``tomllib`` does not.

The scanner runs only on text that ``tomllib`` accepted, so it may trust the syntax.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clozebox.config.layers import KeyPath, Table
from clozebox.errors import UserError

MAX_DEPTH = 20

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*')
      | (?P<mark>[\[\]{},.=])
      | (?P<word>[^\s\[\]{},.=\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class TomlFile:
    """A TOML file: its text, its values and the line of every key path."""

    path: str
    text: str
    values: dict[str, Any]
    lines: dict[KeyPath, int]

    def origin(self, path: KeyPath) -> str:
        """``file:line`` of a key, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.path}:{self.lines.get(path, 1)}"

    def table(self, prefix: KeyPath = (), leave_out: tuple[str, ...] = ()) -> Table:
        """The table at ``prefix`` with the origin of its key paths, without some of its keys."""
        values: Any = self.values
        for key in prefix:
            values = values[key]
        origins = {
            path[len(prefix) :]: f"{self.path}:{line}"
            for path, line in self.lines.items()
            if path[: len(prefix)] == prefix and len(path) > len(prefix)
        }
        return Table(
            {key: value for key, value in values.items() if key not in leave_out},
            {path: origin for path, origin in origins.items() if path[0] not in leave_out},
            self.origin(prefix),
        )


def read_toml(path: Path) -> TomlFile:
    """Raises `UserError` with one sentence when the file is unreadable or no TOML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not valid TOML: the text is not UTF-8") from error
    try:
        values = tomllib.loads(text)
        return TomlFile(str(path), text, values, key_lines(text))
    except ValueError as error:
        raise UserError(_syntax_error(path, text, error)) from error
    except RecursionError as error:
        raise UserError(f"{path}:1: not valid here: tables or lists nest too deeply") from error


def key_lines(text: str) -> dict[KeyPath, int]:
    """The 1-based line of every key path, tables and the items of lists included."""
    return _Scanner(text).scan()


def _syntax_error(path: Path, text: str, error: ValueError) -> str:
    reason = re.sub(r" \(at .*\)$", "", str(error))
    place = re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
    line = int(place[1]) if place else text.rstrip("\n").count("\n") + 1
    column = f", column {place[2]}" if place else ""
    return f"{path}:{line}: not valid TOML{column}: {reason}"


@dataclass
class _Scanner:
    text: str
    at: int = 0
    line: int = 1
    lines: dict[KeyPath, int] = field(default_factory=dict)
    lengths: dict[KeyPath, int] = field(default_factory=dict)
    """How many tables each array of tables has so far."""

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(newlines=True)
        while self.at < len(self.text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(newlines=True)
        return self.lines

    def _header(self) -> KeyPath:
        self._next()
        is_array = self.text[self.at] == "["
        if is_array:
            self._next()
        line = self.line
        keys = self._keys("]")
        if is_array:
            self._next()
        path: KeyPath = ()
        for index, key in enumerate(keys):
            path += (key,)
            self._record(path, line)
            if is_array and index == len(keys) - 1:
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path += (self.lengths[path] - 1,)
        self._record(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self.line
        path = table
        for key in self._keys("="):
            path += (key,)
            self._record(path, line)
        self._value(path)

    def _keys(self, end: str) -> list[str]:
        keys: list[str] = []
        while True:
            token = self._next()
            if token == end:
                return keys
            if token != ".":
                quoted = token[0] in "\"'"
                keys.append(tomllib.loads(f"k = {token}")["k"] if quoted else token)

    def _value(self, path: KeyPath) -> None:
        self._skip(newlines=False)
        if self._peek() == "{":
            self._members("}", path)
        elif self._peek() == "[":
            self._members("]", path)
        else:
            while self._peek() not in {",", "]", "}", "\n", "#", ""}:
                self._next()
                self._skip(newlines=False, comments=False)

    def _members(self, end: str, path: KeyPath) -> None:
        self._next()
        index = 0
        self._skip(newlines=True)
        while self._peek() != end:
            if end == "}":
                self._pair(path)
            else:
                self._record((*path, index), self.line)
                self._value((*path, index))
                index += 1
            self._skip(newlines=True)
            if self._peek() == ",":
                self._next()
                self._skip(newlines=True)
        self._next()

    def _record(self, path: KeyPath, line: int) -> None:
        if len(path) > MAX_DEPTH:
            raise ValueError(
                f"tables or lists nest deeper than {MAX_DEPTH} (at line {line}, column 1)"
            )
        self.lines.setdefault(path, line)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip(self, newlines: bool, comments: bool = True) -> None:
        while (match := _TOKEN.match(self.text, self.at)) is not None:
            is_comment = match[0].startswith("#")
            skippable = match.lastgroup == "space" and (comments or not is_comment)
            if not skippable and not (newlines and match.lastgroup == "newline"):
                return
            self._take(match)

    def _next(self) -> str:
        """The next token that is no space."""
        self._skip(newlines=False)
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise ValueError(f"unexpected text (at line {self.line}, column 1)")
        self._take(match)
        return match[0]

    def _take(self, match: re.Match[str]) -> None:
        self.line += match[0].count("\n")
        self.at = match.end()
