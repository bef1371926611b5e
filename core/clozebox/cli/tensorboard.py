"""``clozebox tensorboard``: look at runs while they train."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from socket import gethostname
from threading import Event, Thread

import click

REFRESH = 10.0
"""Seconds between two looks for what runs have written."""


@click.command()
@click.argument("experiment", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True)
@click.option(
    "--bands/--no-bands",
    default=True,
    help="Mean and band over the seeds of each arm, as one more run 'all-seeds' beside them.",
)
def tensorboard(experiment: str | None, port: int, bands: bool) -> None:
    """Serve TensorBoard on this machine alone, for EXPERIMENT or for every run."""
    from clozebox.cli.experiment_folder import experiment_folder, runs_folder

    folder = experiment_folder(experiment) if experiment else runs_folder()
    stop, refresh = Event(), _bands_of(folder) if bands else None
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    writer = Thread(target=_keep_bands, args=(refresh, stop))
    if refresh is not None:
        writer.start()
    try:
        said = _wait_for_url(server)
        if server.wait() != 0:
            raise click.ClickException(f"TensorBoard stopped:\n{said}")
    except KeyboardInterrupt:
        click.echo("stopped")
    finally:
        stop.set()
        if writer.is_alive():
            writer.join()
        if server.poll() is None:
            server.terminate()
            server.wait()


def _bands_of(folder: Path) -> Callable[[], object] | None:
    """What brings the bands up to date, once done; None where nothing can be written."""
    from clozebox.report.seed_bands import SeedBands

    bands = SeedBands(folder)
    try:
        bands.refresh()  # before the server reads any: it may replace those of another time
    except OSError as error:
        click.echo(f"no bands over seeds: {error}", err=True)
        return None
    return bands.refresh


def _keep_bands(refresh: Callable[[], object], stop: Event) -> None:
    while not stop.wait(REFRESH):
        try:
            refresh()
        except OSError as error:
            click.echo(f"no more bands over seeds: {error}", err=True)
            return


def _wait_for_url(server: subprocess.Popen[str]) -> str:
    """Print where the server listens as soon as it says so; return all that it said."""
    said = []
    assert server.stderr is not None
    for line in server.stderr:
        said.append(line)
        if " at http://" in line:
            url = line.split(" at ")[1].split()[0]
            port = url.rstrip("/").rsplit(":", 1)[1]
            click.echo(f"TensorBoard: {url}  (Ctrl-C stops it)")
            click.echo(
                f"from another machine: ssh -L {port}:127.0.0.1:{port} {getuser()}@{gethostname()}"
            )
    return "".join(said)
