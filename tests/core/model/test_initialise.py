"""Initial weights: a pure function of (seed, name)."""

import torch
from torch import nn

from clozebox import ModelShape
from clozebox.model import BertEmbedding, BertEncoder, Pooler, TokenHead, initialise

SHAPE = ModelShape(
    vocab_size=997,
    hidden_size=60,
    num_hidden_layers=2,
    num_attention_heads=5,
    intermediate_size=130,
    max_position_embeddings=17,
)


def model(*, pooler: bool = False, layers: int = 2) -> nn.ModuleDict:
    shape = SHAPE.model_copy(update={"num_hidden_layers": layers})
    embedding = BertEmbedding(shape)
    parts: dict[str, nn.Module] = {"pooler": Pooler(shape)} if pooler else {}
    parts |= {"embedding": embedding, "encoder": BertEncoder(shape)}
    return nn.ModuleDict(parts | {"head": TokenHead(shape, embedding.token_table)})


def initialised(seed: int = 7, *, pooler: bool = False, layers: int = 2) -> nn.ModuleDict:
    made = model(pooler=pooler, layers=layers)
    initialise(made, seed)
    return made


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before() -> None:
    first = initialised()
    torch.manual_seed(99)
    torch.rand(13)
    second = initialised().state_dict()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.state_dict().items())


def test_another_seed_gives_other_weights() -> None:
    first, second = initialised(7).state_dict(), initialised(8).state_dict()
    same = {name for name in first if torch.equal(first[name], second[name])}
    assert all(name.endswith("bias") or "norm" in name for name in same)


def test_adding_a_module_never_changes_the_others() -> None:
    small = initialised().state_dict()
    large = initialised(pooler=True, layers=3).state_dict()
    assert len(large) > len(small)
    assert all(torch.equal(tensor, large[name]) for name, tensor in small.items())


def test_no_two_matrices_are_alike() -> None:
    made = initialised(layers=3).get_submodule("encoder").state_dict()
    queries = [tensor for name, tensor in made.items() if name.endswith("qkv.weight")]
    assert len(queries) == 3
    assert not torch.equal(queries[0], queries[1])
    assert not torch.equal(queries[1], queries[2])


def test_matrices_are_normal_with_the_tails_cut_at_two_deviations() -> None:
    table = initialised().get_submodule("embedding").get_parameter("token.weight")
    assert table.abs().max() <= 2 * 0.02
    assert table.abs().max() > 1.99 * 0.02
    # A standard normal cut at 2 has deviation 0.8796; the standard error here is 0.3 %.
    assert abs(table.std().item() / (0.02 * 0.8796) - 1) < 0.01
    assert abs(table.mean().item()) < 3 * 0.02 / table.numel() ** 0.5


def test_biases_are_zero_and_layer_norm_starts_as_the_identity() -> None:
    made = model()
    for parameter in made.parameters():
        nn.init.constant_(parameter, 3.0)
    initialise(made, 7)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            assert parameter.count_nonzero() == 0, name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert parameter.std() > 0.01, name


def test_a_vector_of_a_plugin_keeps_the_constant_it_was_given() -> None:
    module = nn.Module()
    module.gain = nn.Parameter(torch.full((5,), 0.25))
    initialise(module, 7)
    assert (module.gain == 0.25).all()


def test_a_tied_table_is_drawn_once_under_the_name_of_its_embedding() -> None:
    with_head, alone = initialised(), nn.ModuleDict({"embedding": BertEmbedding(SHAPE)})
    initialise(alone, 7)
    table = with_head.get_parameter("head.token_table")
    assert torch.equal(table, alone.get_parameter("embedding.token.weight"))
