"""What must hold of every masking strategy."""

from clozebox.testing.masking.case import Masking
from clozebox.testing.masking.choice import (
    as_many_are_chosen_as_the_rate_says,
    every_position_is_reached,
    no_side_is_favoured,
    the_bound_holds,
    words_are_whole,
)
from clozebox.testing.masking.corruption import (
    special_tokens_are_left_alone,
    the_originals_stay,
    the_split_is_as_set,
)
from clozebox.testing.masking.invariance import (
    masks_change_over_the_stream,
    nothing_waits_for_the_device,
    settings_matter,
    the_choice_depends_on_the_sequence_alone,
    time_changes_the_rate_alone,
)
from clozebox.testing.verdict import Property

PROPERTIES: tuple[Property[Masking], ...] = (
    Property(
        "special tokens",
        "special tokens and padding are neither chosen nor inserted",
        "the choice leaves out only padding, or random tokens are drawn from the whole vocabulary",
        special_tokens_are_left_alone,
    ),
    Property(
        "rate",
        "as many tokens are chosen as the rate says",
        "units of length zero, positions drawn with replacement, self.config.rate in place of the "
        "rate that choose is given, or a share of the ordinary tokens in place of all real ones",
        as_many_are_chosen_as_the_rate_says,
    ),
    Property(
        "bound",
        "no sequence has more tokens chosen than max_targets says",
        "a strategy whose count varies, without a max_targets of its own, or final_rate forgotten",
        the_bound_holds,
    ),
    Property(
        "split",
        "mask_share, random_share and the rest of the chosen tokens are treated as set",
        "the second draw is taken of what the first left over, tokens are replaced twice, or the "
        "number that chose a token decides its fate too",
        the_split_is_as_set,
    ),
    Property(
        "originals",
        "what is not predicted stays as it was, and so do the batch's own tokens",
        "a replacement in place, so that labels are read from it; or one outside of the chosen",
        the_originals_stay,
    ),
    Property(
        "reach",
        "every position can be chosen, and every token",
        "a range that ends one too early, a special token counted on the wrong side, or the ids "
        "of another vocabulary's special tokens",
        every_position_is_reached,
    ),
    Property(
        "no side",
        "on a text without order, the left half is chosen as often as the right",
        "ties between equal scores, which go to the earlier position; or choosing from one end",
        no_side_is_favoured,
    ),
    Property(
        "pure",
        "a sequence is masked the same way whatever else is in its batch",
        "torch.rand in place of batch.uniform, or a statistic taken over the batch",
        the_choice_depends_on_the_sequence_alone,
    ),
    Property(
        "time",
        "training changes nothing of the choice but the rate that it is given",
        "batch.progress read in choose: a schedule belongs into rate_at, or into final_rate",
        time_changes_the_rate_alone,
    ),
    Property(
        "fresh",
        "masks change over the stream, and with the seed",
        "a generator with a fixed seed, or one drawn number used for every sequence",
        masks_change_over_the_stream,
    ),
    Property(
        "whole words",
        "a strategy of whole words chooses all pieces of a word or none",
        "a unit that begins inside a word, or a count that cuts the last one",
        words_are_whole,
    ),
    Property(
        "device",
        "nothing waits for the device, and nothing leaves it",
        ".item(), .tolist(), if on a tensor, nonzero, boolean indexing: shapes that hang on data",
        nothing_waits_for_the_device,
    ),
    Property(
        "settings",
        "every setting changes something",
        "a setting that is declared and never read, or read as a truth value",
        settings_matter,
    ),
)

__all__ = ["PROPERTIES", "Masking"]
