"""The names of BERT's weights, here and in Hugging Face's layout, in both directions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

EMBEDDING = {
    "embedding.token": "bert.embeddings.word_embeddings",
    "embedding.segment": "bert.embeddings.token_type_embeddings",
    "embedding.position": "bert.embeddings.position_embeddings",
    "embedding.norm": "bert.embeddings.LayerNorm",
}
LAYER = {
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
HEADS = {
    "objectives.mlm.head": "cls.predictions",
    "objectives.mlm.head.dense": "cls.predictions.transform.dense",
    "objectives.mlm.head.norm": "cls.predictions.transform.LayerNorm",
    "objectives.nsp.pooler.dense": "bert.pooler.dense",
    "objectives.nsp.classifier": "cls.seq_relationship",
}
UNDERSTOOD = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
"""What Hugging Face's configuration must say, or leave unsaid, of a BERT such as ours."""
QUERY_KEY_VALUE = tuple(f"attention.self.{part}" for part in ("query", "key", "value"))


def to_bert_names(weights: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Our weights -> Hugging Face's; what has no name there is left out."""
    modules = _modules(num_layers)
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        module, _, leaf = name.rpartition(".")
        if module in modules and leaf in ("weight", "bias"):
            found[f"{modules[module]}.{leaf}"] = tensor
    for layer in range(num_layers):
        for leaf in ("weight", "bias"):
            fused = weights.get(f"encoder.layers.{layer}.attention.qkv.{leaf}")
            if fused is not None:
                for part, tensor in zip(QUERY_KEY_VALUE, fused.chunk(3), strict=True):
                    found[f"bert.encoder.layer.{layer}.{part}.{leaf}"] = tensor
    return found


def from_bert_names(weights: Mapping[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Hugging Face's weights, under names as ``canonical`` makes them -> ours."""
    modules = {theirs: ours for ours, theirs in _modules(num_layers).items()}
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        module, _, leaf = name.rpartition(".")
        if module in modules:
            found[f"{modules[module]}.{leaf}"] = tensor
    for layer in range(num_layers):
        for leaf in ("weight", "bias"):
            names = [f"bert.encoder.layer.{layer}.{part}.{leaf}" for part in QUERY_KEY_VALUE]
            if all(name in weights for name in names):
                fused = torch.cat([weights[name] for name in names])
                found[f"encoder.layers.{layer}.attention.qkv.{leaf}"] = fused
    return found


def canonical(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names that BERT files have carried over the years -> today's.

    Older ones lack the prefix ``bert.``, call LayerNorm's vectors gamma and beta, and hold the
    position numbers, or the tied decoder, as if they were weights.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
        name = name.replace("LayerNorm.beta", "LayerNorm.bias")
        if name.startswith(("embeddings.", "encoder.", "pooler.")):
            name = f"bert.{name}"
        if name == "cls.predictions.decoder.bias":
            name = "cls.predictions.bias"
        if name != "bert.embeddings.position_ids":
            found[name] = tensor
    return found


def _modules(num_layers: int) -> dict[str, str]:
    """Our module -> theirs, where one tensor here is one tensor there."""
    layers = {
        f"encoder.layers.{layer}.{ours}": f"bert.encoder.layer.{layer}.{theirs}"
        for layer in range(num_layers)
        for ours, theirs in LAYER.items()
    }
    return EMBEDDING | layers | HEADS
