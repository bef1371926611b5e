"""Every layout is read as it is; bad data is refused with file, line and reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clozebox.errors import UserError
from clozebox.evaluation.finetuning.dataset import load_dataset
from clozebox.evaluation.finetuning.examples import Dataset, LabelledText, Question, TaggedWords
from clozebox.evaluation.finetuning.lines import LONGEST_LINE
from clozebox.evaluation.finetuning.task import read_task

Write = Callable[..., Path]
Load = Callable[..., Dataset]
TAGS = {"kind": "tagging", "metric": "accuracy"}


@pytest.fixture
def load(write: Write) -> Load:
    """``load(train, "tsv", text="a")``: a dataset whose two files both hold ``train``."""

    def make(
        content: str | bytes, layout: str, development: str | bytes | None = None, **given: Any
    ) -> Dataset:
        write("train.x", content)
        write("dev.x", content if development is None else development)
        kind = given.pop("kind", "classification")
        lines = [f'kind = "{kind}"', f'format = "{layout}"']
        lines += ['train = "train.x"', 'development = "dev.x"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        return load_dataset(read_task(write("task.toml", "\n".join(lines))))

    return make


def refusal(load: Load, *args: Any, **given: Any) -> list[str]:
    with pytest.raises(UserError) as refused:
        load(*args, **given)
    return [line.strip() for line in str(refused.value).splitlines()]


def test_tsv_is_read_without_quoting_and_with_a_byte_order_mark(load: Load) -> None:
    text = '\ufefftext\tlabel\r\n"so he said\tb\r\na ""b""\ta\r\n'
    data = load(text, "tsv", text="text", label="label")
    assert data.labels == ("a", "b")
    assert data.splits["train"] == [
        LabelledText('"so he said', None, 1),
        LabelledText('a ""b""', None, 0),
    ]


def test_csv_fields_hold_commas_quotes_and_line_ends(load: Load) -> None:
    text = 'one,two,label\n"a, ""b""\nc",second,x\n\nplain,,y\n'
    data = load(text, "csv", text="one", text_pair="two", label="label", labels=["y", "x"])
    assert data.splits["train"] == [
        LabelledText('a, "b"\nc', "second", 1),
        LabelledText("plain", "", 0),
    ]


def test_numbers_name_the_columns_of_a_file_without_a_header(load: Load) -> None:
    data = load("0\tfirst\n1\tsecond\n", "tsv", text=1, label=0)
    assert data.splits["train"] == [LabelledText("first", None, 0), LabelledText("second", None, 1)]


def test_labels_of_json_are_compared_as_they_are_written(load: Load) -> None:
    text = '{"t": "a", "l": 1}\n\n{"t": "b", "l": "0", "more": []}\n{"t": "c", "l": true}\n'
    data = load(text, "jsonl", text="t", label="l")
    assert data.labels == ("0", "1", "true")
    assert [one.label for one in data.splits["train"]] == [1, 0, 2]


def test_parquet_is_read(load: Load, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"t": ["a", "b"], "v": [1.5, 2], "w": [["x"], ["y", "z"]]})
    parquet.write_table(table, tmp_path / "table")
    content = (tmp_path / "table").read_bytes()
    data = load(content, "parquet", kind="regression", text="t", label="v")
    assert data.splits["train"] == [LabelledText("a", None, 1.5), LabelledText("b", None, 2.0)]
    tagged = load(content, "parquet", **TAGS, text="w", label="w")
    assert tagged.splits["train"][1] == TaggedWords(("y", "z"), (1, 2))
    [problem] = refusal(load, content, "parquet", text="u", label="v")[1:2]
    assert "train.x:1: no column 'u'" in problem
    [problem] = refusal(load, b"PAR0" + content, "parquet", text="t", label="w")[1:2]
    assert "train.x: cannot be read as Parquet" in problem


def test_conll_sentences_end_at_blank_lines(load: Load) -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP B-ORG\nrejects VB O\n\n\n# NN O\nlast NN O"
    data = load(text, "conll", kind="tagging", text=0, label=-1)
    assert data.labels == ("B-ORG", "O")
    assert data.splits["train"] == [
        TaggedWords(("EU", "rejects"), (0, 1)),
        TaggedWords(("#", "last"), (1, 1)),
    ]


def test_tags_may_stand_in_tables_too(load: Load) -> None:
    data = load("w\tt\nthe cat\tD N\n", "tsv", **TAGS, text="w", label="t")
    assert data.splits["train"] == [TaggedWords(("the", "cat"), (0, 1))]


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "Ash and elm.",
                    "qas": [
                        {
                            "id": "q-1",
                            "question": "Which?",
                            "answers": [
                                {"text": "elm", "answer_start": 8},
                                {"text": "Ash", "answer_start": 0},
                            ],
                        },
                        {"id": "q-2", "question": "Why?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
    ],
}


def test_squad_is_read_with_questions_that_have_no_answer(load: Load) -> None:
    data = load(json.dumps(SQUAD), "squad", kind="question_answering")
    assert data.splits["train"] == [
        Question("Which?", "Ash and elm.", ("elm", "Ash"), (8, 0)),
        Question("Why?", "Ash and elm.", (), ()),
    ]


def test_an_answer_that_is_not_where_it_is_said_to_be_is_refused(load: Load) -> None:
    moved = json.dumps(SQUAD, indent=1).replace('"answer_start": 8', '"answer_start": 7')
    problem = refusal(load, json.dumps(SQUAD), "squad", moved, kind="question_answering")[0]
    line = moved[: moved.index('"q-1"')].count("\n") + 1
    assert f"dev.x:{line}: data[0].paragraphs[0].qas[0].answers[0]: the context has" in problem
    assert "' el' at character 7, not 'elm'" in problem


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "x:1: not JSON: "),
        ('{"data": 3}', "x:1: data: must be a list, as in SQuAD's JSON"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "paragraphs[0].context: must be a text"),
        ('{"data": []}', "the train split is empty"),
    ],
)
def test_other_json_than_squads_is_refused(load: Load, text: str, reason: str) -> None:
    assert any(reason in line for line in refusal(load, text, "squad", kind="question_answering"))


@pytest.mark.parametrize(
    ("layout", "content", "reason"),
    [
        ("tsv", "txt\tl\na\tb\n", "x:1: no column 't' (there are: txt, l)"),
        ("tsv", "t\tl\nfine\ta\nlost\n", "x:3: 1 fields; the header names 2"),
        ("tsv", "t\tl\none\ttwo\tthree\n", "x:2: 3 fields; the header names 2"),
        ("tsv", "t\tl\tt\na\tb\tc\n", "x:1: 2 columns are named 't'"),
        ("tsv", "t\tl\na\t\n", "x:2: the label must be a text or a whole number (got '')"),
        ("tsv", b"t\tl\na\tb\ncaf\xe9\tb\n", "x:3: byte 0xe9 at place 4 of the line is not UTF-8"),
        ("tsv", "t\tl\n".encode("utf-16"), "x:1: byte 0xff at place 1 of the line is not UTF-8"),
        ("tsv", "t\tl\n".encode("utf-16-le"), "x:1: holds a NUL: it is no text, or UTF-16"),
        ("tsv", "", "x:1: no column 't' (there are: none)"),
        ("tsv", "t\tl\n", "the train split is empty"),
        ("tsv", "t\tl\na\tb\nc\tb\n", "x:1: every label is 'b': there is no choice"),
        ("csv", 't,l\n"open,b\n', "x:2: not CSV from here on: unexpected end of data"),
        ("csv", 't,l\na,b\n"x"y,b\n', "x:3: not CSV from here on"),
        ("jsonl", '{"t": "a", "l": "b"}\n{"t": 3, "l": "c"}\n', "x:2: column 't' must hold a text"),
        ("jsonl", '{"t": "a"}\n', "x:1: no column 'l' (there are: t)"),
        ("jsonl", '{"t": "a", "l": null}\n', "x:1: the label must be a text or a whole number"),
        ("jsonl", '["t"]\n', "x:1: must be a JSON object"),
        ("jsonl", '{"t": "a"\n', "x:1: not JSON"),
        ("jsonl", '{"t": "a \\ud800", "l": "b"}\n', "x:1: column 't' must hold a text"),
        ("jsonl", '{"t": "a", "l": "\\udc00"}\n', "x:1: the label must be a text"),
    ],
)
def test_bad_tables_are_refused_with_the_line(
    load: Load, layout: str, content: str | bytes, reason: str
) -> None:
    found = refusal(load, content, layout, text="t", label="l")
    assert any(reason in line for line in found), found


def test_a_misspelt_column_is_suggested(load: Load) -> None:
    found = refusal(load, "sentence\tl\na\tb\n", "tsv", text="sentense", label="l")
    reason = "x:1: no column 'sentense'; did you mean 'sentence'? (there are: sentence, l)"
    assert reason in found[1]


def test_a_line_of_ten_megabytes_is_refused_and_the_rest_is_read(load: Load) -> None:
    long = "a" * 10_000_000
    found = refusal(load, f"t\tl\na\tb\n{long}\tb\nc\td\n\tx\ty\n", "tsv", text="t", label="l")
    assert f"train.x:3: a line of more than {LONGEST_LINE:,} bytes" in found[1]
    assert "train.x:5: 3 fields" in found[2]
    assert len(found) == 5  # the same of the other file, and how many


def test_an_unknown_label_is_refused_with_a_suggestion(load: Load) -> None:
    train, development = "t\tl\na\tleft\nb\tright\n", "t\tl\na\tleft\nb\trigth\n"
    [problem] = refusal(load, train, "tsv", development, text="t", label="l")
    assert "dev.x:3: unknown label 'rigth'; did you mean 'right'? (known: left, right)" in problem


def test_an_unknown_tag_is_refused_on_its_own_line(load: Load) -> None:
    train, development = "a X\nb Y\n", "a X\n\na X\nb Z\n"
    [problem] = refusal(load, train, "conll", development, **TAGS, text=0, label=1)
    assert "dev.x:4: unknown label 'Z'" in problem


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a X\nb\n", "x:2: 1 columns; its sentence begins with 2"),
        ("a\n", "x:1: no column 1: there are 1, counted from 0"),
    ],
)
def test_ragged_columns_are_refused(load: Load, content: str, reason: str) -> None:
    assert any(
        reason in line for line in refusal(load, content, "conll", kind="tagging", text=0, label=1)
    )


@pytest.mark.parametrize("value", ["high", "nan", "inf", ""])
def test_a_value_that_is_no_finite_number_is_refused(load: Load, value: str) -> None:
    found = refusal(load, f"t\tl\na\t{value}\n", "tsv", kind="regression", text="t", label="l")
    assert f"x:2: the label must be a finite number (got '{value}')" in found[1]


def test_words_and_tags_must_be_as_many(load: Load) -> None:
    found = refusal(load, "w\tt\na b\tX\n", "tsv", kind="tagging", text="w", label="t")
    assert "x:2: 2 words and 1 tags" in found[1]


def test_of_a_thousand_problems_a_dozen_are_shown(load: Load) -> None:
    found = refusal(load, "t\tl\n" + "a\n" * 3000, "tsv", text="t", label="l")
    assert found[0] == "1000 problems in the data:"
    assert found[-1] == "and 988 more"


def test_a_file_that_cannot_be_read_has_no_more_wrong_with_it(load: Load) -> None:
    found = refusal(load, b"\xff", "tsv", "t\tl\na\tb\nc\td\n", text="t", label="l")
    assert len(found) == 1
    assert "train.x:1: byte 0xff" in found[0]


def test_numbered_columns_of_files_with_a_header_are_refused(load: Load) -> None:
    rows = "a\tx\nb\ty\nc\tx\nd\ty\n"
    found = refusal(load, f"text\tlabel\n{rows}", "tsv", text=0, label=1)
    reason = "the label 'label' stands in the first line alone, as in a header"
    assert [reason in line for line in found[1:]] == [True, True]
    assert "train.x:1: " in found[1]
    # A label that is rare, or that comes first in one file alone, is a label like any other.
    rare = f"a\tz\n{rows}"
    assert load(rare, "tsv", rows, text=0, label=1).labels == ("x", "y", "z")
    assert load(f"{rare}e\tw\n", "tsv", rare, text=0, label=1).labels == ("w", "x", "y", "z")


def test_tags_of_words_that_are_no_spans_are_not_scored_as_spans(load: Load) -> None:
    words = "the DET\ncat NOUN\n"
    [found] = refusal(load, words, "conll", kind="tagging", text=0, label=1)
    assert "train.x:1: span_f1: no tag begins a span, as B-X does (there are: DET, NOUN)" in found
    assert 'set metric = "accuracy"' in found
    assert load(words, "conll", **TAGS, text=0, label=1).labels == ("DET", "NOUN")


def test_values_that_are_all_alike_are_refused(load: Load) -> None:
    given = {"kind": "regression", "text": "t", "label": "l"}
    [found] = refusal(load, "t\tl\na\t1\nb\t2\n", "tsv", "t\tl\na\t3\nb\t3.0\n", **given)
    assert "dev.x:1: every label is 3: nothing can correlate with it" in found


def test_half_of_a_surrogate_pair_is_no_text_of_squads(load: Load) -> None:
    broken = json.dumps(SQUAD).replace("Which", "\\ud800")
    found = refusal(load, broken, "squad", kind="question_answering")
    assert "data[0].paragraphs[0].qas[0].question: must be a text" in found[1]


def test_a_missing_file_is_named(write: Write) -> None:
    given = 'kind = "regression"\nformat = "csv"\ntrain = "no"\ndevelopment = "none"\n'
    task = read_task(write("task.toml", given + 'text = "t"\nlabel = "l"\n'))
    with pytest.raises(UserError, match=r"no: cannot be read: No such file"):
        load_dataset(task)


GLUE_ROWS = {
    "cola": 'gj04\t1\t\tThe "cat" sat.\nbc01\t0\t*\tSat cat the.\n',
    "sst2": "sentence\tlabel\na gem \t1\ndull \t0\n",
    "mrpc": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    '1\t7\t8\tHe said "no\tShe said\n0\t7\t8\tA\tB\n',
    "qqp": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    "0\t1\t2\tWhy?\tHow?\t0\n1\t3\t4\tbroken\n2\t3\t4\tA?\tB?\t1\n",
    "stsb": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\t"
    "score\n0\tg\tf\ty\t1\tn\tn\tA plane.\tAn air plane.\t5.000\n1\tg\tf\ty\t1\tn\tn\tA\tB\t0.5\n",
    "mnli": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
    "0\tp\tq\tg\t(\t(\t(\t(\tOne\tTwo\tneutral\tentailment\n",
    "qnli": "index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tnot_entailment\n",
    "rte": "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n",
    "wnli": "index\tsentence1\tsentence2\tlabel\n0\tA\tB\t1\n",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cola", [('The "cat" sat.', None, 1), ("Sat cat the.", None, 0)]),
        ("sst2", [("a gem ", None, 1), ("dull ", None, 0)]),
        ("mrpc", [('He said "no', "She said", 1), ("A", "B", 0)]),
        ("qqp", [("Why?", "How?", 0), ("A?", "B?", 1)]),
        ("stsb", [("A plane.", "An air plane.", 5.0), ("A", "B", 0.5)]),
        ("mnli", [("One", "Two", 1)]),
        ("qnli", [("When?", "Then.", 1)]),
        ("rte", [("A", "B", 0)]),
        ("wnli", [("A", "B", 1)]),
    ],
)
def test_glues_nine_layouts_are_read_as_they_are(
    write: Write, name: str, expected: list[tuple[str, str | None, float]]
) -> None:
    for split in ("train.tsv", "dev.tsv", "dev_matched.tsv"):
        write(split, GLUE_ROWS[name])
    data = load_dataset(read_task(write("task.toml", f'format = "glue"\nglue = "{name}"\n')))
    assert data.splits["development"] == [LabelledText(*one) for one in expected]
    assert sum(data.passed_over.values()) == (2 if name == "qqp" else 0)  # told, in either file
    assert data.scored == "development"
