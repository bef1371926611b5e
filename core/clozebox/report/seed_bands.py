"""Means and bands over seeds for TensorBoard, which shows single runs alone.

Beside the runs of an arm lies one more, ``all-seeds``: for each metric its mean and the ends of its
95 % interval, and the layout of TensorBoard's custom scalars that makes a band of the three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from clozebox.report.arms import ArmRuns, grouped
from clozebox.report.curves import Point, mean_curve
from clozebox.report.records import EVALUATION, Evaluation, read_runs
from clozebox.report.watching import State, state_of

FOLDER = "all-seeds"
ALIVE = ("done", "running", "interrupted", "stopped")
LEVELS = "Held-out metrics: mean and 95 % band over seeds"
EXCESS = "Excess above the floor: mean and 95 % band over seeds"
Curves = dict[str, list[Point]]


class SeedBands:
    """Writes the bands of every arm below a folder, and again what has changed since."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: State | None = None
        self._written: dict[Path, Curves] = {}

    def refresh(self) -> list[Path]:
        """The folders that were written anew; an arm of fewer than two seeds has none.

        Raises:
            OSError: the runs lie where nothing can be written.
        """
        state = state_of(self._folder)
        if state == self._seen:
            return []
        self._seen, changed = state, []
        runs = [run for run in read_runs(self._folder) if run.resolved.get("trial") is None]
        for _, members in groupby(runs, key=lambda run: str(run.resolved["experiment"])):
            for arm in grouped(list(members)):
                folder, curves = _folder_of(arm), curves_of(arm)
                if curves and self._written.get(folder) != curves:
                    _write(folder, curves, keep=1 if folder in self._written else 0)
                    self._written[folder] = curves
                    changed.append(folder)
        return changed


def curves_of(arm: ArmRuns) -> Curves:
    """The curve of each metric over the finished seeds, or over all as far as all have come."""
    looks: list[tuple[Evaluation, ...]] = [run.evaluations for run in arm.finished]
    if len(looks) < 2:
        alive = [run.evaluations for run in arm.runs if run.state in ALIVE and run.evaluations]
        reached = min((len(each) for each in alive), default=0)
        looks = [each[:reached] for each in alive]
    if len(looks) < 2:
        return {}
    metrics = sorted({metric for each in looks for look in each for metric in look.metrics})
    found = {metric: mean_curve(looks, metric) for metric in metrics}
    return {
        metric: curve for metric, curve in found.items() if curve[-1:] and curve[-1].estimate.n > 1
    }


def _folder_of(arm: ArmRuns) -> Path:
    run = arm.runs[0]
    return run.path.parent / (FOLDER + arm.name.removeprefix(run.arm))


def _write(folder: Path, curves: Mapping[str, list[Point]], keep: int) -> None:
    """A new file beside the ``keep`` last ones, which begins with what makes readers forget them.

    The last one stays while a server may be reading it: TensorBoard's slow loader never gets past
    a file that was deleted under it.
    """
    folder.mkdir(exist_ok=True)
    held = sorted(folder.glob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime_ns)
    outdated = held[: len(held) - keep]
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(step=0, session_log=SessionLog(status=SessionLog.START)))
    writer.add_event(Event(step=0, summary=_layout(curves)))
    for metric, curve in curves.items():
        for point in curve:
            writer.add_event(Event(step=round(point.cost["steps"]), summary=_levels(metric, point)))
    writer.close()
    for file in outdated:
        file.unlink(missing_ok=True)


def _tags(metric: str) -> tuple[str, str, str]:
    """Mean, low, high."""
    name = f"seeds/{metric.removeprefix(EVALUATION)}"
    return name, f"{name}_low", f"{name}_high"


def _levels(metric: str, point: Point) -> Summary:
    found, band = point.estimate, point.estimate.interval
    levels = (found.mean, *((found.mean,) * 2 if band is None else (band.low, band.high)))
    named = zip(_tags(metric), levels, strict=True)
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in named])


def _layout(metrics: Iterable[str]) -> Summary:
    """Excesses by themselves: they share one zero, which losses do not."""
    kinds: dict[str, list[layout_pb2.Chart]] = {EXCESS: [], LEVELS: []}
    for metric in metrics:
        mean, low, high = _tags(metric)
        series = layout_pb2.MarginChartContent.Series(value=mean, lower=low, upper=high)
        chart = layout_pb2.Chart(
            title=metric.removeprefix(EVALUATION),
            margin=layout_pb2.MarginChartContent(series=[series]),
        )
        kinds[EXCESS if metric.endswith("excess") else LEVELS].append(chart)
    layout = layout_pb2.Layout(
        category=[
            layout_pb2.Category(title=kind, chart=each) for kind, each in kinds.items() if each
        ]
    )
    tensor = TensorProto(
        dtype="DT_STRING",
        string_val=[layout.SerializeToString()],
        tensor_shape=TensorShapeProto(),
    )
    about = SummaryMetadata.FromString(metadata.create_summary_metadata().SerializeToString())
    return Summary(
        value=[Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, tensor=tensor, metadata=about)]
    )
