"""``clozebox tensorboard``: look at runs while they train."""

from __future__ import annotations

import subprocess
import sys
from getpass import getuser
from socket import gethostname

import click


@click.command()
@click.argument("experiment", required=False)
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True)
def tensorboard(experiment: str | None, port: int) -> None:
    """Serve TensorBoard on this machine alone, for EXPERIMENT or for every run."""
    from clozebox.cli.experiment_folder import experiment_folder, runs_folder

    folder = experiment_folder(experiment) if experiment else runs_folder()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        said = _wait_for_url(server)
        if server.wait() != 0:
            raise click.ClickException(f"TensorBoard stopped:\n{said}")
    except KeyboardInterrupt:
        click.echo("stopped")
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()


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
