"""`clozebox prepare`: make the tokenizers and token stores of an experiment."""

from __future__ import annotations

import time
from pathlib import Path

import click

from clozebox.cli.context import open_sandbox, set_option


@click.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@set_option
def prepare(experiment: Path, overrides: tuple[str, ...]) -> None:
    """Train the tokenizers of EXPERIMENT and tokenise its corpora, once for all arms and seeds.

    Training does this by itself; beforehand it is useful on a machine without a GPU, or to see the
    counts.
    """
    from clozebox.config import load_experiment
    from clozebox.data import prepare as prepare_store

    sandbox, registry = open_sandbox()
    arms = load_experiment(experiment, registry, overrides, sandbox).arms
    for data in dict.fromkeys(arm.data for arm in arms):
        started = time.perf_counter()
        store = prepare_store(data.corpus, data.tokenizer, sandbox.cache, say=click.echo)
        click.echo(
            f"{data.corpus.name}: {store.num_documents:,} documents, "
            f"{store.num_sentences:,} sentences, {store.num_tokens:,} tokens of a vocabulary of "
            f"{store.vocabulary.size:,}, in {time.perf_counter() - started:.1f} s\n  {store.path}"
        )
