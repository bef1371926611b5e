"""The six sizes hold exactly as many numbers as the published models."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from clozebox import ModelShape, SizePreset
from clozebox.model import BertEmbedding, BertEncoder, Pooler, TokenHead
from clozebox_sizes import register_size_presets

# Vocabulary 30522, 512 positions, 2 segments, tied decoder.
COUNTS = {
    # size: encoder, + pooler, encoder + MLM head, + pooler + MLM + NSP
    "tiny": (4_369_408, 4_385_920, 4_416_698, 4_433_468),
    "mini": (11_104_768, 11_170_560, 11_201_594, 11_267_900),
    "small": (28_500_992, 28_763_648, 28_795_194, 29_058_876),
    "medium": (41_110_528, 41_373_184, 41_404_730, 41_668_412),
    "base": (108_891_648, 109_482_240, 109_514_298, 110_106_428),
    "large": (334_092_288, 335_141_888, 335_174_458, 336_226_108),
}
PRESETS = {preset.name: preset for preset in register_size_presets()}


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for parameter in nn.ModuleList(modules).parameters())


def test_there_are_six_sizes() -> None:
    assert list(PRESETS) == list(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_a_size_has_the_published_number_of_parameters_to_the_unit(name: str) -> None:
    shape = ModelShape.of(PRESETS[name], vocab_size=30522, max_position_embeddings=512)
    with torch.device("meta"):
        embedding = BertEmbedding(shape)
        body = (embedding, BertEncoder(shape))
        pooler, classifier = Pooler(shape), nn.Linear(shape.hidden_size, 2)
        head = TokenHead(shape, embedding.token_table)
    assert COUNTS[name] == (
        count(*body),
        count(*body, pooler),
        count(*body, head),
        count(*body, pooler, head, classifier),
    )


def test_heads_that_do_not_divide_the_hidden_size_are_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match="521 is not divisible by num_attention_heads 8"):
        SizePreset(name="odd", num_hidden_layers=4, hidden_size=521, num_attention_heads=8)
