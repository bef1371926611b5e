"""Plain lines for a file, a status line for somebody who watches."""

from __future__ import annotations

import io

import pytest

from clozebox.sweep.progress import CLEAR_LINE, Progress, duration
from clozebox.sweep.tally import Tally

TALLY = Tally(planned=7, done=2, pruned=1, failed=(), dropped=(), training=())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_no_status_line():
    stream = io.StringIO()
    progress = Progress(stream, "eval/cloze_loss")
    progress.show(TALLY, [])
    progress.say("a line")
    progress.close()
    assert stream.getvalue() == "a line\n"


def test_a_terminal_gets_one_that_lines_push_down():
    stream = Terminal()
    progress = Progress(stream, "eval/cloze_loss")
    progress.show(TALLY, [])
    progress.say("a line")
    assert stream.getvalue() == f"{CLEAR_LINE}3/7{CLEAR_LINE}a line\n"


@pytest.mark.parametrize(("seconds", "text"), [(38.2, "38 s"), (300, "5 min"), (7560, "2.1 h")])
def test_durations_are_written_for_reading(seconds, text):
    assert duration(seconds) == text
