"""BERT's embedding and encoder (Devlin et al., 2019, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from clozebox import EmbeddingConfig, EncoderConfig, ModelShape, hookimpl

if TYPE_CHECKING:
    from clozebox.model import Embedding, Encoder

Probability = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0)]


class BertEmbeddingConfig(EmbeddingConfig):
    """Token + segment + learned position, then LayerNorm and dropout."""

    name: ClassVar[str] = "bert"

    hidden_dropout_prob: Probability = 0.1
    layer_norm_eps: Epsilon = 1e-12

    def build(self, shape: ModelShape) -> Embedding:
        from clozebox.model import BertEmbedding

        return BertEmbedding(shape, self.hidden_dropout_prob, self.layer_norm_eps)


class BertEncoderConfig(EncoderConfig):
    """Transformer layers; LayerNorm after each residual sum ("post", BERT's) or before ("pre")."""

    name: ClassVar[str] = "bert"

    hidden_dropout_prob: Probability = 0.1
    attention_probs_dropout_prob: Probability = 0.1
    layer_norm: Literal["post", "pre"] = "post"
    layer_norm_eps: Epsilon = 1e-12

    def build(self, shape: ModelShape) -> Encoder:
        from clozebox.model import BertEncoder

        return BertEncoder(
            shape,
            self.hidden_dropout_prob,
            self.attention_probs_dropout_prob,
            self.layer_norm,
            self.layer_norm_eps,
        )


@hookimpl
def register_embeddings() -> list[type[EmbeddingConfig]]:
    return [BertEmbeddingConfig]


@hookimpl
def register_encoders() -> list[type[EncoderConfig]]:
    return [BertEncoderConfig]
