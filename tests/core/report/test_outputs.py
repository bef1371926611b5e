"""Tables, JSON, the page and the figure: what a comparison looks like outside."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.core.report.synthetic import write_run

from clozebox.cli.compare import compare_experiment
from clozebox.errors import UserError
from clozebox.report import compare_runs
from clozebox.report.numbers import cost_text, count_text, decimals, duration_text, p_text
from clozebox.report.page import as_page, write_page
from clozebox.report.plots import write_figure
from clozebox.report.sections import differences_table, result_table
from clozebox.report.tables import Table, as_markdown, as_text
from clozebox.report.task_table import task_table

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """Element tree checks and the text of the embedded data."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.data = ""
        self._in_data = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self._in_data = given.get("id") == "data"
        self.links += [href] if (href := given.get("href")) else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data
            self._in_data = False


def test_a_text_table_is_aligned_and_fits_100_characters(experiment: Path) -> None:
    lines = compare_experiment(experiment).splitlines()
    start = lines.index("eval/cloze_loss, lower is better") + 2
    header, rule, masked, whole_word, forward = lines[start : start + 5]
    cells = "forward 5/6 3.70 0.12 0.09 +0.400 0.380 to 0.420 <0.001 0.062"
    assert " ".join(forward.split()) == cells
    assert len({len(line) for line in (header, rule, masked, whole_word, forward)}) == 1
    assert all(len(line) <= 100 for line in lines[start:] if not line.startswith("page:"))


def test_a_wide_table_cuts_words_and_never_numbers() -> None:
    number = "1234567890" * 3
    table = Table("t", ("arm", "a", "b"), (("x" * 90, number, number),))
    row = as_text(table).splitlines()[-1]
    assert row == "x" * 35 + "…" + f"  {number}  {number}"


def test_markdown_escapes_what_would_break_a_row() -> None:
    text = as_markdown(Table("t", ("arm", "mean"), (("a|b<i>", "3"),)))
    assert "| a\\|b&lt;i> | 3 |" in text
    assert "| :-- | --: |" in text


def test_settings_that_differ_are_listed_under_dotted_keys_and_no_others(experiment: Path) -> None:
    table = differences_table(compare_runs(experiment))
    assert table is not None
    assert table.rows == (
        ("masking.name", "token", "whole_word", "none"),
        ("masking.rate", "0.15", "0.15", "-"),
        ("objectives", "mlm", "mlm", "ar_forward"),
    )


def test_csv_has_one_full_precision_row_per_metric_and_arm(experiment: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(compare_experiment(experiment, form="csv"))))
    assert [(r["metric"], r["arm"]) for r in rows[:2]] == [
        ("eval/cloze_loss", "masked"),
        ("eval/cloze_loss", "whole_word"),
    ]
    assert len(rows) == 6
    assert float(rows[2]["difference"]) == pytest.approx(0.4, abs=1e-12)
    assert rows[0]["difference"] == ""


def test_json_holds_differences_by_seed_and_every_run(experiment: Path) -> None:
    document = json.loads(compare_experiment(experiment, form="json"))
    forward = document["metrics"][0]["arms"][2]
    assert forward["difference"]["by_seed"]["4"] == pytest.approx(0.42)
    assert document["arms"][2]["parameters"] == 4_385_922
    assert document["runs"][-1] == {
        "arm": "forward",
        "seed": 5,
        "state": "diverged",
        "reason": "the loss is nan",
        "step": 7,
        "steps": 77,
        "path": "forward/seed-5",
        "final": {"eval/cloze_loss": 8.1},
    }


def test_markdown_and_the_page_are_written_without_being_asked(experiment: Path) -> None:
    text = compare_experiment(experiment, form="markdown")
    assert text.startswith("## How much should a small BERT hide?\n\n- whole_word cannot be told")
    assert (experiment / "comparison.html").is_file()


