"""Vectors on disk: NumPy's own format with what each row is, and TensorBoard's projector."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clozebox.evaluation.embeddings import Spot, Vectors


def write_npy(path: Path, vectors: Vectors, about: dict[str, Any], spots: Sequence[Spot]) -> Path:
    """Vectors (R, L, D) as ``path``, (R, D) where there is one layer, and a ``.json`` beside it.

    Returns the path of the JSON, which says what each row is.
    """
    import numpy as np

    from clozebox.training.files import write_atomically, write_json

    buffer = io.BytesIO()
    np.save(buffer, vectors[:, 0] if vectors.shape[1] == 1 else vectors)
    write_atomically(path, buffer.getvalue())
    described = path.with_suffix(".json")
    write_json(described, {**about, "rows": [_described(spot) for spot in spots]})
    return described


def write_projector(
    folder: Path, vectors: Vectors, layers: Sequence[int], spots: Sequence[Spot]
) -> None:
    """Vectors (R, L, D) as TensorBoard's projector reads them, each layer a tensor to choose.

    ``tensorboard --logdir folder`` shows them.
    """
    from clozebox.training.files import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for place, layer in enumerate(layers):
        file = "tensors.tsv" if len(layers) == 1 else f"tensors-{layer}.tsv"
        lines = ("\t".join(f"{number:.8g}" for number in row) for row in vectors[:, place])
        write_atomically(folder / file, _text(lines))
        entries.append(
            "embeddings {\n"
            f'  tensor_name: "layer {layer}"\n'
            f'  tensor_path: "{file}"\n'
            '  metadata_path: "metadata.tsv"\n'
            "}"
        )
    # More than one column: the first line is taken for their names.
    rows = [["label", "number", "text"]]
    rows += [[spot.label, str(spot.text.number), spot.text.text] for spot in spots]
    lines = ("\t".join(" ".join(cell.split()) for cell in row) for row in rows)
    write_atomically(folder / "metadata.tsv", _text(lines))
    # Last: without it TensorBoard takes the folder for empty, and never shows half of one.
    write_atomically(folder / "projector_config.pbtxt", _text(entries))


def _text(lines: Any) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _described(spot: Spot) -> dict[str, Any]:
    text = spot.text
    return {
        "label": spot.label,
        "number": text.number,
        "text": text.text,
        "tokens": [text.tokens[column] for column in spot.columns],
        "spans": [text.spans[column] for column in spot.columns],
    }
