"""What the doctor says of this machine is what a run would choose."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clozebox.cli.machine import findings
from clozebox.training import device, switches

CPU = torch.device("cpu")


def test_it_says_what_a_run_would_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(work: Any, numerics: Any, kernels: Any) -> dict[str, float]:
        return dict(zip(kernels, (0.002, 0.001), strict=True))

    monkeypatch.setattr(switches, "measure", measured)
    monkeypatch.setattr(device, "bf16_fault", lambda _: None)
    monkeypatch.setattr(device, "bf16_time", lambda _: 0.5)
    found = list(findings(CPU))
    told = [text for name, text in found if name == "attention"]
    assert [name for name, _ in found][:3] == ["fp32", "memory", "bf16"]
    assert ("bf16", "2.0 times the speed of fp32") in found
    assert "fp32, dropout 0.1: products" in told
    assert "bf16, dropout 0: torch (products 2.0 ms, torch 1.0 ms)" in told


def test_without_bf16_it_says_why_and_times_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "measure", lambda work, numerics, kernels: {kernels[0]: 0.001})
    monkeypatch.setattr(device, "has_bf16", lambda _: False)
    found = list(findings(CPU))
    assert any(name == "bf16" and text.startswith("has no bf16") for name, text in found)
    assert not any(text.startswith("bf16,") for _, text in found)