def test_the_page_is_well_formed_and_refers_to_nothing_outside(experiment: Path) -> None:
    html = as_page(compare_runs(experiment))
    page = Page(html)
    assert page.open == []
    assert not re.search(r"https?://|//cdn|url\((?!#)|<link|<img|@import|\bsrc=", html)
    assert json.loads(page.data)["baseline"] == "masked"
    assert "forward is worse than masked by 0.400" in html


def test_how_far_a_run_got_that_is_in_no_mean_is_drawn_too(experiment: Path) -> None:
    [metric, _] = json.loads(compare_experiment(experiment, form="json"))["metrics"]
    [run] = metric["unfinished"]
    assert (run["arm"], run["seed"], run["state"]) == (2, 5, "diverged")
    assert [(p["steps"], p["value"]) for p in run["points"]] == [(7.0, 8.1)]


def test_the_digits_of_a_line_of_tasks_are_as_many_and_marks_take_no_room(experiment: Path) -> None:
    table = task_table(compare_runs(experiment))
    assert table is not None
    assert table.rows == (("accuracy", "0.390  ", "0.390  ", "-  "),)
    assert "<td>0.390</td>" in as_page(compare_runs(experiment))


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)<"
    folder = tmp_path / "evil"
    for seed in range(2):
        write_run(folder, "a&b", seed, [3.0 + seed], question=f"{evil} $question </script>?")
        write_run(folder, evil, seed, [4.0], index=1, settings={"<b>": "</script><i>"})
    html = as_page(compare_runs(folder))
    page = Page(html)
    assert page.open == []
    assert {"i", "b"} & page.tags == {"i", "b"}  # the page's own
    assert "<script>alert" not in html and "<b>a&b" not in html
    assert html.count("</script>") == 2
    assert json.loads(page.data)["arms"][1]["name"] == evil
    assert "$question &lt;/script&gt;?" in html


def test_links_of_the_page_lead_to_the_runs_from_where_the_page_lies(
    experiment: Path, tmp_path: Path
) -> None:
    page = tmp_path / "pages" / "here.html"
    write_page(compare_runs(experiment), page)
    links = Page(page.read_text()).links
    assert len(links) == 16
    assert all((page.parent / link / "metrics.jsonl").exists() for link in links)


def test_the_page_of_a_lone_unfinished_run_still_opens(tmp_path: Path) -> None:
    write_run(tmp_path / "e", "base", 0, [float("nan")], state="failed", reason="no space left")
    html = as_page(compare_runs(tmp_path / "e"))
    assert json.loads(Page(html).data)["runs"][0]["final"] == {"eval/cloze_loss": None}
    assert "base has no finished run yet." in html


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_figure_is_drawn(experiment: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"figure.{suffix}"
    write_figure(compare_runs(experiment), path)
    assert path.stat().st_size > 5000


def test_a_figure_of_an_unknown_kind_is_refused(experiment: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(UserError, match=r"cannot draw figure\.txt"):
        write_figure(compare_runs(experiment), tmp_path / "figure.txt")


def test_without_matplotlib_a_figure_is_refused_with_what_to_install(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r'pip install "clozebox\[plots\]"'):
        write_figure(compare_runs(experiment), tmp_path / "figure.png")


def test_numbers_show_what_their_uncertainty_deserves(experiment: Path) -> None:
    assert [decimals(u) for u in (None, 0.0, 0.034, 0.5, 7.0, 120.0)] == [4, 4, 3, 2, 1, 0]
    assert [count_text(v) for v in (None, 12, 4_385_920, 3.2e9)] == ["-", "12", "4.39M", "3.2B"]
    assert cost_text("flops", 2e14) == "2.00e14"
    assert [duration_text(s) for s in (4.25, 125, 5025)] == ["4.25 s", "2 min", "1 h 24 min"]
    assert [p_text(p) for p in (None, 0.0002, 0.0625)] == ["-", "<0.001", "0.062"]
    baseline = result_table(compare_runs(experiment), "eval/accuracy").rows[0]
    assert baseline[:3] == ("masked", "5/5", "0.390")
