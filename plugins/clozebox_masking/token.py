"""Every ordinary token is as likely as any other."""

from torch import Tensor

from clozebox.pretraining import Batch, MaskingStrategy, choose_exactly


class TokenMasking(MaskingStrategy):
    def choose(self, batch: Batch) -> Tensor:
        return choose_exactly(batch.uniform("choice"), batch, self.rate)
