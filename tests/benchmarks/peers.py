"""One step of BERT pretraining, as Clozebox takes it and as others do.

Every subject learns from the same tokens, labels and pairs, with the same size, dropout, clipping
and fused AdamW. B sequences, T tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clozebox.config import arm_of
from clozebox.config.settings import Arm
from clozebox.data import Rows, Vocabulary
from clozebox.model.hugging_face.names import from_bert_names, to_bert_names
from clozebox.pretraining import Batch, MaskingStrategy, PretrainingModel
from clozebox.registry import load_registry
from clozebox.training.device import Numerics, numerics_of
from clozebox.training.micro_batch import MicroBatch
from clozebox.training.optimizer import GuardedAdamW
from clozebox.training.setup import Training
from clozebox.training.step import train_step

Step = Callable[[], object]
LR = 1e-4


@dataclass(frozen=True)
class Workload:
    """What one step is about."""

    size: str = "tiny"
    sequences: int = 32
    length: int = 128
    padded: bool = True
    """Lengths uniform in 25 to 100 %; full rows otherwise."""
    vocabulary: int = 30_522
    dropout: float = 0.1
    precision: str = "fp32"
    peer_precision: str = "fp32"
    device: str = "cpu"
    products: Literal["auto", "torch"] = "auto"
    """``speed.products`` of Clozebox."""
    peer_products: Literal["auto", "torch"] = "torch"
    """What multiplies the peers' fp32: torch's choice, as they come, or Clozebox's."""
    peer_dropout: float | None = None
    """As ``dropout``, if not given."""

    @property
    def label(self) -> str:
        rows = "padded" if self.padded else "full"
        return (
            f"{self.size} {self.sequences}x{self.length} {rows} V={self.vocabulary} "
            f"{self.precision} ({self.products}), dropout {self.dropout:g}; peers "
            f"{self.peer_precision} ({self.peer_products}), dropout {self.dropout_of_peers:g}"
        )

    @property
    def dropout_of_peers(self) -> float:
        return self.dropout if self.peer_dropout is None else self.peer_dropout


def arm_for(load: Workload) -> Arm:
    """BERT's objectives and masking at this size, as an experiment would state them."""
    dropout = {
        "hidden_dropout_prob": load.dropout,
        "attention_probs_dropout_prob": load.dropout,
    }
    settings = {
        "size": load.size,
        "corpus": "python_docs",
        "objectives": ["mlm", "nsp"],
        "masking": {"name": "token"},
        "embedding": {"name": "bert", "hidden_dropout_prob": load.dropout},
        "encoder": {"name": "bert", **dropout},
        "budget": {"steps": 1},
        "train": {
            "batch_size": load.sequences,
            "seq_length": load.length,
            "precision": load.precision,
        },
        "optim": {"lr": LR},
        "speed": {"device": load.device, "products": load.products},
    }
    return arm_of("benchmark", settings, load_registry())


def vocabulary_of(size: int) -> Vocabulary:
    return Vocabulary(size, 0, 1, 2, 3, 4, special_ids=(0, 1, 2, 3, 4), continuation_ids=())


def batch_for(load: Workload, masking: MaskingStrategy, seed: int = 0) -> Batch:
    """``[CLS] A [SEP] B [SEP]`` of random tokens, as half of the pairs follow and half do not."""
    generator = np.random.default_rng(seed)
    shape = load.sequences, load.length
    least = load.length // 4 if load.padded else load.length
    length = generator.integers(least, load.length + 1, (load.sequences, 1))  # (B, 1)
    column = np.arange(load.length)
    real, middle = column < length, length // 2
    ids = generator.integers(5, load.vocabulary, shape)
    special = (column == 0) | (column == middle) | (column == length - 1)
    ids[special], ids[:, 0], ids[~real] = 3, 2, 0
    rows = Rows(
        input_ids=ids,
        token_type_ids=((column > middle) & real).astype(np.int64),
        attention_mask=real,
        special_tokens_mask=special | ~real,
        pair_label=generator.integers(0, 2, load.sequences),
    )
    vocabulary = vocabulary_of(load.vocabulary)
    return Batch.of(rows, vocabulary, masking, seed=seed, first=0, device=load.device)


