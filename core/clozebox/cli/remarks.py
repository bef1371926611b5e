"""What is to be known of an experiment before it is run: said on stderr, or in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clozebox.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clozebox.config import Reading
    from clozebox.config.lint import Remark


def print_warnings(reading: Reading) -> list[Remark]:
    """Say what may not mean what it seems to; every remark, errors too, for `raise_errors`."""
    from clozebox.config.lint import lint

    remarks = lint(reading)
    for remark in remarks:
        if remark.level == "warning":
            click.echo(f"warning: {remark}", err=True)
    return remarks


def raise_errors(remarks: Iterable[Remark]) -> None:
    """Raises `UserError` with the remarks on what cannot mean anything."""
    errors = [str(remark) for remark in remarks if remark.level == "error"]
    if errors:
        raise UserError("\n".join(errors))
