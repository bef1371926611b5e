"""BERT's embedding and encoder, as settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import clozebox_bert
from clozebox import ModelShape
from clozebox.model import BertEmbedding, BertEncoder
from clozebox.registry import registry_of
from clozebox_bert import BertEmbeddingConfig, BertEncoderConfig

SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)


def test_the_plugin_adds_one_embedding_and_one_encoder() -> None:
    registry = registry_of(clozebox_bert)
    assert registry.get("embedding", "bert") is BertEmbeddingConfig
    assert registry.get("encoder", "bert") is BertEncoderConfig


def test_the_defaults_are_those_of_bert() -> None:
    embedding, encoder = BertEmbeddingConfig().build(SHAPE), BertEncoderConfig().build(SHAPE)
    assert isinstance(embedding, BertEmbedding)
    assert isinstance(encoder, BertEncoder)
    assert (embedding.dropout.p, embedding.norm.eps) == (0.1, 1e-12)
    assert encoder.layer_norm == "post"
    assert {m.p for m in encoder.modules() if hasattr(m, "p")} == {0.1}
    assert {m.eps for m in encoder.modules() if hasattr(m, "eps")} == {1e-12}


def test_every_setting_reaches_the_module_it_names() -> None:
    embedding = BertEmbeddingConfig(hidden_dropout_prob=0.2, layer_norm_eps=1e-5).build(SHAPE)
    encoder = BertEncoderConfig(
        hidden_dropout_prob=0.3,
        attention_probs_dropout_prob=0.4,
        layer_norm="pre",
        layer_norm_eps=1e-6,
    ).build(SHAPE)
    assert isinstance(embedding, BertEmbedding)
    assert isinstance(encoder, BertEncoder)
    assert (embedding.dropout.p, embedding.norm.eps) == (0.2, 1e-5)
    assert {m.p for m in encoder.modules() if hasattr(m, "p")} == {0.3}
    assert {m.dropout for m in encoder.modules() if hasattr(m, "qkv")} == {0.4}
    assert {m.eps for m in encoder.modules() if hasattr(m, "eps")} == {1e-6}
    assert "final_norm.weight" in encoder.state_dict()


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_dropout_prob": 1.0},
        {"layer_norm": "sandwich"},
        {"layer_norm_eps": 0.0},
        {"drop": 1},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BertEncoderConfig.model_validate(wrong)