@dataclass(frozen=True)
class Clozebox:
    """Clozebox's model, optimizer and batch, ready for its own training step."""

    load: Workload
    training: Training
    batch: Batch

    @classmethod
    def of(cls, load: Workload) -> Clozebox:
        arm, vocabulary = arm_for(load), vocabulary_of(load.vocabulary)
        numerics = numerics_of(arm.speed, load.precision)
        model = PretrainingModel.initialised(arm, vocabulary, 0).to(numerics.device)
        assert arm.masking is not None
        text: Any = SimpleNamespace(vocabulary=vocabulary)
        masking = arm.masking.build(text)
        nothing: Any = None  # of what is on disk
        training = Training(
            arm=arm,
            seed=0,
            store=nothing,
            masking=masking,
            stream=nothing,
            model=model,
            numerics=numerics,
            micro_batch=MicroBatch(load.sequences),
            run=nothing,
            held_out=nothing,
            optimizer=GuardedAdamW(model, arm.optim),
        )
        return cls(load, training, batch_for(load, masking))

    def step(self) -> object:
        """One training step; the batch is fetched anew, so that its views are made again."""
        batch = self.batch.part(0, self.load.sequences, 0.0, with_masks=False)
        training = self.training
        objectives = training.model.named(training.arm.objectives_at(0.0))
        return train_step(training, objectives, [batch])

    @property
    def numerics(self) -> Numerics:
        return self.training.numerics


