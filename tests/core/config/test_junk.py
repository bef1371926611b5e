"""Whatever is written, the answer is an experiment or words, never a traceback."""

from collections.abc import Callable

import pytest

from clozebox.config import Experiment
from clozebox.errors import UserError

Load = Callable[..., Experiment]

SOME_KEYS = [
    "size", "size.name", "size.hidden_size", "corpus", "corpus.name", "corpus.parts", "tokenizer",
    "tokenizer.path", "embedding", "encoder.dropout", "masking", "masking.name", "masking.rate",
    "masking.final_rate", "masking.schedule", "objectives", "objective", "objective.mlm",
    "objective.mlm.weight", "objective.mlm.share", "objective.mlm.head", "phase", "phase.share",
    "evaluations", "evaluation",
    "reporters", "reporter", "seeds", "budget", "budget.steps", "train", "train.examples",
    "train.seq_length", "optim", "optim.schedule", "optim.decay", "speed", "sweep", "sweep.space",
    "sweep.space.x", 'sweep.space."optim.lr"', 'sweep.space."masking.rate".choices', "arm",
    "arm.name", '"".""', "a.b.c.d.e.f",
]  # fmt: skip
JUNK = [
    "3", "-1", "0", "0.5", "1e400", "nan", "-inf", "true", '""', '"none"', '"mlm"', "[]", "[[]]",
    "[{}]", "{}", "{name=3}", '{name="mlm"}', "[1, 1]", '["mlm", "nsp"]', '["mlm", 3]',
    "[{share=1.0, objectives=['mlm']}]", "[{share=1.0, objectives=[[]]}]", "[{share={}}, 3]",
    "1979-05-27", "07:32:00", "{low=1, high=2}", "{choices=[[]]}", '{choices=["", 3, true]}',
    "9" * 400, "nul\0",
    "{a={b={c={d={}}}}}", '"\\ud7ff"', "'''", "\t",
]  # fmt: skip


@pytest.mark.parametrize("key", SOME_KEYS)
def test_whatever_is_given_is_taken_or_refused_in_words(load: Load, ground: str, key: str) -> None:
    for junk in JUNK:
        try:
            load(ground, f"{key}={junk}")
        except UserError as error:
            assert "--set" in str(error) or "question.toml" in str(error)
    for junk in JUNK:
        try:
            load(f"{ground}[[arm]]\nname = 'x'\n{key} = {junk}\n")
        except UserError as error:
            assert "question.toml:" in str(error)
