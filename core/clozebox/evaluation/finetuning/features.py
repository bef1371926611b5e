"""Frozen features: what each layer makes of the examples of a task, kept on disk.

n examples or words, T tokens, D hidden size, L layers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from clozebox.data.atomic_folder import atomic_folder, locked
from clozebox.evaluation.finetuning.encoding import Inputs
from clozebox.evaluation.finetuning.loop import by_length
from clozebox.evaluation.finetuning.prepared import Prepared
from clozebox.evaluation.held_out import HeldOut, Precision
from clozebox.model import Attention, AttentionKind, Encoder
from clozebox.pretraining import IGNORE_INDEX, PretrainingModel

Pooling = Literal["mean", "cls"]
FORMAT = 1
"""Raise it when features come out differently: kept ones are then left alone."""


@dataclass(frozen=True, eq=False)
class Reader:
    """An embedding and an encoder of its own, and how they look at a sequence."""

    parts: nn.ModuleDict
    """``embedding`` and ``encoder``."""
    architecture: str
    """The same weights in another arrangement, such as more heads, are another model."""
    reading: AttentionKind
    pooling: Pooling
    numerics: Precision

    def features(self, prepared: Prepared, cache: Path | None) -> dict[str, Tensor]:
        """(L + 1, n, D) of each split, from the cache, or computed and put there."""
        if cache is None:
            return self._computed(prepared)
        target = cache / "features" / self._fingerprint(prepared)[:32]
        with locked(target):
            if not target.exists():
                with atomic_folder(target) as partial:
                    save_file(self._computed(prepared), partial / "features.safetensors")
        return load_file(target / "features.safetensors")

    def _computed(self, prepared: Prepared) -> dict[str, Tensor]:
        self.parts.eval()
        with torch.no_grad(), self.numerics.autocast():
            return {split: self._of_split(prepared, split) for split in prepared.features}

    def _of_split(self, prepared: Prepared, split: str) -> Tensor:
        features = prepared.features[split]
        found: list[Tensor] = [torch.empty(0)] * len(features)
        for places in by_length(features, prepared.task.settings.finetuning.batch_size):
            batch = [features[place] for place in places]
            inputs = prepared.tokens.collate(batch, self.numerics.device)
            for place, vectors in zip(places, self._vectors(inputs), strict=True):
                found[place] = vectors
        return torch.cat(found, dim=1).contiguous()  # (L + 1, n, D)

    def _vectors(self, inputs: Inputs) -> Iterator[Tensor]:
        """For each of B sequences (L + 1, 1, D), or (L + 1, words, D) where words are tagged."""
        encoder = self.parts["encoder"]
        assert isinstance(encoder, Encoder)
        embedded = self.parts["embedding"](inputs.input_ids, inputs.token_type_ids)  # (B, T, D)
        attention = Attention(inputs.attention_mask, self.reading)
        states = torch.stack(encoder.hidden_states(embedded, attention))  # (L + 1, B, T, D)
        states = states.float()
        if inputs.targets.ndim == 2:
            wanted = inputs.targets != IGNORE_INDEX  # (B, T)
        elif self.pooling == "mean":
            real = inputs.attention_mask[None, :, :, None]  # (1, B, T, 1)
            states = (states * real).sum(2, keepdim=True) / real.sum(2, keepdim=True)
            wanted = inputs.targets.new_ones(len(inputs.targets), 1, dtype=torch.bool)  # (B, 1)
        else:
            wanted = torch.zeros_like(inputs.attention_mask)
            wanted[:, 0] = True
        for row, chosen in enumerate(wanted):
            yield states[:, row, chosen].cpu()

    def _fingerprint(self, prepared: Prepared) -> str:
        """SHA-256 of all that the features are made of."""
        about = (
            f"{FORMAT}/{self.architecture}/{self.reading}/{self.pooling}/{self.numerics.precision}"
            f"/{prepared.fingerprint()}/{weights_fingerprint(self.parts)}"
        )
        return hashlib.sha256(about.encode()).hexdigest()


def architecture(model: PretrainingModel) -> str:
    """What the embedding and the encoder of a model are, but for their weights."""
    built = (model.settings.embedding, model.settings.encoder)
    told = [f"{one.name}{one.model_dump_json()}" for one in built]
    return "/".join([*told, model.shape.model_dump_json()])


def weights_fingerprint(module: nn.Module) -> str:
    """SHA-256 of every tensor, with its name."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def own_reading(model: PretrainingModel, held_out: HeldOut) -> AttentionKind:
    """The side from which a model has learned to read; both, unless it reads one side alone."""
    [batch, *_] = held_out.batches(1, own=True)
    kinds = {objective.view(batch).attention.kind for objective in model.speakers()}
    return kinds.pop() if kinds in ({"causal"}, {"anticausal"}) else "bidirectional"
