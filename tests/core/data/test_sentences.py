from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clozebox.data import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith met Dr. J. R. Jones.", "They talked."],
        ["The U.S. Army left at 5 p.m. Tuesday.", "Nobody saw it!"],
        ["See No. 5 of Vol. 3.", "It is long."],
        ["Did he say no?", "No.", "He did not."],
        ["It costs $3.50 today.", "Tomorrow it costs more."],
        ["So do I.", "She does too."],
        ['"Go home."', "(He went.)", "“Good!”", "So he said…", "And left."],
        ["“What?” he asked.", "Nobody knew."],
        ["3. Taxes and duties.", "They fell."],
        ["今日は晴れです。", "「行こう！」", "彼は言った。"],
        ["我们走吧！", "好的。"],
        ["그는 갔다.", "나는 남았다."],
        ["no capital letter and no stop"],
    ],
    ids=lambda sentences: sentences[0],
)
def test_prose_is_cut_where_a_reader_would(sentences: list[str]) -> None:
    joiner = "" if "。" in sentences[-1] else " "
    assert list(split_sentences(joiner.join(sentences))) == sentences


def test_line_breaks_inside_a_paragraph_are_blanks() -> None:
    assert list(split_sentences("One two\n  three. Four\r\nfive.\n")) == [
        "One two three.",
        "Four five.",
    ]


@given(st.text(alphabet=st.sampled_from("aB .!?。\"'(1\n…"), max_size=60))
def test_no_character_but_blanks_is_lost(text: str) -> None:
    pieces = list(split_sentences(text))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece and piece == piece.strip() for piece in pieces)
