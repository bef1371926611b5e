"""What must hold of every objective."""

from clozebox.testing.objective.answers import (
    every_answer_counts,
    hits_are_not_given_away,
    knowing_nothing_costs_the_logarithm,
    labels_are_the_originals,
    no_more_is_labelled_than_the_bound,
    there_is_something_to_learn,
    two_answers_both_occur,
)
from clozebox.testing.objective.case import ObjectiveCase
from clozebox.testing.objective.context import the_context_tells_something
from clozebox.testing.objective.gradients import everything_of_it_learns, nothing_else_learns
from clozebox.testing.objective.invariance import (
    nothing_is_left_to_the_moment,
    nothing_waits_for_the_device,
    padding_changes_nothing,
    settings_matter,
    the_cut_changes_nothing,
    the_order_changes_nothing,
    weights_can_be_saved,
)
from clozebox.testing.objective.leakage import (
    attention_is_as_declared,
    documents_do_not_see_each_other,
    no_blank_sees_its_answer,
    no_target_sees_its_answer,
)
from clozebox.testing.objective.learning import it_learns, the_stated_flops_are_right
from clozebox.testing.objective.loop import (
    it_reads_where_it_says,
    no_number_is_used_twice,
    rows_without_a_label_count_nothing,
    weights_are_left_to_the_loop,
    what_is_shared_stays,
)
from clozebox.testing.objective.shortcuts import (
    position_does_not_tell_the_answer,
    text_without_order_tells_nothing,
)
from clozebox.testing.verdict import Property

