"""The command line. Importing it costs no pydantic, no torch and no search for plugins."""

from __future__ import annotations

import gc
import os
import sys

import click

from clozebox.errors import UserError


def main() -> None:
    """Run `clozebox` and exit: 0 done, 1 a run failed, 2 bad input, 130 interrupted."""
    status = _run()
    # Else the interpreter, as it ends, looks through all that torch made: a third of a second.
    gc.freeze()
    raise SystemExit(status)


def _run() -> int:
    from clozebox.cli.group import cli

    try:
        status = cli.main(prog_name="clozebox", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        _drop_unwritable_output()  # the reader has left: `clozebox ... | head`
        return 1
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        _drop_unwritable_output()
        return 2
    return status if isinstance(status, int) else 0


def _drop_unwritable_output() -> None:
    """Keep the interpreter from failing at its end, when it flushes what it could not write."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
