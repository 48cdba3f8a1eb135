"""When a training saves itself within an epoch."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Self

TERMINATED = 128 + signal.SIGTERM
"""The exit status of a process that SIGTERM ended."""


class Watch:
    """Tells when a state is due: every so many minutes, and at once after SIGTERM.

    SIGTERM is what SLURM sends before it takes a job's nodes away, and what spot machines send.
    Outside the main thread, which alone hears signals, minutes count.
    """

    def __init__(self, minutes: float) -> None:
        self.stopping = False
        self._seconds, self._last = 60 * minutes, time.monotonic()
        self._hears = threading.current_thread() is threading.main_thread()

    def due(self) -> bool:
        """Whether to save now; asked after a step, and True once in that many minutes."""
        if not self.stopping and time.monotonic() - self._last < self._seconds:
            return False
        self._last = time.monotonic()
        return True

    def __enter__(self) -> Self:
        if self._hears:
            self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._hears:
            signal.signal(signal.SIGTERM, self._before)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
