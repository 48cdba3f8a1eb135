"""Progress with the time left: a bar on a terminal, one line a minute elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 60.0


class Meter:
    """Counts `advance()` calls of a long job and shows how far it is."""

    def __init__(self, what: str, total: int | None, unit: str = "it", done: int = 0) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = self.first = done
        self.start = self.last = time.monotonic()
        self.bar = (
            tqdm(desc=what, total=total, unit=unit, initial=done, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _line(self) -> str:
        rate = (self.done - self.first) / (time.monotonic() - self.start)
        if self.total is None:
            return f"{self.what}: {self.done} {self.unit}, {rate:.1f} {self.unit}/s"
        left = (self.total - self.done) / rate / 60
        return (
            f"{self.what}: {self.done}/{self.total} {self.unit}, "
            f"{rate:.1f} {self.unit}/s, {left:.1f} min left"
        )


def track(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = "it"
) -> Iterator[Item]:
    """`items`, reported as they pass. `total` is needed where `items` has no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    meter = Meter(what, total, unit)
    try:
        for item in items:
            yield item
            meter.advance()
    finally:
        meter.close()
