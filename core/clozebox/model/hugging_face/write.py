"""Writing a BERT folder in Hugging Face's layout, without their library.

What the layout cannot say is refused with the reason: a folder that loads, but computes something
else, is worse than none.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file
from torch import Tensor

from clozebox.errors import UserError
from clozebox.model.embedding import BertEmbedding, Embedding
from clozebox.model.encoder import BertEncoder, Encoder
from clozebox.model.heads import LAYER_NORM_EPS
from clozebox.model.hugging_face.names import UNDERSTOOD, from_bert_names, to_bert_names

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from clozebox.data import Vocabulary

WHY = "Hugging Face's BERT would compute something else from its weights"
MLM_HEAD, NSP_HEAD = "cls.predictions.bias", "cls.seq_relationship.weight"
ARCHITECTURES = {
    frozenset({MLM_HEAD, NSP_HEAD}): "BertForPreTraining",
    frozenset({MLM_HEAD}): "BertForMaskedLM",
    frozenset({NSP_HEAD}): "BertForNextSentencePrediction",
    frozenset[str](): "BertModel",
}


@dataclass(frozen=True)
class Exported:
    """What a written folder holds, and which weights had no place in it."""

    architecture: str
    left_out: tuple[str, ...]


def write_folder(
    folder: Path,
    embedding: Embedding,
    encoder: Encoder,
    weights: Mapping[str, Tensor],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
) -> Exported:
    """Write ``folder``, whole or not at all: config, weights, tokenizer and its config.

    ``weights`` are a whole model's, under its parameter names; ``embedding`` and ``encoder`` say
    what those compute.

    Raises:
        UserError: the model is not BERT's, a weight is missing, or ``folder`` is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty: name a new folder")
    bert = _require_bert(embedding, encoder)
    _require_all(embedding, encoder, weights)
    theirs = to_bert_names(weights, bert.shape.num_hidden_layers)
    if MLM_HEAD in theirs and bert.layer_norm_eps != LAYER_NORM_EPS:
        raise UserError(
            f"cannot export: encoder.layer_norm_eps is {bert.layer_norm_eps:g}, and the token head "
            f"has {LAYER_NORM_EPS:g}; {WHY}"
        )
    architecture = ARCHITECTURES[frozenset(theirs.keys() & {MLM_HEAD, NSP_HEAD})]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
        built = Path(temporary) / "folder"
        built.mkdir()
        config = _config(bert, architecture, vocabulary)
        (built / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(
            {name: tensor.float().contiguous() for name, tensor in theirs.items()},
            built / "model.safetensors",
            metadata={"format": "pt"},
        )
        _write_tokenizer(built, tokenizer, vocabulary, bert.shape.max_position_embeddings)
        built.rename(folder)
    back = from_bert_names(theirs, bert.shape.num_hidden_layers)
    tied = {name for name in weights if name.endswith(".token_table")}
    return Exported(architecture, tuple(sorted({*weights} - {*back} - tied)))


def _require_bert(embedding: Embedding, encoder: Encoder) -> BertEncoder:
    """The encoder, when Hugging Face's BertModel computes the same as the two."""
    # Exact types: a subclass may compute anything under the same parameter names.
    if type(embedding) is not BertEmbedding:
        raise UserError(f"cannot export: {type(embedding).__name__} is not BERT's embedding; {WHY}")
    if type(encoder) is not BertEncoder:
        raise UserError(f"cannot export: {type(encoder).__name__} is not BERT's encoder; {WHY}")
    if encoder.layer_norm != "post":
        raise UserError(
            f'cannot export: encoder.layer_norm is "{encoder.layer_norm}", and BERT has "post", '
            f"LayerNorm after each residual sum; {WHY}. Train with encoder.layer_norm "
            'set to "post" to export'
        )
    if embedding.norm.eps != encoder.layer_norm_eps:
        raise UserError(
            f"cannot export: embedding.layer_norm_eps {embedding.norm.eps:g} and "
            f"encoder.layer_norm_eps {encoder.layer_norm_eps:g} differ; {WHY}"
        )
    return encoder


def _require_all(embedding: Embedding, encoder: Encoder, weights: Mapping[str, Tensor]) -> None:
    wanted = {f"embedding.{name}" for name, _ in embedding.named_parameters()}
    wanted |= {f"encoder.{name}" for name, _ in encoder.named_parameters()}
    if missing := sorted(wanted - weights.keys()):
        raise UserError(f"cannot export: the weights lack {', '.join(missing)}")


def _config(encoder: BertEncoder, architecture: str, vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        **UNDERSTOOD,
        **encoder.shape.model_dump(),
        "hidden_dropout_prob": encoder.hidden_dropout_prob,
        "attention_probs_dropout_prob": encoder.attention_probs_dropout_prob,
        "layer_norm_eps": encoder.layer_norm_eps,
        "initializer_range": 0.02,
        "pad_token_id": vocabulary.pad_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def _write_tokenizer(
    folder: Path, tokenizer: Tokenizer, vocabulary: Vocabulary, max_length: int
) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {
        f"{name}_token": tokenizer.id_to_token(getattr(vocabulary, f"{name}_id"))
        for name in ("pad", "unk", "cls", "sep", "mask")
    }
    config = {
        # Any other class lets transformers 5 rebuild the tokenizer by its own rules from
        # model_type, and give other ids without a word.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
