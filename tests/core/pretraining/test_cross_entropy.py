"""The summed cross-entropy is torch's own, in value, gradient and hits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from clozebox.pretraining.cross_entropy import cross_entropy


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(2, 40), st.floats(0.01, 60))
def test_it_is_that_of_torch(seed: int, targets: int, classes: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(targets, classes, generator=generator)
    labels = torch.randint(0, classes, (targets,), generator=generator)
    labels[::3] = -100
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = cross_entropy(ours, labels, -100)
    wanted = F.cross_entropy(theirs, labels, ignore_index=-100, reduction="sum")
    torch.testing.assert_close(found.loss, wanted, rtol=1e-5, atol=1e-4)
    assert found.hits == (logits.argmax(1) == labels).sum()
    (3 * found.loss).backward()
    (3 * wanted).backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_a_hopeless_answer_costs_what_it_costs() -> None:
    """Far beyond the smallest probability that a float can hold."""
    logits = torch.tensor([[0.0, 500.0, 499.0]])
    found = cross_entropy(logits, torch.tensor([0]), -100)
    assert found.loss.item() == pytest.approx(500.0 + torch.tensor(-1.0).exp().log1p().item())


def test_a_number_that_is_none_is_not_hidden() -> None:
    """The loop stops a run whose loss is not finite; so it must stay visible."""
    assert not cross_entropy(
        torch.tensor([[0.0, torch.nan]]), torch.tensor([0]), -100
    ).loss.isfinite()


def test_bf16_logits_are_summed_in_fp32() -> None:
    logits = torch.randn(2000, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.arange(2000) % 300
    given = logits.clone().requires_grad_()
    found = cross_entropy(given, labels, -100)
    wanted = F.cross_entropy(logits.double(), labels, reduction="sum")
    assert found.loss.dtype == torch.float32
    assert found.loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    found.loss.backward()
    assert given.grad is not None and given.grad.dtype == torch.bfloat16
