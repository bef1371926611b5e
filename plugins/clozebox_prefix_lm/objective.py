"""Read the beginning from both sides; predict the rest from the left."""

from dataclasses import replace

from torch import Tensor

from clozebox.pretraining import Batch, ModelContext, TokenObjective, View, only_targets
from clozebox_prefix_lm import PrefixConfig


class PrefixLanguageModel(TokenObjective):
    def __init__(self, config: PrefixConfig, context: ModelContext) -> None:
        super().__init__(config, context)
        self.low, self.high = config.low, config.high

    def view(self, batch: Batch) -> View:
        length = batch.attention_mask.sum(1)  # (B,)
        share = self.low + (self.high - self.low) * batch.uniform("prefix")[:, 0].double()
        view = batch.prefix((share * length).long().clamp(min=1))
        longest = batch.input_ids.shape[1]
        return replace(view, max_targets=longest - max(1, int(self.low * longest)))

    def cloze(self, batch: Batch, chosen: Tensor) -> View:
        # All before the first blank is the prefix, so that no blank is seen before it is filled in;
        # later blanks are read from the left, as the later tokens are in training.
        first = chosen.byte().argmax(1)  # (B,)
        return only_targets(batch.prefix(first), chosen, step=+1)
