"""`clozebox embed`: contextual vectors of a trained run, and a word compared across sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from clozebox.cli.table import print_table
from clozebox.cli.trained_run import open_run
from clozebox.errors import UserError

if TYPE_CHECKING:
    from clozebox.evaluation.embeddings import Pool, Spot, Vectors
    from clozebox.model import AttentionKind
    from clozebox.training.setup import Training

READINGS = {
    "bidirectional": "from both sides",
    "causal": "from the left",
    "anticausal": "from the right",
}


@click.command()
@click.argument("run")
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Texts too, one a line; empty lines are left out.",
)
@click.option(
    "--layer",
    metavar="N|all|last",
    help="0 is what the embedding gives.  [default: last; with --word: all]",
)
@click.option(
    "--pool",
    type=click.Choice(["token", "cls", "mean"]),
    help="A row for each token, for each text its [CLS], or the mean of its tokens.  "
    "[default: mean]",
)
@click.option("--word", help="Compare this word, the mean of its pieces, across the texts.")
@click.option("--out", type=click.Path(path_type=Path), help="Write .npy, and .json for its rows.")
@click.option(
    "--projector", type=click.Path(path_type=Path), help="Write a folder for TensorBoard."
)
def embed(
    run: str,
    texts: tuple[str, ...],
    file: Path | None,
    layer: str | None,
    pool: Pool | None,
    word: str | None,
    out: Path | None,
    projector: Path | None,
) -> None:
    """Contextual vectors of TEXTs, by the newest checkpoint of RUN.

    A text is read as the run learned to read: from both sides if any of its objectives does, else
    from the one side of its first. [CLS] and [SEP] stand around it, and count in no mean.

    clozebox embed mask_rate/token-15/seed-0 --word python
    "He got bit by Python" "Python is my favorite programming language"
    """
    if word is not None and pool is not None:
        raise click.UsageError("--word and --pool: the rows are the word's, or the pool's.")
    given = [*texts, *(_lines(file) if file else [])]
    if not given:
        raise click.UsageError("Give a TEXT, or --file.")
    if out is not None and out.suffix != ".npy":
        raise UserError(f"--out {out}: the file must be named .npy; its rows go into a .json")
    directory, registry = open_run(run)  # before torch is loaded, which takes its time

    from clozebox.cli.embedding_files import write_npy, write_projector
    from clozebox.training.resume import load_trained
    from clozebox.training.setup import set_up

    training = set_up(directory, registry, _say)
    about = {"run": str(directory.path), "step": load_trained(training, _say)}
    made = _made(training, given, layer, pool or "mean", word)
    click.echo(f"{directory.path}, step {about['step']}, read {READINGS[made.reading]}")
    if word is None:
        _print_rows(made)
    else:
        _print_similarities(made, word)
    if out is not None:
        told = {**about, "reading": made.reading, "layers": made.layers}
        rows = write_npy(out, made.vectors, told, made.spots)
        _say(f"{out}: vectors of {len(made.spots)} rows; {rows}: what they are")
    if projector is not None:
        write_projector(projector, made.vectors, made.layers, made.spots)
        _say(f"{projector}: see it with tensorboard --logdir {projector}")


class Made(NamedTuple):
    """Rows (R), and their vectors (R, L, D)."""

    spots: list[Spot]
    layers: list[int]
    reading: AttentionKind
    vectors: Vectors


def _made(
    training: Training, given: Sequence[str], layer: str | None, pool: Pool, word: str | None
) -> Made:
    import numpy as np

    from clozebox.evaluation.embeddings import embed, occurrences, pooled, reading_of, texts_of

    model, store = training.model, training.store
    layers = _layers(layer or ("last" if word is None else "all"), model.shape.num_hidden_layers)
    texts = texts_of(store, given, model.shape.max_position_embeddings)
    if word is None:
        spots = [spot for text in texts for spot in pooled(text, pool, store)]
    else:
        spots = occurrences(texts, word, store)
    reading = reading_of(model, training.batches(0)[0].take(np.arange(1)))
    if pool == "cls" and reading == "causal":
        _say("note: read from the left, [CLS] sees no other token: it is the same in every text")
    for spot in spots if word is not None else ():
        if any(spot.text.tokens[column] == "[UNK]" for column in spot.columns):
            _say(f"note: in text {spot.text.number}, {word!r} is not in the vocabulary: [UNK]")
    vectors = embed(model, spots, layers, reading, training.numerics.device)
    return Made(spots, layers, reading, vectors)


def _layers(asked: str, last: int) -> list[int]:
    if asked == "all":
        return list(range(last + 1))
    if asked == "last":
        return [last]
    if asked.isdecimal() and int(asked) <= last:
        return [int(asked)]
    raise UserError(f"--layer {asked}: it is all, last, or 0 (the embedding) to {last}")


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{number}: not UTF-8; convert the file, as with iconv") from error
    return [line for line in lines if line.strip()]


def _print_rows(made: Made) -> None:
    """Each row by its label and the beginning of its vector at the last of the layers."""
    shown = min(made.vectors.shape[-1], 5)
    rows = [
        [str(spot.text.number), spot.label[:40], "  ".join(f"{x:7.3f}" for x in vector[:shown])]
        for spot, vector in zip(made.spots, made.vectors[:, -1], strict=True)
    ]
    size = made.vectors.shape[-1]
    title = f"layer {made.layers[-1]}, the first {shown} of {size} numbers (--out: all)"
    print_table(["text", "row", title], rows)


def _print_similarities(made: Made, word: str) -> None:
    """The cosine similarity of the word's vectors, a row for each pair and a column a layer."""
    from clozebox.evaluation.embeddings import cosines

    for spot in made.spots:
        pieces = " ".join(spot.text.tokens[column] for column in spot.columns)
        click.echo(f"  {spot.label}  {spot.text.text}  ({pieces})")
    if len(made.spots) < 2:
        _say("note: it stands in one place only; give another text to compare it with")
        return
    click.echo(f"cosine similarity of {word!r}, layer by layer; 0 is what the embedding gives")
    similar = cosines(made.vectors)  # (R, R, L)
    rows = [
        [f"{one.label} - {other.label}", *(f"{value:6.3f}" for value in similar[i, j])]
        for j, other in enumerate(made.spots)
        for i, one in enumerate(made.spots[:j])
    ]
    print_table(["pair", *(f"{layer:6}" for layer in made.layers)], rows)


def _say(told: str) -> None:
    click.echo(told, err=True)
