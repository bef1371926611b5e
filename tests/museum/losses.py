"""Objectives that sum, count or state the wrong thing. B sequences, T tokens, M predicted."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from tests.museum.exhibit import exhibit
from tests.museum.right_objectives import Masked, NextSentence, OwnLoss, Replaced, Written
from torch import Tensor

from clozebox.pretraining import (
    IGNORE_INDEX,
    Batch,
    Targets,
    Term,
    Terms,
    View,
    class_term,
)


@exhibit("answers", "codertimo, trainer/pretrain.py", 1)
class OneCriterionForTwo(NextSentence):
    """``NLLLoss(ignore_index=0)`` is shared with the tokens, whose padding is 0: so is a class."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        loss = F.nll_loss(logits.log_softmax(-1), labels, ignore_index=0, reduction="sum")
        return Term(loss, {"accuracy": (logits.argmax(-1) == labels).sum()})


@exhibit("answers", "UER-py, targets", 17)
class AboveZero(NextSentence):
    """What counts is ``label > 0``, so that answer 0 is never trained."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        loss = F.cross_entropy(logits, labels, reduction="none")
        return Term((loss * (labels > 0)).sum(), {"accuracy": (logits.argmax(-1) == labels).sum()})


@exhibit("both answers", "ltg-bert, mlm_dataset.py; Ask2Transformers (issue 5)", 3)
class TurnedRound(NextSentence):
    """1 where the second sentence follows: the opposite of BERT and of everything it is read by."""

    def view(self, batch: Batch) -> View:
        assert batch.pair_label is not None
        return replace(batch.plain, pair_label=1 - batch.pair_label)


@exhibit("cut", "cramming, UER-py, NeoBERT, gpt-bert", 15)
class MeanOfMeans(OwnLoss):
    """Each micro-batch is averaged by itself, though they hold different numbers of targets."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return Term(F.cross_entropy(logits, labels))


@exhibit("hits", "BLiMP in lm_eval, api/task.py", 16)
class TiesAreHits(NextSentence):
    """The right answer need only be as likely as the other: a constant model is always right."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        right = logits.gather(1, labels[:, None]).squeeze(1) >= logits.detach().amax(1)
        return Term(class_term(logits, labels).loss, {"accuracy": right.sum()})


@exhibit("weight")
class WeighedTwice(OwnLoss):
    """The weight is applied here, and by the loop again."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        right = class_term(logits, labels)
        return replace(right, loss=right.loss * self.weight)


@exhibit("cut")
class DividedByTheBatch(NextSentence):
    """A sum that is divided by the number of sequences."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return Term(F.cross_entropy(logits, labels, reduction="sum") / len(labels))


@exhibit("cut")
class SoftmaxOverTheBatch(OwnLoss):
    """``softmax(dim=0)``: the targets compete with each other, not the answers."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return Term(F.nll_loss(logits.log_softmax(0), labels, reduction="sum"))


@exhibit("learns")
class SoftmaxTwice(OwnLoss):
    """Probabilities are handed to a loss that expects logits."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits.softmax(-1), labels)


@exhibit("learns")
class SoftmaxTwiceOfTwo(NextSentence):
    """The same for two answers, where the loss cannot fall below 0.31."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits.softmax(-1), labels)


@exhibit("learns")
class HitsOfTheRowBefore(OwnLoss):
    """Predictions are compared with labels that slipped by one: a model that never gets better."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        said = logits.argmax(-1)
        return Term(class_term(logits, labels).loss, {"accuracy": (said == labels.roll(1)).sum()})


@exhibit("initial loss")
class UphillAllTheWay(OwnLoss):
    """The sign is lost: ``sum(log p)`` in place of minus that."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return Term(-class_term(logits, labels).loss)


@exhibit("order")
class TheNeighboursAnswer(NextSentence):
    """Labels that slipped by one row."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits, labels.roll(1))


@exhibit("flops")
class AllPositionsAtTheCostOfSome(Masked):
    """Every position is projected onto the vocabulary, and the labelled ones are stated."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        logits = self.head(hidden).flatten(0, 1).float()  # (B*T, V)
        return {self.name: class_term(logits, view.labels.flatten())}


