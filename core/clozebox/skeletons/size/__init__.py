"""A size between tiny and mini."""

from __future__ import annotations

from clozebox import SizePreset, hookimpl


@hookimpl
def register_size_presets() -> list[SizePreset]:
    """Your idea goes here; the feed-forward layer is 4 times as wide unless told otherwise."""
    return [
        SizePreset(
            name="skeleton",
            num_hidden_layers=3,
            hidden_size=192,
            num_attention_heads=3,
        )
    ]
