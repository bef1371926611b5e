"""Which tokens are chosen: how many, and where. B sequences, T tokens."""

from __future__ import annotations

import torch

from clozebox.pretraining import numbers_to_choose
from clozebox.testing.chance import is_off
from clozebox.testing.masking.case import RATES, Masking, chosen_by, without_order
from clozebox.testing.verdict import Violation

SLACK = 0.02
"""How far from the rate a strategy may stay because its units do not fill a sequence exactly."""


def as_many_are_chosen_as_the_rate_says(masking: Masking) -> None:
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        for rate in RATES:
            # A schedule asks for other rates than that of the settings.
            strategy = masking.strategy(bench, rate=max(RATES), final_rate=None, schedule=None)
            chosen = chosen_by(strategy, batch, rate)
            ordinary = (~batch.special_tokens_mask).sum(1)  # (B,)
            wanted = numbers_to_choose(batch, rate)[:, 0].minimum(ordinary)
            hits, expected, trials = int(chosen.sum()), int(wanted.sum()), int(ordinary.sum())
            # Chance enters where a strategy draws its count; units that do not fit leave a little.
            short = expected * (1 - SLACK) > hits and is_off(
                hits, trials, expected * (1 - SLACK) / trials
            )
            over = expected * (1 + SLACK) < hits and is_off(
                hits, trials, expected * (1 + SLACK) / trials
            )
            if short or over:
                row = int((chosen.sum(1) - wanted).abs().argmax())
                seen = f"at rate {rate}, {hits} of {trials} tokens were chosen; {expected} are due"
                raise Violation(seen, masking.example(bench, batch, row, chosen))


def the_bound_holds(masking: Masking) -> None:
    for bench, batch in zip(masking.benches, masking.many, strict=True):
        for rate in RATES:
            strategy = masking.strategy(bench, rate=rate, final_rate=None, schedule=None)
            chosen = chosen_by(strategy, batch, rate)
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
                if int(there.sum()) > 200 and not (there & chosen).any():
                    seen = f"of {int(there.sum())} tokens {step} from the {side}, none was chosen"
                    raise Violation(seen, masking.example(bench, batch, 0, chosen))


def no_side_is_favoured(masking: Masking) -> None:
    """On a text without order, the first half of a sequence is like the second."""
    bench = masking.benches[0]
    batch = without_order(bench, rows=16_384)
    ordinary = int((~batch.special_tokens_mask[0]).sum())
    middle = 1 + ordinary // 2
    chosen = chosen_by(masking.strategy(bench), batch, RATES[0])
    left, right = int(chosen[:, 1:middle].sum()), int(chosen[:, middle:].sum())
    even = abs(left - right) <= 0.01 * (left + right)
    if not even and is_off(left, left + right, 0.5):
        example = masking.example(bench, batch, 0, chosen)
        raise Violation(f"of a shuffled text, {left} of the left and {right} right", example)


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