PROPERTIES: tuple[Property[ObjectiveCase], ...] = (
    Property(
        "targets",
        "there is something to learn in an ordinary batch",
        "labels that are all IGNORE_INDEX, or a mask that is turned round",
        there_is_something_to_learn,
    ),
    Property(
        "pure",
        "asked again, it gives the same, and evaluation is shown what training is",
        "torch.rand, multinomial or numpy's generator in place of batch.uniform; dropout that is "
        "never off",
        nothing_is_left_to_the_moment,
    ),
    Property(
        "bound",
        "no sequence has more labels than the view's max_targets",
        "replace(view, labels=...) without max_targets=None, which keeps the bound of the other",
        no_more_is_labelled_than_the_bound,
    ),
    Property(
        "labels",
        "labels are the original tokens, and padding has none",
        "labels read from the corrupted ids, shifted the wrong way, or wrapped round by roll",
        labels_are_the_originals,
    ),
    Property(
        "leakage",
        "no prediction moves when its own answer is changed",
        "attention that looks too far, a shift by none, the original ids left in the view, or in "
        "what a generator is given",
        no_target_sees_its_answer,
    ),
    Property(
        "position",
        "where an answer stands does not tell it, where answers are classes",
        "a permutation that is never drawn, or drawn once for all",
        position_does_not_tell_the_answer,
    ),
    Property(
        "given away",
        "on text without order a model learns how often answers occur, where they are classes",
        "part of the answer in token_type_ids, in the attention, or in the ids themselves",
        text_without_order_tells_nothing,
    ),
    Property(
        "context",
        "predictions move with what stands beside the answer, and with both parts of a pair",
        "labels that are shifted twice, so that each token is asked for the one after the next; "
        "attention that stops at a sentence, or that is one-sided where tokens are hidden",
        the_context_tells_something,
    ),
    Property(
        "attention",
        "what the encoder makes of a position hangs on what the view's attention allows",
        "a view whose attention is not the one that it was made with",
        attention_is_as_declared,
    ),
    Property(
        "packing",
        "documents that share a row are read as if each stood alone",
        "Attention without document_ids, or labels that cross from one document to the next",
        documents_do_not_see_each_other,
    ),
    Property(
        "cloze",
        "blanks are filled in without being seen, each once, and nothing else is asked",
        "a view that shows the blanks, or labels from elsewhere",
        no_blank_sees_its_answer,
    ),
    Property(
        "answers",
        "every answer gives a loss and a gradient",
        "ignore_index that is a class, a comparison such as label > 0, a weight of zero",
        every_answer_counts,
    ),
    Property(
        "both answers",
        "of a few answers each occurs, no other does, and of two the loss tells them apart",
        "labels that are constant, or not those of the batch; a token that is taken for replaced "
        "where it was written again",
        two_answers_both_occur,
    ),
    Property(
        "initial loss",
        "a fresh model pays the logarithm of the number of answers for a target",
        "a sum divided, targets counted that are not summed, or the wrong number of classes",
        knowing_nothing_costs_the_logarithm,
    ),
    Property(
        "hits",
        "a constant model is right as often as the commonest answer",
        "ties that count as hits, or hits counted where nothing is predicted",
        hits_are_not_given_away,
    ),
    Property(
        "gradients",
        "every parameter of the objective, the encoder and the embedding gets a gradient",
        "detach or no_grad too far up, a part that forward never calls, or answers that are left "
        "out of the softmax",
        everything_of_it_learns,
    ),
    Property(
        "bystanders",
        "no other objective's parameters get a gradient",
        "a module that is shared by accident",
        nothing_else_learns,
    ),
    Property(
        "shared",
        "the batch, its views and the hidden states stay as they were",
        "a change in place, such as labels[:, 0] = -100 or relu_",
        what_is_shared_stays,
    ),
    Property(
        "reads",
        "the hidden states are read at the positions that reads names, and nowhere else",
        "a forward of a TokenObjective that looks beside the labels, and no reads of its own",
        it_reads_where_it_says,
    ),
    Property(
        "weight",
        "weight and share are left to the loop",
        "a loss that is multiplied by the objective's own weight, which the loop does again",
        weights_are_left_to_the_loop,
    ),
    Property(
        "draws",
        "its random numbers are others than those that chose the hidden tokens",
        'one name for batch.uniform in two places, such as "choice"',
        no_number_is_used_twice,
    ),
    Property(
        "static",
        "rows that are gathered without a label, as on a GPU, change nothing",
        "a loss without ignore_index, or hits that count where the label is IGNORE_INDEX",
        rows_without_a_label_count_nothing,
    ),
    Property(
        "padding",
        "padding changes nothing, whatever its length and its ids",
        "a mean over all positions, attention to padding, or labels on it",
        padding_changes_nothing,
    ),
    Property(
        "cut",
        "sums and gradients of the parts of a batch add up to those of the whole",
        "reduction='mean' in place of 'sum', statistics over the batch, negatives from the batch",
        the_cut_changes_nothing,
    ),
    Property(
        "order",
        "the order of the sequences changes nothing",
        "random numbers by row in place of batch.uniform",
        the_order_changes_nothing,
    ),
    Property(
        "device",
        "nothing waits for the device",
        ".item(), if on a tensor, nonzero, boolean indexing: shapes that hang on data",
        nothing_waits_for_the_device,
    ),
    Property(
        "state",
        "saved weights give the same losses",
        "a tensor that is no parameter and no buffer",
        weights_can_be_saved,
    ),
    Property(
        "flops",
        "the operations that targets states are those that are done",
        "a head that is applied to all positions and stated for the labelled, or the reverse; "
        "targets that runs the model",
        the_stated_flops_are_right,
    ),
    Property(
        "settings",
        "every setting changes something",
        "a setting that is declared and never read, or read as a truth value; token_head() without "
        "the config's head",
        settings_matter,
    ),
    Property(
        "learns",
        "a tiny model learns a tiny set by heart, and its hits show it",
        "labels that have nothing to do with the input, a gradient that points nowhere, a softmax "
        "that is taken twice, or hits that compare other things",
        it_learns,
    ),
)

__all__ = ["PROPERTIES", "ObjectiveCase"]
