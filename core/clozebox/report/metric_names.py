"""What the name of a metric says: which way it points, and what it is counted in."""

from __future__ import annotations

CONTROLS = ("_random", "_majority")
"""Endings of what a yardstick measures beside the model, of fresh weights or a constant answer."""
UNITS = {
    "nats": ("loss", "nats", "excess"),
    "points": (
        *("accuracy", "f1", "match", "precision", "recall", "score", "auc"),
        *("correlation", "matthews", "pearson", "spearman"),
    ),
    "": ("perplexity", "error", "bits", "mse"),
}
RISING = UNITS["points"]


def falls(name: str) -> bool | None:
    """True where lower is better, False where higher is; None where the name does not say."""
    word = _last_word(name)
    if word in RISING:
        return False
    return True if any(word in words for words in UNITS.values()) else None


def unit(name: str) -> str:
    """``nats``, ``points`` (hundredths) or nothing."""
    return next((kind for kind, words in UNITS.items() if _last_word(name) in words), "")


def _last_word(name: str) -> str:
    for control in CONTROLS:
        name = name.removesuffix(control)
    return name.split("/")[-1].split("_")[-1]
