"""Which tokens are chosen: how many, and where. B sequences, T tokens."""

from __future__ import annotations

import numpy as np
import torch

from clozebox.pretraining import numbers_to_choose
from clozebox.testing.chance import leans, straying
from clozebox.testing.masking.case import RATES, Masking, chosen_by, without_order
from clozebox.testing.verdict import Violation

SLACK = 0.02
"""How far from the rate a strategy may stay because its units do not fill a sequence exactly."""
OFTEN = 200
EDGE = 3
"""[CLS] or [SEP] and the two tokens beside it."""


def as_many_are_chosen_as_the_rate_says(masking: Masking) -> None:
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        for rate in RATES:
            # A schedule asks for other rates than that of the settings.
            strategy = masking.strategy(bench, rate=max(RATES), final_rate=None, schedule=None)
            chosen = chosen_by(strategy, batch, rate)
            ordinary = (~batch.special_tokens_mask).sum(1)  # (B,)
            wanted = numbers_to_choose(batch, rate)[:, 0].minimum(ordinary)
            more = (chosen.sum(1) - wanted).double().numpy()
            due = int(wanted.sum())
            most = masking.strategy(bench, rate=rate).max_targets(batch.input_ids.shape[1])
            # Chance enters where a strategy draws its count; units that do not fit leave a little.
            if abs(more.sum()) > SLACK * due + straying(more, width=most):
                row = int(np.abs(more).argmax())
                seen = f"at rate {rate}, {int(chosen.sum())} tokens were chosen; {due} are due"
                raise Violation(seen, masking.example(bench, batch, row, chosen))


def the_bound_holds(masking: Masking) -> None:
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        for rate, final_rate in ((RATES[0], None), (RATES[1], None), RATES):
            strategy = masking.strategy(bench, rate=rate, final_rate=final_rate, schedule=None)
            chosen = chosen_by(strategy, batch, final_rate or rate)
            bound = strategy.max_targets(batch.input_ids.shape[1])
            if (most := int(chosen.sum(1).max())) > bound:
                row = int(chosen.sum(1).argmax())
                seen = f"max_targets says {bound}, and {most} tokens of one sequence were chosen"
                raise Violation(seen, masking.example(bench, batch, row, chosen))


def every_position_is_reached(masking: Masking) -> None:
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        chosen = chosen_by(masking.strategy(bench), batch, RATES[1])
        ordinary = ~batch.special_tokens_mask
        place = torch.arange(batch.input_ids.shape[1])
        last = batch.attention_mask.sum(1, keepdim=True) - 1
        for side, distance in (
            ("beginning", place.expand_as(chosen)),
            ("end", last - place),
        ):
            for step in range(1, 6):
                there = ordinary & (distance == step)
                if int(there.sum()) > OFTEN and not (there & chosen).any():
                    seen = f"of {int(there.sum())} tokens {step} from the {side}, none was chosen"
                    raise Violation(seen, masking.example(bench, batch, 0, chosen))
        size = bench.vocabulary.size
        stood, taken = (
            torch.bincount(batch.input_ids[where], minlength=size) for where in (ordinary, chosen)
        )
        if (never := (stood > OFTEN) & (taken == 0)).any():
            tokens = " ".join(bench.tokens(never.nonzero().squeeze(1)))
            raise Violation(f"tokens that stand there often are never chosen: {tokens}")


def no_side_is_favoured(masking: Masking) -> None:
    """On a text without order, the first half of a sequence is like the second.

    Apart from the tokens beside [CLS] and [SEP], which are two different neighbours.
    """
    bench = masking.benches[0]
    batch = without_order(bench, rows=16_384)
    half = (batch.input_ids.shape[1] - 2 * EDGE) // 2
    chosen = chosen_by(masking.strategy(bench), batch, RATES[0])
    left = chosen[:, EDGE : EDGE + half].sum(1)  # (B,)
    right = chosen[:, -EDGE - half : -EDGE].sum(1)
    together = int((left + right).sum())
    lead = (left - right).double().numpy()
    if abs(lead.sum()) > 0.01 * together and leans(lead):
        example = masking.example(bench, batch, 0, chosen)
        seen = f"of a shuffled text, {int(left.sum())} of the left and {int(right.sum())} right"
        raise Violation(seen, example)


def words_are_whole(masking: Masking) -> None:
    if not type(masking.config).whole_words:
        return
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        continues = torch.isin(
            batch.input_ids, torch.tensor(bench.vocabulary.continuation_ids, dtype=torch.long)
        )
        chosen = chosen_by(masking.strategy(bench), batch, RATES[0])
        ordinary = ~batch.special_tokens_mask
        joined = continues & ordinary & ordinary.roll(1, 1)  # the token before is of this word
        if (cut := joined & (chosen != chosen.roll(1, 1))).any():
            row = int(cut.any(1).nonzero()[0])
            raise Violation("part of a word was chosen", masking.example(bench, batch, row, chosen))
