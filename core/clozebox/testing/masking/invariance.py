"""What may not change a sequence's masks, and what must. B sequences, T tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from clozebox.components import MaskingConfig
from clozebox.pretraining import Batch
from clozebox.testing.bench import RecordingBatch
from clozebox.testing.masking.case import (
    RATES,
    Masking,
    chosen_by,
    on_meta,
    without_order,
)
from clozebox.testing.settings_contract import every_setting_matters
from clozebox.testing.verdict import Violation

DRAWS = 64


def the_choice_depends_on_the_sequence_alone(masking: Masking) -> None:
    for bench in masking.benches:
        whole = bench.batch(count=12)
        strategy = masking.strategy(bench)
        torch.manual_seed(1)
        at_once = replace(whole, masking=strategy).masked
        torch.manual_seed(2)  # whatever draws from the global generator now draws something else
        for cut in ([12], [1, 11], [5, 7]):
            begin = 0
            for size in cut:
                rows = np.arange(begin, begin + size)
                part = replace(whole.take(rows), masking=strategy).masked
                same = (part.input_ids == at_once.input_ids[rows]) & (
                    part.labels == at_once.labels[rows]
                )
                if not same.all():
                    row = begin + int((~same).any(1).nonzero()[0])
                    chosen = at_once.labels >= 0
                    seen = f"sequence {row} is masked otherwise in a batch cut as {cut}"
                    raise Violation(seen, masking.example(bench, whole, row, chosen))
                begin += size


def time_changes_the_rate_alone(masking: Masking) -> None:
    bench = masking.benches[0]
    batch, strategy = bench.batch(count=12), masking.strategy(bench)
    early, late = (
        chosen_by(strategy, replace(batch, progress=progress), RATES[0]) for progress in (0.0, 0.9)
    )
    if not torch.equal(early, late):
        row = int((early != late).any(1).nonzero()[0])
        seen = "at one rate, other tokens are chosen late in training than early"
        raise Violation(seen, masking.example(bench, batch, row, late))


def masks_change_over_the_stream(masking: Masking) -> None:
    bench = masking.benches[0]
    strategy, row = masking.strategy(bench), _longest(bench.batch(count=64))
    recording = RecordingBatch.of_batch(row)
    chosen_by(strategy, recording, RATES[0])
    again = row.take(np.zeros(DRAWS, dtype=np.int64))
    if recording.drawn:
        elsewhere = replace(again, first=0, rows=np.arange(DRAWS))
        each = [chosen_by(strategy, replace(row, seed=n), RATES[0]) for n in range(DRAWS)]
        found = {
            "one sequence, at other places of the stream,": chosen_by(
                strategy, elsewhere, RATES[0]
            ),
            "one sequence, under other seeds,": torch.cat(each),
        }
    else:  # a choice without chance is a function of the tokens
        others = without_order(bench, DRAWS)
        found = {"every sequence, with nothing drawn,": chosen_by(strategy, others, RATES[0])}
    for what, chosen in found.items():
        if len(set(map(tuple, chosen.tolist()))) < 8:
            example = masking.example(bench, row, 0, chosen)
            raise Violation(f"{what} is masked nearly always the same", example)


def _longest(batch: Batch) -> Batch:
    """The row with the most tokens: a short one allows few masks."""
    return batch.take(batch.attention_mask.sum(1).argmax().reshape(1).numpy())


def nothing_waits_for_the_device(masking: Masking) -> None:
    bench = masking.benches[0]
    batch = on_meta(bench.batch(count=4))
    view = replace(batch, masking=masking.strategy(bench)).masked
    for name in ("input_ids", "labels"):
        if getattr(view, name).device.type != "meta":
            raise Violation(f"{name} left the device: it lies on {getattr(view, name).device}")


def settings_matter(masking: Masking) -> None:
    bench = masking.benches[0]
    batch = bench.batch(count=200)

    def behaviour(config: MaskingConfig) -> list[Tensor]:
        found = []
        for progress in (0.0, 0.5, 1.0):
            made = replace(batch, masking=config.build(bench.text), progress=progress)
            found += [made.masked.input_ids, made.masked.labels]
        return found

    every_setting_matters(masking.config, behaviour)