@exhibit("hits")
class UnlabelledHits(OwnLoss):
    """Where nothing is predicted the label is set to 0, and 0 counts as right there."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        [(name, term)] = super().forward(hidden, view).items()
        with torch.no_grad():
            said = self.head(hidden).argmax(-1)  # (B, T)
        return {name: replace(term, metrics={"accuracy": (said == view.labels.clamp(0)).sum()})}


@exhibit("initial loss")
class CountsMoreThanItSums(Masked):
    """The mean is taken over all real tokens: it looks like a better model."""

    def targets(self, batch: Batch) -> dict[str, Targets]:
        [(name, targets)] = super().targets(batch).items()
        return {name: replace(targets, count=batch.attention_mask.sum())}


@exhibit("device")
class WaitsForTheCount(OwnLoss):
    """``if labels.any()`` brings a number to the host at every step."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        return class_term(logits, labels) if (labels >= 0).any() else Term(logits.sum() * 0)


@exhibit("device")
class BooleanIndexing(Masked):
    """``hidden[labels >= 0]``: how many rows there are, only the device knows."""

    def forward(self, hidden: Tensor, view: View) -> Terms:
        wanted = view.labels != IGNORE_INDEX
        return {self.name: class_term(self.head(hidden[wanted]).float(), view.labels[wanted])}


@exhibit("answers")
class OneSideWeighsNothing(NextSentence):
    """Class weights, of which one is 0."""

    def term(self, logits: Tensor, labels: Tensor) -> Term:
        weight = torch.tensor([1.0, 0.0], device=logits.device)
        loss = F.cross_entropy(logits, labels, weight, reduction="sum")
        return Term(loss, {"accuracy": (logits.argmax(-1) == labels).sum()})


@exhibit("both answers")
class ChosenMeansReplaced(Replaced):
    """A token counts as replaced even if the generator wrote the very one that stood there."""

    def answers(self, ids: Tensor, batch: Batch) -> Tensor:
        return (batch.masked.labels != IGNORE_INDEX).long()


@exhibit("both answers")
class DetectsTheMask(Replaced):
    """The detector is shown what the generator was: [MASK] where tokens were replaced."""

    def view(self, batch: Batch) -> Written:
        return replace(super().view(batch), input_ids=batch.masked.input_ids)


@exhibit("leakage")
class TheGeneratorSeesTheText(Replaced):
    """The generator reads the text as it is, and need only copy."""

    def generate(self, batch: Batch) -> Tensor:
        embedded = self.embedding(batch.input_ids, batch.token_type_ids)
        hidden: Tensor = self.encoder(embedded, batch.plain.attention)
        return hidden


@exhibit("gradients")
class TheGeneratorNeverLearns(Replaced):
    """``no_grad`` was meant for the sample, and covers the generator too."""

    def generate(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return super().generate(batch)


@exhibit("pure")
class SampledAnywhere(Replaced):
    """``multinomial`` draws from the global generator."""

    def sample(self, logits: Tensor, numbers: Tensor) -> Tensor:
        return logits.detach().softmax(-1).multinomial(1).squeeze(1)


@exhibit("draws")
class SampledByTheChoice(Replaced):
    """Sampled by the numbers that chose the tokens: the chosen ones are low, and so the samples."""

    def numbers(self, batch: Batch) -> Tensor:
        return batch.uniform("choice")


@exhibit("flops")
class RunsToBeCounted(Replaced):
    """The targets are counted in the view, for which the generator runs once more at every step."""

    def targets(self, batch: Batch) -> dict[str, Targets]:
        found = super().targets(batch)
        labelled = (self.view(batch).labels != IGNORE_INDEX).sum()
        return {**found, self.name: replace(found[self.name], count=labelled)}


@exhibit("flops")
class TheGeneratorIsFree(Replaced):
    """The generator's encoder is left out of the cost: at equal cost, it trains for longer."""

    def targets(self, batch: Batch) -> dict[str, Targets]:
        found = super().targets(batch)
        name = f"{self.name}_generator"
        predicted = found[name]
        return {**found, name: Targets(predicted.count, predicted.classes, predicted.flops_each)}


@exhibit("static")
class CountsTheEmptyRows(Replaced):
    """On a GPU a fixed number of rows is gathered; those without a label count as original."""

    def detection(self, logits: Tensor, labels: Tensor) -> Term:
        loss = F.binary_cross_entropy_with_logits(logits, (labels == 1).float(), reduction="sum")
        hits = (logits.detach() > 0) == (labels == 1)
        return Term(loss, {"accuracy": hits.sum()}, weight=50.0)
