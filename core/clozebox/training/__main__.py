"""``python -m clozebox.training RUN``: train or resume one run directory, as sweeps do."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from pathlib import Path

from clozebox.errors import UserError
from clozebox.training.launch import end_with_parent, is_rank, launch
from clozebox.training.run_directory import RunDirectory


def main(path: str) -> int:
    """The exit code: 0 done, 1 failed or diverged, 2 bad input, 130 or 143 stopped and saved.

    75 (EX_TEMPFAIL) when another process is at the run.
    """
    run = RunDirectory(Path(path))
    try:
        resolved = run.resolved()
        ranks = resolved["settings"]["speed"].get("ranks", 1)
        if ranks > 1 and not is_rank():
            return launch(run, ranks)

        from clozebox.registry import load_registry
        from clozebox.training.console import Console
        from clozebox.training.run import Held, run_training

        plugins = [Path(plugin) for plugin in resolved["plugins"]]
        registry = load_registry(resolved["disabled"], plugins)
        try:
            return run_training(run, registry, Console())
        except Held as held:
            print(held, file=sys.stderr)
            return os.EX_TEMPFAIL
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    # Writes down where each thread is, also of a run that hangs.
    faulthandler.register(signal.SIGUSR1)
    end_with_parent()
    status = main(*sys.argv[1:])
    gc.freeze()  # else the interpreter, as it ends, looks through all that torch made
    raise SystemExit(status)
