"""An experiment that has been run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.report.synthetic import write_run


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """masked (baseline), tied with whole_word; forward is clearly worse; one seed diverged."""
    folder = tmp_path / "objective"
    drop = (4.0, 1.3, 0.4, 0.0)
    for seed in range(5):
        base = 3.2 + 0.05 * seed
        other = {"accuracy": [0.1, 0.2, 0.3, 0.41 - 0.01 * seed]}
        settings = {"objectives": ["mlm"], "masking": {"name": "token", "rate": 0.15}}
        write_run(folder, "masked", seed, [base + d for d in drop], settings=settings, **other)
        near = base + (0.02 if seed % 2 else -0.015)
        settings = {"objectives": ["mlm"], "masking": {"name": "whole_word", "rate": 0.15}}
        write_run(
            folder,
            "whole_word",
            seed,
            [near + d for d in drop],
            index=1,
            settings=settings,
            **other,
        )
        worse = base + 0.4 + 0.01 * (seed - 2)
        settings = {"objectives": ["ar_forward"], "masking": {"name": "none"}}
        write_run(folder, "forward", seed, [worse + d for d in drop], index=2, settings=settings)
    write_run(folder, "forward", 5, [8.1], index=2, state="diverged", reason="the loss is nan")
    return folder