def hugging_face(ours: Clozebox) -> nn.Module:
    """``BertForPreTraining`` with the same weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        shape = ours.training.model.shape.model_dump()
        config = transformers.BertConfig(
            **shape,
            hidden_dropout_prob=ours.load.dropout_of_peers,
            attention_probs_dropout_prob=ours.load.dropout_of_peers,
        )
        model: nn.Module = transformers.BertForPreTraining(config)
    layers = ours.training.model.shape.num_hidden_layers
    weights = dict(ours.training.model.named_parameters())
    model.load_state_dict(
        {name: weight.detach() for name, weight in to_bert_names(weights, layers).items()},
        strict=False,
    )
    return model.to(ours.numerics.device)


def hugging_face_loss(model: nn.Module, batch: Batch) -> Tensor:
    view = batch.masked
    loss: Tensor = model(
        input_ids=view.input_ids,
        token_type_ids=view.token_type_ids,
        attention_mask=batch.attention_mask.long(),
        labels=view.labels,
        next_sentence_label=view.pair_label,
    ).loss
    return loss


class PlainTransformer(nn.Module):
    """``torch.nn.TransformerEncoder`` with BERT's embeddings and heads, as tutorials build it."""

    def __init__(self, load: Workload, shape: Any) -> None:
        super().__init__()
        width, vocabulary = shape.hidden_size, load.vocabulary
        self.token = nn.Embedding(vocabulary, width)
        self.segment, self.position = nn.Embedding(2, width), nn.Embedding(512, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(load.dropout_of_peers)
        layer = nn.TransformerEncoderLayer(
            width,
            shape.num_attention_heads,
            shape.intermediate_size,
            load.dropout_of_peers,
            "gelu",
            batch_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, shape.num_hidden_layers)
        self.dense, self.head_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.pooler, self.pair = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, ids: Tensor, types: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        place = torch.arange(ids.shape[1], device=ids.device)
        embedded = self.token(ids) + self.segment(types) + self.position(place)
        hidden = self.encoder(self.dropout(self.norm(embedded)), src_key_padding_mask=~real)
        transformed = self.head_norm(F.gelu(self.dense(hidden)))
        return F.linear(transformed, self.token.weight, self.bias), hidden


class XTransformer(nn.Module):
    """``x_transformers`` as a post-norm BERT: learned positions, token types, all logits."""

    def __init__(self, load: Workload, shape: Any) -> None:
        super().__init__()
        from x_transformers import Encoder, TransformerWrapper

        self.body = TransformerWrapper(
            num_tokens=load.vocabulary,
            max_seq_len=512,
            num_memory_tokens=0,
            emb_dropout=load.dropout_of_peers,
            post_emb_norm=True,
            tie_embedding=True,
            attn_layers=Encoder(
                dim=shape.hidden_size,
                depth=shape.num_hidden_layers,
                heads=shape.num_attention_heads,
                attn_dim_head=shape.hidden_size // shape.num_attention_heads,
                pre_norm=False,
                attn_flash=True,
                attn_dropout=load.dropout_of_peers,
                ff_dropout=load.dropout_of_peers,
            ),
        )
        self.pooler = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.pair = nn.Linear(shape.hidden_size, 2)

    def forward(self, ids: Tensor, types: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        logits, hidden = self.body(ids, mask=real, return_logits_and_embeddings=True)
        return logits, hidden


def plain_loss(model: nn.Module, batch: Batch) -> Tensor:
    view = batch.masked
    logits, hidden = model(view.input_ids, view.token_type_ids, batch.attention_mask)
    pooled = torch.tanh(model.get_submodule("pooler")(hidden[:, 0]))
    assert view.pair_label is not None
    loss = F.cross_entropy(logits.float().flatten(0, 1), view.labels.flatten())
    return loss + F.cross_entropy(model.get_submodule("pair")(pooled).float(), view.pair_label)


@contextmanager
def products_of(products: Literal["auto", "torch"]) -> Iterator[None]:
    """Within, fp32 on a CPU is multiplied so; it is a switch of the whole process."""
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    if products == "torch":
        matmul.fp32_precision = "none"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def peer_step(model: nn.Module, loss: Callable[[nn.Module, Batch], Tensor], ours: Clozebox) -> Step:
    """Forward, backward, clip and update of a peer, on the same batch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01, fused=True)
    numerics = Numerics(ours.numerics.device, ours.load.peer_precision)

    def step() -> None:
        with products_of(ours.load.peer_products):
            with numerics.autocast():
                value = loss(model, ours.batch)
            value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def peers(ours: Clozebox, names: tuple[str, ...]) -> Mapping[str, Step]:
    """The steps of the peers of these names."""
    shape, device = ours.training.model.shape, ours.numerics.device
    made: dict[str, Step] = {}
    if "hugging_face" in names:
        made["hugging_face"] = peer_step(hugging_face(ours), hugging_face_loss, ours)
    if "torch" in names:
        plain = PlainTransformer(ours.load, shape).to(device)
        made["torch"] = peer_step(plain, plain_loss, ours)
    if "x_transformers" in names:
        wrapped = XTransformer(ours.load, shape).to(device)
        made["x_transformers"] = peer_step(wrapped, plain_loss, ours)
    return made


def assert_same_arithmetic(load: Workload) -> None:
    """Without dropout, loss and every gradient are those of Hugging Face's model.

    Raises:
        AssertionError: they are not, and there is nothing to time.
    """
    ours = Clozebox.of(replace(load, dropout=0.0, peer_dropout=0.0, precision="fp32"))
    peer = hugging_face(ours)
    theirs = hugging_face_loss(peer, ours.batch)
    theirs.backward()  # type: ignore[no-untyped-call]
    seen: dict[str, Tensor] = {}
    model = ours.training.model

    class Watching:
        """Keeps the gradients before they are clipped and used."""

        def guard(self, norm: Tensor) -> None: ...

        def step(self) -> None:
            seen.update({name: p.grad.clone() for name, p in model.named_parameters()})

        def zero_grad(self, set_to_none: bool) -> None: ...

    arm = ours.training.arm
    unclipped = replace(arm, optim=arm.optim.model_copy(update={"max_grad_norm": 1e9}))
    watching: Any = Watching()
    watched = replace(ours.training, arm=unclipped, optimizer=watching)
    objectives = model.named(arm.objectives_at(0.0))
    sums = train_step(watched, objectives, [ours.batch])
    mean = sum(sums.sums[f"{name}_loss"] / sums.counts[name] for name in ("mlm", "nsp"))
    torch.testing.assert_close(mean.float(), theirs.detach(), atol=1e-4, rtol=0)
    layers = model.shape.num_hidden_layers
    gradients = from_bert_names({k: p.grad for k, p in peer.named_parameters()}, layers)
    for name, gradient in seen.items():
        scale = gradients[name].abs().max().clamp(min=1e-3)
        torch.testing.assert_close(gradient / scale, gradients[name] / scale, atol=1e-3, rtol=0)
