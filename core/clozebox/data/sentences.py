"""Prose to sentences, by rule.

A full stop ends a sentence unless it belongs to an abbreviation (Mr., U.S., No. 5), to an initial
(J. Smith), to a list number (3. Taxes) or is followed by a lower-case letter. Chinese and Japanese
full stops always end one. It errs towards too few cuts: half a sentence is worse than two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BOUNDARY = re.compile(
    r"""(?P<stop>[.!?…]+) (?P<closing>["'”’)\]»]*) \s+ (?=["'“‘(\[«]*(?P<next>\w))"""
    r"""| [。！？｡।]+ [」』）】”’]* \s*""",
    re.VERBOSE,
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘/—–-]*$")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]$")  # U.S, a.m, e.g
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])$")
_WORD_SPAN = 24  # characters before the stop in which its word is looked for

_ALWAYS = re.compile(
    r"adm|al|assn|brig|bros|capt|cf|cmdr|col|corp|dept|dr|ft|gen|gov|hon|inc|jr|lt|ltd|maj|messrs"
    r"|mme|mr|mrs|ms|mt|ph\.d|pres|prof|rep|rev|sen|sgt|sr|st|supt|univ|viz|vs"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec",
    re.IGNORECASE,
)
_BEFORE_A_NUMBER = re.compile(
    r"arts?|ca|ch|chap|eq|figs?|nos?|op|pp?|par|pt|secs?|vols?", re.IGNORECASE
)


def split_sentences(text: str) -> Iterator[str]:
    """The sentences of one paragraph, stripped; line breaks in it count as blanks."""
    text = " ".join(text.split())
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match["stop"] is None or _ends_sentence(text, start, match):
            yield text[start : match.end()].rstrip()
            start = match.end()
    if start < len(text):
        yield text[start:]


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    following = match["next"]
    if following.islower():
        return False
    if match["stop"] != "." or match["closing"]:
        return True
    stop = match.start()
    found = _LAST_WORD.search(text, max(start, stop - _WORD_SPAN), stop)
    word = found.group() if found else ""
    if _LIST_NUMBER.fullmatch(text, start, stop):
        return False
    if len(word) == 1 and word.isalpha() and word.isupper():
        return word == "I"  # far more often the pronoun than an initial
    if _ALWAYS.fullmatch(word) or _DOTTED.fullmatch(word):
        return False
    return not (following.isdigit() and _BEFORE_A_NUMBER.fullmatch(word))
