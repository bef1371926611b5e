"""A trained run as a folder that other libraries load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clozebox.config import Arm, arm_of
from clozebox.data import TokenStore, TrainingText, make_examples, prepare
from clozebox.errors import UserError
from clozebox.model.hugging_face import Exported, write_folder
from clozebox.pretraining import Batch, PretrainingModel
from clozebox.training.checkpoint import load_state, load_weights, newest_checkpoint
from clozebox.training.resume import require_same_tokens
from clozebox.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from clozebox.registry import Registry


def export_run(
    run: RunDirectory, folder: Path, registry: Registry, say: Callable[[str], None]
) -> Exported:
    """Write the newest whole checkpoint of ``run``, and its tokenizer, in Hugging Face's layout.

    Raises:
        UserError: no checkpoint, other tokens than it was trained on, or a model that is not BERT.
    """
    resolved = run.resolved()
    checkpoint = newest_checkpoint(run.checkpoints, say)
    if checkpoint is None:
        raise UserError(f"{run.path} has no checkpoint yet; train it first")
    arm = arm_of(resolved["arm"], resolved["settings"], registry)
    store = prepare(arm.data.corpus, arm.data.tokenizer, Path(resolved["cache"]), say=say)
    require_same_tokens(run, load_state(checkpoint), store)
    model = PretrainingModel(arm, store.vocabulary)
    if not _reads_both_sides(model, arm, store):
        raise UserError(
            f"{run.path} learned to read one side only; Hugging Face's BERT reads both, and would "
            "compute something else with its weights"
        )
    load_weights(checkpoint, model)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return write_folder(
        folder, model.embedding, model.encoder, weights, store.tokenizer(), store.vocabulary
    )


def _reads_both_sides(model: PretrainingModel, arm: Arm, store: TokenStore) -> bool:
    """Whether any objective of the arm looks at a sequence from both sides, asked with one row."""
    documents = np.arange(store.num_documents)
    examples = make_examples(
        arm.examples, store, documents, arm.train.seq_length, arm.train.short_seq_prob, seed=0
    )
    text = TrainingText(store, documents)
    masking = None if arm.masking is None else arm.masking.build(text)
    batch = Batch.of(examples.rows(0, 1), store.vocabulary, masking, seed=0, first=0)
    views = [objective.view(batch) for objective in model.speakers()]
    return any(view.attention.kind == "bidirectional" for view in views)
