"""All pieces of a word, or none of them."""

from torch import Tensor

from clozebox import MaskingConfig
from clozebox.data import Vocabulary
from clozebox.pretraining import Batch, MaskingStrategy
from clozebox_masking.units import choose_whole, word_begins, word_starters


class WholeWordMasking(MaskingStrategy):
    def __init__(self, config: MaskingConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.starters = word_starters(vocabulary)

    def choose(self, batch: Batch, rate: float) -> Tensor:
        return choose_whole(batch.bits("choice"), word_begins(batch, self.starters), batch, rate)
