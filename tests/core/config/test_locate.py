import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clozebox.config.locate import key_lines, read_toml
from clozebox.errors import UserError

TEXT = '''\
# comment = 1
top = 1
optim.lr = 1e-3 # optim.x = 2
"quoted.key" = "a = b"
inline = { rate = 0.4, deep.er = [1, 2], "s p" = 'x' }
text = """
fake = 1
[fake]
"""
list = [
  "a",   # fake = 2
  { name = "b",
  },
]
when = 1979-05-27 07:32:00

[table . sub]
key = "[x]"
[[arm]]
name = "a"
masking.rate = 0.1
[arm.train]
steps = 3
[[arm]]

  name = "b"
[arm.train]
steps = 4
'''


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("optim",), 3),
        (("optim", "lr"), 3),
        (("quoted.key",), 4),
        (("inline", "rate"), 5),
        (("inline", "deep", "er"), 5),
        (("inline", "s p"), 5),
        (("text",), 6),
        (("list",), 10),
        (("list", 0), 11),
        (("list", 1, "name"), 12),
        (("when",), 15),
        (("table", "sub"), 17),
        (("table", "sub", "key"), 18),
        (("arm", 0), 19),
        (("arm", 0, "name"), 20),
        (("arm", 0, "masking", "rate"), 21),
        (("arm", 0, "train", "steps"), 23),
        (("arm", 1), 24),
        (("arm", 1, "name"), 26),
        (("arm", 1, "train", "steps"), 28),
    ],
)
def test_every_kind_of_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    text = TEXT.replace('  { name = "b",\n  },\n', '  { name = "b" },\n  7,\n')
    assert key_lines(text)[path] == line


def test_what_only_looks_like_a_key_is_no_key() -> None:
    text = TEXT.replace('  { name = "b",\n  },\n', '  { name = "b" },\n  7,\n')
    assert not {path for path in key_lines(text) if {"fake", "comment", "x"} & set(path)}


keys = st.text("ab.\"'\\ #=[]é\n", min_size=1, max_size=4)
scalars = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text("a\"'\\#=[]{},\n é", max_size=6), st.floats(-2, 2)
)


@given(st.dictionaries(keys, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=5))
def test_every_key_of_any_file_is_on_the_line_where_it_was_written(
    values: dict[str, object],
) -> None:

    lines = [f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in values.items()]
    found = key_lines("".join(lines))
    assert [found[(key,)] for key in values] == list(range(1, len(values) + 1))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\nb = = 2\n", "bad.toml:2: not valid TOML, column 5: Invalid value"),
        (b"a = 1\n[x\n", "bad.toml:2: not valid TOML"),
        (b"a = 1\na = 2\n", "bad.toml:2: not valid TOML"),
        (b"a = '\n", "bad.toml:1: not valid TOML"),
        (b"a = 1\nb = '\xff'\n", "bad.toml:2: not valid TOML: the text is not UTF-8"),
        (b"a = " + b"[" * 40 + b"]" * 40, "nest deeper than 20"),
        (b"a = " + b"[" * 9000 + b"]" * 9000, "nest too deeply"),
        (b"[" + b"a." * 50 + b"a]", "nest deeper than 20"),
        (b"a = " + b"9" * 5000, "bad.toml:1: not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_one_sentence_with_file_and_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_toml(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "gone.toml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(path).values == {"a": 1}
