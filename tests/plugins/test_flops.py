"""What a training step is said to cost is what torch counts, backward and heads included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox.config import arm_of
from clozebox.data import Rows, Vocabulary
from clozebox.model import FORWARD_AND_BACKWARD
from clozebox.pretraining import Batch, PretrainingModel
from clozebox.pretraining.passes import encoder_flops, everyone, forward, passes_of, targets_of
from clozebox.registry import Registry
from clozebox.training.console import Console
from clozebox.training.setup import set_up, survey_costs
from clozebox.training.step import train_step

CHOICES = {
    "mlm": ["mlm"],
    "nsp": ["nsp"],
    "mlm+nsp": ["mlm", "nsp"],
    "mlm+sop": ["mlm", "sop"],
    "ar_forward": ["ar_forward"],
    "ar_backward": ["ar_backward"],
    "both": ["ar_forward", "ar_backward"],
    "prefix_lm": ["prefix_lm"],
    "mntp": ["mntp"],
    "mlm+sbo": ["mlm", "sbo"],
    "rtd": ["rtd"],
    "electric": ["electric"],
}
ROWS, LENGTH = 2, 128
BERT = Vocabulary(30_522, 0, 100, 101, 102, 103, special_ids=(0, 100, 101, 102, 103))
PRESETS = ["tiny", "mini", "small", "medium", "base", "large"]


@contextmanager
def counted(model: PretrainingModel) -> Iterator[FlopCounterMode]:
    """What torch counts, attention dense and over padding too, as the formula does."""
    for module in model.modules():
        if hasattr(module, "leaves_out_unread"):
            module.leaves_out_unread = False
    # A fused kernel of a CPU is not in torch's table, and would count as nothing.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_a_step_costs_what_torch_counts(
    make_run: Callable[..., Any], registry: Registry, choice: list[str]
) -> None:
    if not set(choice) <= set(registry.names("objective")):
        pytest.skip("its plugin was taken out")
    needs_masking = any(registry.get("objective", name).needs_masking for name in choice)
    run = make_run(
        objectives=choice,
        encoder="bert",
        masking={"name": "toy", "rate": 0.3} if needs_masking else "none",
        speed={"micro_batch_size": 4},
    )
    training = set_up(run, registry, Console().say)
    with counted(training.model) as counter:
        sums = train_step(training, training.model.each_objective(), training.batches(0))
    assert sums.flops.item() == counter.get_total_flops()
    assert survey_costs(training).flops == pytest.approx(sums.flops.item(), rel=0.05)


@pytest.mark.parametrize("size", PRESETS)
def test_a_step_of_bert_costs_what_torch_counts(registry: Registry, size: str) -> None:
    """On tensors without numbers, where large costs no memory; a fixed number of tokens is
    predicted there, as on a GPU."""
    settings = {
        "size": size,
        "embedding": "bert",
        "encoder": "bert",
        "corpus": "toy",
        "masking": {"name": "toy", "rate": 0.15},
        "objectives": ["mlm", "nsp"],
        "budget": {"steps": 1},
    }
    arm = arm_of(size, settings, registry)
    with torch.device("meta"):
        model = PretrainingModel(arm, BERT)
    batch = pairs(arm.masking.build(SimpleNamespace(vocabulary=BERT)))  # type: ignore[union-attr, arg-type]
    with counted(model) as counter:
        [one] = passes_of(model, batch)
        terms = forward(model, one)
        torch.stack([term.loss for term in terms.values()]).sum().backward()
    targets = targets_of(everyone(model, batch))
    predicted = {"mlm": ROWS * (one.view.max_targets or LENGTH), "nsp": ROWS}
    heads = sum(number * targets[name].flops_each for name, number in predicted.items())
    assert predicted["mlm"] < ROWS * LENGTH / 4
    stated = FORWARD_AND_BACKWARD * (encoder_flops(model, [one]) + heads)
    assert stated == counter.get_total_flops()


def pairs(masking: Any) -> Batch:
    """[CLS] A [SEP] B [SEP] without padding."""
    ids = np.full((ROWS, LENGTH), 2_000)
    ids[:, 0] = BERT.cls_id
    ids[:, [LENGTH // 2, -1]] = BERT.sep_id
    rows = Rows(
        input_ids=ids,
        token_type_ids=(np.arange(LENGTH) > LENGTH // 2).astype(np.int64) + 0 * ids,
        attention_mask=np.ones_like(ids, dtype=bool),
        special_tokens_mask=ids < 2_000,
        pair_label=np.zeros(ROWS, dtype=np.int64),
    )
    return Batch.of(rows, BERT, masking, seed=0, first=0, device=torch.device("meta"))
