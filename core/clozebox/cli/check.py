"""`clozebox plugins check`: whether a component is right, property by property."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clozebox.cli.context import open_sandbox
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.testing.verdict import Verdict


@click.command("check")
@click.argument("name")
@click.option("--kind", help="Of several components of that name, the one of this kind.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for programs.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Check it with this setting, such as p=0.3; may be repeated.",
)
@click.pass_context
def check(
    context: click.Context,
    name: str,
    kind: str | None,
    seed: int,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Try component NAME, or all that plugin NAME adds, against the properties of its kind.

    Exit code 1 when one does not hold. Another seed is another text and other draws.
    """
    registry = open_sandbox().registry

    from clozebox.config.overrides import parse_override
    from clozebox.testing.check import check as verdicts_of
    from clozebox.testing.check import components_named, settings_of

    given = {key: value for text in overrides for key, value in parse_override(text).values.items()}
    found = components_named(name, registry, kind)
    told, failed = [], 0
    for each in found:
        try:
            settings = settings_of(each, given)
        except UserError as error:
            if len(found) == 1:
                raise
            click.echo(f"{error}; check it by itself, with --set", err=True)
            continue
        if not as_json:
            click.secho(f"{each.kind} {each.name}", bold=True)
        verdicts = verdicts_of(settings, seed)
        failed += sum(not verdict.passed for verdict in verdicts)
        told += [{"kind": each.kind, "component": each.name, **asdict(one)} for one in verdicts]
        if not as_json:
            _tell_all(verdicts)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        seconds = sum(float(str(one["seconds"])) for one in told)
        click.echo(f"{len(told) - failed} of {len(told)} properties hold ({seconds:.1f} s)")
    context.exit(1 if failed else 0)


def _tell_all(verdicts: Sequence[Verdict]) -> None:
    told: set[str] = set()
    for verdict in verdicts:
        _tell(verdict, again=verdict.seen in told)
        told |= {verdict.seen or ""}


def _tell(verdict: Verdict, again: bool) -> None:
    mark = (
        click.style("  ok   ", fg="green") if verdict.passed else click.style("  FAILS", fg="red")
    )
    click.echo(f"{mark} {verdict.name:<15} {verdict.promise}")
    indent = " " * 8
    if verdict.passed:
        return
    if again:
        click.echo(f"{indent}seen: the same as above")
        return
    click.echo(f"{indent}seen: {verdict.seen}")
    for line in verdict.example.splitlines():
        click.echo(f"{indent}{line}")
    click.echo(f"{indent}usual cause: {verdict.usual_cause}")
