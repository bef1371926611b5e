"""Where a run computes, and in what precision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from clozebox.config.settings import Speed
from clozebox.errors import UserError
from clozebox.training import device

MATMUL = torch.backends.mkldnn.matmul


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = MATMUL.fp32_precision
    MATMUL.fp32_precision = "none"
    yield
    MATMUL.fp32_precision = before


def test_the_faster_product_is_kept_only_where_it_is_as_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "product_error", lambda: 6e-7)
    device.choose_matmul()
    assert MATMUL.fp32_precision == "bf16"
    MATMUL.fp32_precision = "none"
    monkeypatch.setattr(device, "product_error", lambda: 3e-3)
    device.choose_matmul()
    assert MATMUL.fp32_precision == "none"


def test_the_faster_product_can_be_refused() -> None:
    MATMUL.fp32_precision = "bf16"
    device.choose_matmul("torch")
    assert MATMUL.fp32_precision == "none"


def test_what_is_computed_on_this_machine_is_fp32_either_way() -> None:
    device.choose_matmul()
    assert device.product_error() < device.FP32_PRODUCT_ERROR


def test_the_probe_tells_bf16_from_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.Tensor.__matmul__

    def rounded(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if left.dtype == torch.float64:
            return original(left, right)
        return original(left.bfloat16().float(), right.bfloat16().float())

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert device.product_error() > 100 * device.FP32_PRODUCT_ERROR


def test_a_device_that_is_not_here_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"speed\.device = 'toaster'"):
        device.numerics_of(Speed(device="toaster"), "fp32")


def test_bf16_is_refused_where_it_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_bf16", lambda _: False)
    with pytest.raises(UserError, match="has no bf16"):
        device.numerics_of(Speed(device="cpu"), "bf16")


def test_bf16_takes_products_in_bf16_and_keeps_the_weights_in_fp32() -> None:
    numerics = device.Numerics(torch.device("cpu"), "bf16")
    layer = torch.nn.Linear(5, 3)
    with numerics.autocast():
        assert layer(torch.ones(2, 5)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32
