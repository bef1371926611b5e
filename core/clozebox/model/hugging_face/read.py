"""Reading a BERT folder in Hugging Face's layout, without their library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.errors import UserError
from clozebox.model.embedding import BertEmbedding
from clozebox.model.encoder import BertEncoder
from clozebox.model.heads import Pooler, TokenHead
from clozebox.model.hugging_face.names import (
    UNDERSTOOD,
    canonical,
    from_bert_names,
    to_bert_names,
)

WORD_TABLE = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


@dataclass(frozen=True, eq=False)
class Imported:
    """A BERT folder in this sandbox's own words."""

    shape: ModelShape
    weights: dict[str, Tensor]
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    layer_norm_eps: float


def read_folder(folder: Path) -> Imported:
    """Read a BERT folder: its shape, and its weights under this sandbox's names.

    Raises:
        UserError: no such folder, a variant of BERT that is not ours, or weights that do not fit.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        found = canonical(load_file(folder / "model.safetensors"))
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{folder} is not a BERT folder (config.json and model.safetensors): {error}"
        ) from None
    for key, ours in UNDERSTOOD.items():
        if config.get(key, ours) != ours:
            raise UserError(
                f"{folder}/config.json: {key} is {config[key]!r}; only {ours!r} is understood"
            )
    shape = _shape(folder, config)
    _drop_tied_decoder(folder, found)
    weights = from_bert_names(found, shape.num_hidden_layers)
    _require_all(folder, found, weights, shape)
    return Imported(
        shape=shape,
        weights=weights,
        hidden_dropout_prob=config.get("hidden_dropout_prob", 0.1),
        attention_probs_dropout_prob=config.get("attention_probs_dropout_prob", 0.1),
        layer_norm_eps=config.get("layer_norm_eps", 1e-12),
    )


def _shape(folder: Path, config: Mapping[str, Any]) -> ModelShape:
    try:
        return ModelShape(**{key: config[key] for key in ModelShape.model_fields if key in config})
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        raise UserError(f"{folder}/config.json: {problems}") from None


def _drop_tied_decoder(folder: Path, found: dict[str, Tensor]) -> None:
    """The decoder is the token table; a file may hold it a second time."""
    decoder = found.pop(DECODER, None)
    if decoder is not None and not torch.equal(decoder, found.get(WORD_TABLE, decoder)):
        raise UserError(f"{folder}: the decoder is not tied to the word embeddings, as it is here")


def _require_all(
    folder: Path, found: Mapping[str, Tensor], weights: Mapping[str, Tensor], shape: ModelShape
) -> None:
    """Nothing missing, nothing unknown, every shape right."""
    problems = []
    for part, module in _parts(shape):
        held = {name for name in weights if name.startswith(f"{part}.")}
        if not held and part.startswith("objectives."):
            continue  # a BertModel has no heads
        for leaf, parameter in module.named_parameters():
            name = f"{part}.{leaf}"
            if name not in held:
                problems.append(f"{name} is missing")
            elif weights[name].shape != parameter.shape:
                sizes = tuple(weights[name].shape), tuple(parameter.shape)
                problems.append(f"{name} is {sizes[0]}, not {sizes[1]}")
    unknown = found.keys() - to_bert_names(weights, shape.num_hidden_layers).keys()
    problems += [f"{name} has no place in BERT" for name in sorted(unknown)]
    if problems:
        raise UserError(f"{folder}/model.safetensors does not fit:\n  " + "\n  ".join(problems))


def _parts(shape: ModelShape) -> Iterator[tuple[str, nn.Module]]:
    """Everything that a folder can hold, under our names, without memory."""
    with torch.device("meta"):
        embedding = BertEmbedding(shape)
        yield "embedding", embedding
        yield "encoder", BertEncoder(shape)
        head = TokenHead(shape, embedding.token_table)
        del head.token_table  # the embedding's
        yield "objectives.mlm.head", head
        yield "objectives.nsp.pooler", Pooler(shape)
        yield "objectives.nsp.classifier", nn.Linear(shape.hidden_size, 2)
