"""``python -m clozebox.training RUN``: train or resume one run directory, as sweeps do."""

from __future__ import annotations

import sys
from pathlib import Path

from clozebox.errors import UserError
from clozebox.training.run_directory import RunDirectory


def main(path: str) -> int:
    """The exit code: 0 done, 1 failed or diverged, 2 bad input, 130 or 143 stopped and saved."""
    run = RunDirectory(Path(path))
    try:
        resolved = run.resolved()

        from clozebox.registry import load_registry
        from clozebox.training.console import Console
        from clozebox.training.run import run_training

        plugins = [Path(plugin) for plugin in resolved["plugins"]]
        registry = load_registry(resolved["disabled"], plugins)
        return run_training(run, registry, Console())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
