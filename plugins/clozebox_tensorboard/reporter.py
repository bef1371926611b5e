"""Scalars and the session of a run, written as TensorBoard event files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from clozebox.training import Reporter, RunDirectory
from clozebox_tensorboard.hparams import flat, session_end, session_start

END = ".end"
"""Suffix of the event file that holds nothing but how the run ended."""
LAYOUT = {
    "Losses": {
        "training": ["Multiline", [r"train/.*_loss"]],
        "held-out": ["Multiline", [r"eval/.*_loss"]],
    },
    "Excess nats above the floor, where it is known": {
        "excess": ["Multiline", [r"eval/.*excess"]],
    },
}
"""Of TensorBoard's custom scalars: what belongs together in one chart, by the names of scalars."""


class TensorBoardReporter(Reporter):
    """Writes into the run's own folder, so that runs are named ``<arm>/seed-<n>``."""

    def __init__(self, flush_seconds: int) -> None:
        self._flush_seconds = flush_seconds

    def start(self, run: RunDirectory, arm: Any, first_step: int) -> None:
        resolved = run.resolved()
        self._folder = run.path
        # TensorBoard believes the first end it finds, so the end of a run taken up again must go.
        for file in run.path.glob(f"events.out.tfevents.*{END}"):
            file.unlink()
        # Points from first_step on were lost in a crash and come again: purge them, or the curve
        # doubles.
        self._writer = self._open(purge_step=first_step)
        # Under its experiment, for arms of two experiments may share a name; and by its folder,
        # for all trials of a search share the name of one arm.
        group = f"{resolved['experiment']}/{run.path.parent.name}"
        _add(self._writer, session_start(group, flat(resolved["settings"])))
        self._writer.add_custom_scalars(LAYOUT)
        self._writer.flush()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            # Single precision: the data server, TensorBoard's default loader, drops doubles unseen.
            self._writer.add_scalar(name, value, step)
            # Some numbers say more in words, such as what a model fills in.
            if isinstance(text := getattr(value, "text", None), str):
                self._writer.add_text(name, text, step)

    def finish(self, state: str, result: Mapping[str, float]) -> None:
        self._writer.close()
        with self._open(filename_suffix=END) as writer:
            _add(writer, session_end(succeeded=state == "done"))

    def _open(self, purge_step: int | None = None, filename_suffix: str = "") -> SummaryWriter:
        return SummaryWriter(
            str(self._folder),
            purge_step=purge_step,
            filename_suffix=filename_suffix,
            flush_secs=self._flush_seconds,
        )


def _add(writer: SummaryWriter, summary: Any) -> None:
    # Private, but the public methods write no ready-made summary.
    writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
