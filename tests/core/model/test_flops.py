"""The cost, counted against torch's own counter and against published sizes."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clozebox import ModelShape
from clozebox.model import (
    FORWARD_AND_BACKWARD,
    Attention,
    AttentionKind,
    BertEncoder,
    TokenHead,
    encoder_flops,
    head_flops,
)

SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)


@pytest.mark.parametrize("kind", ["bidirectional", "causal", "anticausal"])
def test_the_encoder_costs_what_torch_counts(kind: AttentionKind) -> None:
    encoder = BertEncoder(SHAPE, attention_probs_dropout_prob=0.0)
    embedded = torch.randn(4, 11, 30, requires_grad=True)
    attention = Attention(torch.ones(4, 11, dtype=torch.bool), kind)
    # The counter knows no fused attention on a CPU, and would count it as nothing.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        output = encoder(embedded, attention)
    assert forward.get_total_flops() == 4 * encoder.flops(11)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as backward:
        output.sum().backward()
    assert backward.get_total_flops() == 2 * 4 * encoder.flops(11)


def test_the_token_head_costs_what_torch_counts() -> None:
    head = TokenHead(SHAPE, torch.nn.Parameter(torch.randn(97, 30)))
    with FlopCounterMode(display=False) as counter:
        head(torch.randn(6, 30))
    assert counter.get_total_flops() == 6 * head_flops(head)


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "mlm_15", "mlm_40", "causal"),
    [
        (2, 128, 2, 6.28, 12.17, 26.29),
        (4, 256, 4, 27.5, 39.4, 67.7),
        (4, 512, 8, 92.9, 116.8, 174.0),
        (8, 512, 8, 171.6, 195.4, 252.6),
        (12, 768, 12, 545, 581, 668),
        (24, 1024, 16, 1879, 1927, 2044),
    ],
)
def test_training_costs_the_known_megaflops_a_token(
    layers: int, hidden: int, heads: int, mlm_15: float, mlm_40: float, causal: float
) -> None:
    shape = ModelShape(
        vocab_size=30522,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
    )
    with torch.device("meta"):
        head = TokenHead(shape, torch.nn.Parameter(torch.empty(30522, hidden)))
    for share, expected in ((0.15, mlm_15), (0.40, mlm_40), (1.0, causal)):
        forward = encoder_flops(shape, tokens=128) / 128 + share * head_flops(head)
        assert FORWARD_AND_BACKWARD * forward / 1e6 == pytest.approx(expected, rel=2e-3)
