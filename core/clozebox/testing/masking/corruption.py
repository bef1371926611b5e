"""What becomes of the chosen tokens, and of the others. B sequences, T tokens."""

from __future__ import annotations

from dataclasses import replace

import torch

from clozebox.pretraining import IGNORE_INDEX, Batch
from clozebox.testing.bench import Bench
from clozebox.testing.chance import is_off
from clozebox.testing.masking.case import RATES, Masking, chosen_by
from clozebox.testing.verdict import Violation

SPLITS = ((0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.3, 0.3))


def special_tokens_are_left_alone(masking: Masking) -> None:
    for bench, many in zip(masking.benches, masking.many, strict=True):
        # Of a pair, and of documents that share a row, some stand in the middle.
        for batch in (many, bench.batch("pair", 200), bench.packed(200)):
            _check_special_tokens(masking, bench, batch)


def _check_special_tokens(masking: Masking, bench: Bench, batch: Batch) -> None:
    strategy = masking.strategy(bench, mask_share=0.0, random_share=1.0)
    chosen = chosen_by(strategy, batch, RATES[1])
    if (wrong := chosen & batch.special_tokens_mask).any():
        row = int(wrong.any(1).nonzero()[0])
        example = masking.example(bench, batch, row, chosen)
        raise Violation(f"{int(wrong.sum())} special tokens or padding were chosen", example)
    shown = replace(batch, masking=strategy).masked.input_ids
    special = torch.tensor(bench.vocabulary.special_ids)
    inserted = torch.isin(shown, special) & (shown != batch.input_ids)
    if inserted.any():
        row = int(inserted.any(1).nonzero()[0])
        example = masking.example(bench, replace(batch, input_ids=shown), row, inserted)
        raise Violation("a special token was put in a token's place, as a random one", example)


def the_split_is_as_set(masking: Masking) -> None:
    bench, batch = masking.benches[0], masking.many[0]
    ordinary = torch.from_numpy(bench.vocabulary.ordinary_ids)
    lower = len(ordinary) // 2
    for mask_share, random_share in SPLITS:
        shares = {"mask_share": mask_share, "random_share": random_share}
        strategy = masking.strategy(bench, corruption_rate=None, **shares)
        view = replace(batch, masking=strategy).masked
        # One token of each sequence: those of one span may share their fate.
        rows = (view.labels >= 0).any(1).nonzero().squeeze(1)
        first = (view.labels >= 0)[rows].byte().argmax(1)
        shown, truth = view.input_ids[rows, first], view.labels[rows, first]
        masked = shown == bench.vocabulary.mask_id
        other = (shown != truth) & ~masked
        split = f"with mask_share {mask_share}, random_share {random_share}"
        for what, seen, share in (
            ("[MASK]", int(masked.sum()), mask_share),
            ("another token", int(other.sum()), random_share * (1 - 1 / len(ordinary))),
        ):
            if is_off(seen, len(rows), share):
                raise Violation(f"{split}, {seen} of {len(rows)} chosen tokens became {what}")
        if random_share == 1.0:
            low = int((shown < ordinary[lower]).sum())
            if is_off(low, len(rows), lower / len(ordinary)):
                half = "random tokens are of the lower half of the ids"
                raise Violation(f"{split}, {low} of {len(rows)} {half}")


def the_originals_stay(masking: Masking) -> None:
    for bench in masking.benches:
        batch = bench.batch(count=64)
        before = batch.input_ids.clone()
        strategy = masking.strategy(bench, corruption_rate=None)
        view = replace(batch, masking=strategy).masked
        predicted = view.labels != IGNORE_INDEX
        for what, wrong in (
            ("tokens of the batch itself were replaced", batch.input_ids != before),
            ("labels are not the tokens that stood there", predicted & (view.labels != before)),
            ("unpredicted tokens were replaced", ~predicted & (view.input_ids != before)),
        ):
            if wrong.any():
                row = int(wrong.any(1).nonzero()[0])
                shown = replace(batch, input_ids=view.input_ids)
                example = masking.example(bench, shown, row, wrong)
                raise Violation(f"{int(wrong.sum())} {what}", example)
