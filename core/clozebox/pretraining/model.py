"""An arm's model: one embedding, one encoder, and the objectives that share them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from clozebox.components import ModelShape
from clozebox.data import Vocabulary
from clozebox.errors import UserError
from clozebox.model import initialise
from clozebox.pretraining.objective import ModelContext, Objective
from clozebox.pretraining.view import View

if TYPE_CHECKING:
    from clozebox.config.settings import Arm


class PretrainingModel(nn.Module):
    """embedding -> encoder -> objectives.

    ``encode`` is one encoder pass; each objective reads the pass that was made for its view.
    """

    def __init__(self, arm: Arm, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.settings = config = arm.model
        self.shape = ModelShape.of(
            config.size, vocabulary.size, config.embedding.max_position_embeddings
        )
        self.vocabulary = vocabulary
        self._last = arm.objectives_at(1.0)
        self.embedding = config.embedding.build(self.shape)
        self.encoder = config.encoder.build(self.shape)
        self.objectives = nn.ModuleDict()
        built_before: dict[str, nn.Module] = {}
        context = ModelContext(
            self.shape, vocabulary, self.embedding, config.encoder.build, built_before
        )
        for objective in arm.objectives:
            if hasattr(self.objectives, objective.name):
                raise UserError(f"an objective cannot be named {objective.name!r}: torch uses it")
            built = objective.build(context)
            built.name, built.weight = objective.name, objective.weight
            built.share = objective.share
            self.objectives[objective.name] = built_before[objective.name] = built

    @classmethod
    def initialised(cls, arm: Arm, vocabulary: Vocabulary, seed: int) -> PretrainingModel:
        """Weights are a function of (seed, parameter name): what two arms share starts the same."""
        model = cls(arm, vocabulary)
        initialise(model, seed)
        return model

    def each_objective(self) -> list[Objective]:
        """The objectives, in the order in which the arm names them."""
        return [module for module in self.objectives.values() if isinstance(module, Objective)]

    def speakers(self) -> list[Objective]:
        """Those that were learned from last: what the model has become, it says through them."""
        return self.named(self._last)

    def named(self, names: Iterable[str]) -> list[Objective]:
        """Those of these names, in the order in which the arm names them."""
        wanted = set(names)
        return [objective for objective in self.each_objective() if objective.name in wanted]

    def encode(self, view: View, read: Tensor | None = None) -> Tensor:
        """view of (B, T) -> (B, T, D), of which only the positions ``read`` (R,) may be looked at.

        They count the B*T flattened ones, each at most once; None for all of them.
        """
        embedded = self.embedding(view.input_ids, view.token_type_ids)  # (B, T, D)
        if read is not None:
            return self.encoder.forward_at(embedded, view.attention, read)
        hidden: Tensor = self.encoder(embedded, view.attention)  # (B, T, D)
        return hidden

    def num_parameters(self) -> int:
        """Trained numbers; the tied decoder counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
