"""The Transformer around the attention."""

import pytest
import torch
from torch import Tensor

from clozebox import ModelShape
from clozebox.errors import UserError
from clozebox.model import (
    Attention,
    AttentionKind,
    BertEmbedding,
    BertEncoder,
    Encoder,
    Pooler,
    TokenHead,
)

SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)
EMBEDDED = torch.randn(4, 11, 30, generator=torch.Generator().manual_seed(2))


def built(layer_norm: str) -> Encoder:
    torch.manual_seed(1)
    return BertEncoder(SHAPE, layer_norm=layer_norm).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("layer_norm", ["post", "pre"])
def test_hidden_states_begin_with_the_input_and_end_with_the_output(layer_norm: str) -> None:
    encoder = built(layer_norm)
    states = encoder.hidden_states(EMBEDDED, Attention(None))
    assert len(states) == SHAPE.num_hidden_layers + 1
    assert torch.equal(states[0], EMBEDDED)
    assert torch.equal(states[-1], encoder(EMBEDDED, Attention(None)))


def test_pre_norm_computes_something_else_and_leaves_the_residual_stream_alone() -> None:
    post, pre = built("post"), built("pre")
    shared = {name: tensor for name, tensor in post.state_dict().items()}
    missing = pre.load_state_dict(shared, strict=False).missing_keys
    assert missing == ["final_norm.weight", "final_norm.bias"]
    far = 100 * EMBEDDED
    difference = post(far, Attention(None)) - pre(far, Attention(None))
    assert difference.abs().max() > 0.1
    # Post-norm forgets the scale after one layer; the pre-norm stream carries it to the end.
    assert post.hidden_states(far, Attention(None))[1].std() < 2
    assert pre.hidden_states(far, Attention(None))[-2].std() > 50


@pytest.mark.parametrize("layer_norm", ["post", "pre"])
def test_a_layer_computes_what_the_layer_of_torch_computes(layer_norm: str) -> None:
    layer = built(layer_norm).get_submodule("layers.0")
    peer = torch.nn.TransformerEncoderLayer(
        30, 5, 41, activation="gelu", layer_norm_eps=1e-12, batch_first=True,
        norm_first=layer_norm == "pre",
    )  # fmt: skip
    names = {
        "attention.qkv.": "self_attn.in_proj_",
        "attention.output": "self_attn.out_proj",
        "attention_norm": "norm1",
        "intermediate": "linear1",
        "output_norm": "norm2",
        "output": "linear2",
    }
    theirs = {}
    for name, tensor in layer.state_dict().items():
        ours = next(prefix for prefix in names if name.startswith(prefix))
        theirs[name.replace(ours, names[ours])] = tensor
    peer.load_state_dict(theirs)
    expected = peer.eval()(5 * EMBEDDED)
    torch.testing.assert_close(layer(5 * EMBEDDED, Attention(None)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer_norm", ["post", "pre"])
def test_the_output_is_normalised(layer_norm: str) -> None:
    output = built(layer_norm)(100 * EMBEDDED, Attention(None))
    torch.testing.assert_close(output.std(-1, correction=0), torch.ones(4, 11), atol=1e-3, rtol=0)


def test_a_model_in_evaluation_mode_draws_nothing() -> None:
    embedding, encoder = BertEmbedding(SHAPE).eval(), built("post")
    ids = torch.arange(22).view(2, 11)

    def output() -> Tensor:
        result: Tensor = encoder(embedding(ids, ids % 2), Attention(None))
        return result

    assert torch.equal(output(), output())
    embedding.train()
    assert not torch.equal(output(), output())


def test_a_position_and_a_segment_each_change_the_embedding() -> None:
    embedding = BertEmbedding(SHAPE).eval()
    same = torch.full((1, 11), 5)
    embedded = embedding(same, torch.zeros_like(same))
    other_segment = embedding(same, torch.ones_like(same))
    assert not torch.allclose(embedded[0, 0], embedded[0, 1])
    assert not torch.allclose(embedded, other_segment)


def test_a_sequence_longer_than_the_position_table_is_refused() -> None:
    ids = torch.zeros(2, 18, dtype=torch.long)
    with pytest.raises(UserError, match="18 tokens, but only 17 positions"):
        BertEmbedding(SHAPE)(ids, ids)


def test_the_token_head_decodes_with_the_embedding_itself() -> None:
    embedding = BertEmbedding(SHAPE)
    head = TokenHead(SHAPE, embedding.token_table)
    logits = head(torch.randn(6, 30))
    assert logits.shape == (6, 97)
    logits.sum().backward()
    assert embedding.token.weight.grad is not None
    assert head.token_table is embedding.token.weight


def test_the_pooler_reads_the_first_token_alone() -> None:
    pooler, hidden = Pooler(SHAPE), torch.randn(4, 11, 30)
    changed = hidden.clone()
    changed[:, 1:] = 0
    assert torch.equal(pooler(hidden), pooler(changed))
    changed[:, 0] = 0
    assert not torch.allclose(pooler(hidden), pooler(changed))


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_a_forward_pass_never_waits_for_the_device(kind: AttentionKind) -> None:
    # A meta tensor has no values: whoever asks for one, and would make a GPU wait, raises.
    with torch.device("meta"):
        embedding, encoder = BertEmbedding(SHAPE), BertEncoder(SHAPE)
        ids = torch.zeros(4, 11, dtype=torch.long)
        hidden = encoder(embedding(ids, ids), Attention(ids == 0, kind))
        logits = TokenHead(SHAPE, embedding.token_table)(hidden[:, 0])
        logits.sum().backward()
    assert logits.shape == (4, 97)
