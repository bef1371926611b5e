"""`clozebox finetune`: what a trained run is worth on labelled examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clozebox.cli.enter import enter
from clozebox.cli.finetune_output import SeedProgress, print_notes, print_probes, print_scores
from clozebox.cli.trained_run import open_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clozebox.evaluation.finetuning.controls import Scores
    from clozebox.evaluation.finetuning.prepared import Prepared
    from clozebox.training.setup import Training


@click.command()
@click.argument("run")
@click.argument("task", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting of the task, such as finetuning.lr=5e-5; may be repeated.",
)
@click.option("--probe", is_flag=True, help="Linear probes on frozen features instead.")
@click.option(
    "--layer",
    default="all",
    show_default=True,
    metavar="N|all",
    help="Which layer to probe; 0 is the embedding.",
)
@click.option("--pooling", type=click.Choice(["mean", "cls"]), default="mean", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def finetune(
    run: str,
    task: Path,
    overrides: tuple[str, ...],
    probe: bool,
    layer: str,
    pooling: str,
    as_json: bool,
) -> None:
    """Fine-tune the newest checkpoint of RUN on TASK, a TOML file, once for each of its seeds.

    The same with fresh weights, and a constant answer, are measured beside it. Results are kept in
    RUN/finetune/, and `compare` sees them. Ctrl-C keeps the seeds that are done.
    """
    if not probe and (layer, pooling) != ("all", "mean"):
        raise click.UsageError("--layer and --pooling are for --probe, which is not given.")
    if layer != "all" and not layer.isdecimal():
        raise click.UsageError(f"--layer is a number or all (got {layer}).")
    directory, registry = open_run(run)  # before torch is loaded, which takes its time

    from clozebox.evaluation.finetuning.dataset import load_dataset
    from clozebox.evaluation.finetuning.task import read_task
    from clozebox.evaluation.finetuning.tasks import ready
    from clozebox.training.resume import load_trained
    from clozebox.training.setup import set_up

    def say(text: str) -> None:
        click.echo(text, err=True)

    asked = read_task(task, overrides)
    dataset = load_dataset(asked)  # bad data is refused before anything is made
    training = set_up(directory, registry, say)
    load_trained(training, say)
    prepared = ready(asked, dataset, training.model, training.held_out)
    print_notes(prepared)
    if probe:
        _probe(training, prepared, layer, pooling, as_json)
    else:
        _fine_tune(training, prepared, as_json)


def _fine_tune(training: Training, prepared: Prepared, as_json: bool) -> None:
    from clozebox.evaluation.finetuning.controls import measure
    from clozebox.evaluation.finetuning.results import as_table, fingerprint, from_table
    from clozebox.evaluation.finetuning.tasks import task_metrics
    from clozebox.training.files import write_json

    path = training.run.path / "finetune" / prepared.task.name / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = fingerprint(prepared, training.model, training.numerics.precision)

    def keep(scores: Scores) -> None:
        write_json(path, {"fingerprint": mark, **as_table(prepared, scores)})

    held = json.loads(path.read_text()) if path.exists() else {}
    done = from_table(held) if held.get("fingerprint") == mark else None
    with SeedProgress(prepared.task.name) as progress:
        scores = measure(prepared, training.model, training.numerics, done, keep, progress.watch)
    table = as_table(prepared, scores)
    if as_json:
        click.echo(json.dumps(table))
    else:
        print_scores(prepared, scores, path)
    if enter(training, _named(task_metrics(prepared.task, scores))):
        for other in _measured_otherwise(path, table):
            told = "has scores of other settings or data, beside which `compare` sets these"
            click.echo(f"note: {other} {told}", err=True)


def _measured_otherwise(path: Path, table: Mapping[str, Any]) -> Iterator[str]:
    """The runs of the experiment that were given this task and yet not asked the same.

    ``path`` is the results' own, ``experiment/arm/seed-0/finetune/task/results.json``.
    """
    experiment = path.parents[4]
    for other in sorted(experiment.glob(f"*/*/finetune/{path.parent.name}/results.json")):
        held = json.loads(other.read_text())
        if any(held.get(key) != table[key] for key in ("settings", "data")):
            yield str(other.parents[2].relative_to(experiment))


def _probe(training: Training, prepared: Prepared, layer: str, pooling: Any, as_json: bool) -> None:
    from clozebox.evaluation.finetuning.probe import probe
    from clozebox.evaluation.finetuning.results import probes_as_table
    from clozebox.evaluation.finetuning.tasks import probe_metrics
    from clozebox.training.files import write_json

    cache = Path(training.run.resolved()["cache"])
    number = None if layer == "all" else int(layer)
    probes = probe(prepared, training.model, training.held_out, pooling, number, cache)
    path = training.run.path / "finetune" / prepared.task.name / "probe.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {"pooling": pooling, **probes_as_table(prepared, probes)}
    write_json(path, table)
    if as_json:
        click.echo(json.dumps(table))
    else:
        print_probes(prepared, probes, path)
    enter(training, _named(probe_metrics(prepared.task, probes, pooling, number)))


def _named(metrics: dict[str, float]) -> dict[str, float]:
    return {f"eval/{name}": value for name, value in metrics.items()}
