"""Numbers as people read them: as many digits as the uncertainty deserves."""

from __future__ import annotations

import math

from clozebox.report.statistics import Estimate, Interval

MISSING = "-"
ROUNDING = 1e-12
"""Below this an uncertainty is what adding floats leaves behind."""


def decimals(uncertainty: float | None) -> int:
    """Decimal places that show two significant digits of an uncertainty; 4 when none is known."""
    if not uncertainty or not ROUNDING < uncertainty < math.inf:
        return 4
    return min(6, max(0, 1 - math.floor(math.log10(uncertainty))))


def places(found: Estimate | None) -> int:
    return decimals(None if found is None else found.half_width)


def mean_text(found: Estimate | None) -> str:
    return MISSING if found is None else f"{found.mean:.{places(found)}f}"


def half_width_text(found: Estimate | None) -> str:
    if found is None or found.half_width is None:
        return MISSING
    return f"{found.half_width:.{places(found)}f}"


def std_text(found: Estimate | None) -> str:
    if found is None or found.std is None:
        return MISSING
    return f"{found.std:.{places(found)}f}"


def difference_text(found: Estimate | None) -> str:
    """Signed, so that +0.4 cannot be read as a level."""
    return MISSING if found is None else f"{found.mean:+.{places(found)}f}"


def interval_text(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return MISSING
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def p_text(p: float | None) -> str:
    if p is None:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def count_text(value: float | None) -> str:
    """1234567 -> 1.23M."""
    if value is None:
        return MISSING
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


def duration_text(seconds: float | None) -> str:
    """5025 -> 1 h 23 min."""
    if seconds is None:
        return MISSING
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.0f} d"


def cost_text(cost: str, value: float | None) -> str:
    """Steps to the last digit, tokens as a count, flops in powers of ten, seconds as a duration."""
    if value is None:
        return MISSING
    if cost == "steps":
        return f"{value:,.0f}"
    if cost == "flops":
        return f"{value:.2e}".replace("e+", "e")
    return duration_text(value) if cost == "seconds" else count_text(value)


def power_text(value: float) -> str:
    """A power of ten: 1e12."""
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
