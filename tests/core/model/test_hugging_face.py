"""Folders in Hugging Face's layout: what is written, what is read, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from clozebox import ModelShape
from clozebox.config.settings import TokenizerSettings
from clozebox.data.tokenizer import train_tokenizer, vocabulary_of
from clozebox.errors import UserError
from clozebox.model import (
    Attention,
    BertEmbedding,
    BertEncoder,
    Embedding,
    Encoder,
    Pooler,
    TokenHead,
    initialise,
)
from clozebox.model.hugging_face import Exported, read_folder, write_folder

TEXTS = [
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen jugs",
    "12, 3!",
]


def trained_tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerSettings(vocab_size=90), lambda: TEXTS)


TOKENIZER = trained_tokenizer()
VOCABULARY = vocabulary_of(TOKENIZER)
SHAPE = ModelShape(
    vocab_size=VOCABULARY.size,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)
BODY_WEIGHTS = 5 + 3 * 16  # Hugging Face splits query, key and value


class Model(nn.Module):
    """A whole model's names, without the room above."""

    def __init__(self, *objectives: str, **encoder: Any) -> None:
        super().__init__()
        self.embedding: Embedding = BertEmbedding(SHAPE)
        self.encoder: Encoder = BertEncoder(SHAPE, **encoder)
        heads = {
            "mlm": lambda: {"head": TokenHead(SHAPE, self.embedding.token_table)},
            "nsp": lambda: {"pooler": Pooler(SHAPE), "classifier": nn.Linear(30, 2)},
            "ar_forward": lambda: {"head": TokenHead(SHAPE, self.embedding.token_table)},
        }
        self.objectives = nn.ModuleDict({name: nn.ModuleDict(heads[name]()) for name in objectives})
        initialise(self, seed=4, std=0.3)

    def weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.named_parameters()}

    def write(self, folder: Path) -> Exported:
        return write_folder(
            folder, self.embedding, self.encoder, self.weights(), TOKENIZER, VOCABULARY
        )


@pytest.mark.parametrize(
    ("objectives", "architecture", "extra"),
    [
        (["mlm", "nsp"], "BertForPreTraining", 9),
        (["mlm"], "BertForMaskedLM", 5),
        (["nsp"], "BertForNextSentencePrediction", 4),
        ([], "BertModel", 0),
    ],
)
def test_what_is_written_reads_back_the_same(
    tmp_path: Path, objectives: list[str], architecture: str, extra: int
) -> None:
    model = Model(*objectives)
    exported = model.write(tmp_path / "folder")
    assert exported == Exported(architecture, left_out=())
    assert len(load_file(tmp_path / "folder" / "model.safetensors")) == BODY_WEIGHTS + extra
    back = read_folder(tmp_path / "folder")
    assert back.shape == SHAPE
    assert back.weights.keys() == model.weights().keys()
    assert all(torch.equal(back.weights[name], tensor) for name, tensor in model.weights().items())


def test_a_head_without_a_place_is_left_out_and_named(tmp_path: Path) -> None:
    exported = Model("ar_forward").write(tmp_path / "folder")
    assert exported.architecture == "BertModel"
    assert "objectives.ar_forward.head.bias" in exported.left_out
    assert len(exported.left_out) == 5


class OtherEncoder(BertEncoder):
    def forward(self, embedded: Tensor, attention: Attention) -> Tensor:
        return -super().forward(embedded, attention)


class OtherEmbedding(BertEmbedding):
    pass


