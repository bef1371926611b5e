"""Ctrl-C and SIGTERM ask a run to save and end; a second one, or one too early, ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clozebox.training.distributed import World


class StopRequest:
    """While it is entered, SIGINT and SIGTERM end the process as SystemExit.

    Once ``can_save`` is set, the first of them only sets ``signal``, for all ranks to agree on.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.agreed: int | None = None
        self.can_save = False
        self._before: dict[int, Any] = {}
        self._tell: Callable[[], None] | None = None

    @property
    def exit_code(self) -> int:
        """130 after SIGINT, 143 after SIGTERM, as a shell would report it."""
        return 128 + (self.agreed or 0)

    def agree(self, world: World) -> None:
        """Ask all ranks: a signal to one of them stops every one, after the same step."""
        self.agreed = int(world.largest(self.signal or 0)) or None

    @contextmanager
    def during(self, tell: Callable[[], None]) -> Iterator[None]:
        """While something long is finished first: ``tell`` whoever asked to stop, or does now."""
        self._tell = tell
        if self.signal is not None:
            tell()
        try:
            yield
        finally:
            self._tell = None

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None or not self.can_save:
            raise SystemExit(128 + number)
        self.signal = number
        if self._tell is not None:
            # The signal may have come in the middle of a line that is being printed.
            with suppress(RuntimeError):
                self._tell()
