"""Size presets: BERT's own base and large, and the small ones of Turc et al. (2019)."""

from __future__ import annotations

from clozebox import SizePreset, hookimpl


def _size(name: str, layers: int, hidden: int, heads: int) -> SizePreset:
    return SizePreset(
        name=name, num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads
    )


@hookimpl
def register_size_presets() -> list[SizePreset]:
    return [
        _size("tiny", layers=2, hidden=128, heads=2),
        _size("mini", layers=4, hidden=256, heads=4),
        _size("small", layers=4, hidden=512, heads=8),
        _size("medium", layers=8, hidden=512, heads=8),
        _size("base", layers=12, hidden=768, heads=12),
        _size("large", layers=24, hidden=1024, heads=16),
    ]