def test_what_does_not_fit_is_refused_with_the_reason_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    other_encoder, other_embedding = Model("mlm"), Model("mlm")
    other_encoder.encoder = OtherEncoder(SHAPE)
    other_embedding.embedding = OtherEmbedding(SHAPE)
    other_head = Model("mlm", layer_norm_eps=1e-5)
    other_head.embedding = BertEmbedding(SHAPE, layer_norm_eps=1e-5)
    for model, reason in (
        (Model("mlm", layer_norm="pre"), 'layer_norm is "pre"'),
        (Model("mlm", layer_norm_eps=1e-5), "embedding.layer_norm_eps 1e-12 and"),
        (other_head, "token head has 1e-12"),
        (other_encoder, "OtherEncoder is not BERT's encoder"),
        (other_embedding, "OtherEmbedding is not BERT's embedding"),
    ):
        with pytest.raises(UserError, match=reason):
            model.write(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    model = Model("mlm")
    weights = model.weights()
    del weights["encoder.layers.1.attention.qkv.bias"]
    with pytest.raises(UserError, match=r"lack encoder\.layers\.1\.attention\.qkv\.bias"):
        write_folder(
            tmp_path / "folder", model.embedding, model.encoder, weights, TOKENIZER, VOCABULARY
        )


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        Model("mlm").write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def altered(folder: Path, rename: dict[str, str], **config: Any) -> Path:
    """A written folder with parts of names replaced, and other settings."""
    Model("mlm", "nsp").write(folder)
    weights = load_file(folder / "model.safetensors")
    for old, new in rename.items():
        weights = {name.replace(old, new): tensor for name, tensor in weights.items()}
    save_file(weights, folder / "model.safetensors")
    settings = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_older_names_are_read_too(tmp_path: Path) -> None:
    folder = altered(
        tmp_path / "old",
        {
            "bert.": "",
            "LayerNorm.weight": "LayerNorm.gamma",
            "LayerNorm.bias": "LayerNorm.beta",
            "cls.predictions.bias": "cls.predictions.decoder.bias",
        },
    )
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.position_ids"] = torch.arange(17)[None]
    weights["cls.predictions.decoder.weight"] = weights["embeddings.word_embeddings.weight"].clone()
    save_file(weights, folder / "model.safetensors")
    back, expected = read_folder(folder).weights, Model("mlm", "nsp").weights()
    assert back.keys() == expected.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'; only 'bert'"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'; only 'gelu'"),
        ({"position_embedding_type": "relative_key"}, "only 'absolute'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"hidden_size": "30"}, "hidden_size"),
        ({"intermediate_size": 43}, r"\(41, 30\), not \(43, 30\)"),
        ({"num_hidden_layers": 4}, r"encoder\.layers\.3\.attention\.qkv\.weight is missing"),
        ({"num_hidden_layers": 2}, r"bert\.encoder\.layer\.2.* has no place"),
    ],
)
def test_another_kind_of_bert_is_refused_with_the_reason(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        read_folder(altered(tmp_path / "folder", {}, **config))


def test_half_a_head_is_refused(tmp_path: Path) -> None:
    folder = altered(tmp_path / "folder", {"predictions.transform.dense": "predictions.other"})
    with pytest.raises(UserError, match=r"objectives\.mlm\.head\.dense\.weight is missing"):
        read_folder(folder)


def test_an_untied_decoder_is_refused(tmp_path: Path) -> None:
    folder = altered(tmp_path / "folder", {})
    weights = load_file(folder / "model.safetensors")
    weights["cls.predictions.decoder.weight"] = torch.zeros(SHAPE.vocab_size, 30)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError, match="not tied"):
        read_folder(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a BERT folder .*config\.json"):
        read_folder(tmp_path)
    folder = altered(tmp_path / "torn", {})
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a BERT folder"):
        read_folder(folder)


def test_the_tokenizer_goes_with_the_weights(tmp_path: Path) -> None:
    Model("mlm").write(tmp_path / "folder")
    copied = Tokenizer.from_file(str(tmp_path / "folder" / "tokenizer.json"))
    assert copied.encode(*TEXTS[:2]).ids == TOKENIZER.encode(*TEXTS[:2]).ids
    config = json.loads((tmp_path / "folder" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert config["model_max_length"] == 17
    assert [config[f"{name}_token"] for name in ("pad", "unk", "cls", "sep", "mask")] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
