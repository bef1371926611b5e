"""The protos of TensorBoard's HParams table: one row per arm, its seeds averaged.

``SummaryWriter.add_hparams`` is not used: it opens a second writer in a sub-folder, turns booleans
into floats and reports success at once. Nor is an experiment-wide list of columns written: only
the first one found is read, so arms with other settings would lose theirs, and parallel runs would
race to write it. Without one, TensorBoard gathers the columns from all runs by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

# Not `hparams.api` or `hparams.summary`: both import tensorflow.
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2


def flat(settings: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Nested settings under dotted keys, each a value that the table can hold; None is left out."""
    return {key: _cell(value) for key, value in _leaves(settings) if value is not None}


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _cell(value: Any) -> bool | int | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value)


def session_start(group: str, hparams: Mapping[str, bool | int | float | str]) -> Any:
    """A summary that opens a session; sessions of one ``group`` share a row, averaged.

    The seed must not be among ``hparams``: a row shows those of its first session.
    """
    return summary_v2.hparams_pb(dict(hparams), trial_id=group)


def session_end(succeeded: bool) -> Any:
    """A summary that closes a session, now."""
    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    # Private, but the public module offers no way to end a session.
    return summary_v2._summary_pb(metadata.SESSION_END_INFO_TAG, data)
