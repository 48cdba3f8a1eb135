"""Samples of a file that is too long to be held: they are read where they are sliced.

What is done to such samples is done to each slice. What must be known of all of them, such as a
checksum, is found part by part when the file is opened.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

HELD = 2**22  # samples of all signals of a file together that are held at once
MOST = 2**31  # that a file may have: a week of three leads at 1000 Hz


class Long:
    """A one-dimensional array that is read where it is sliced; `np.asarray` reads all of it.

    Args:
        length: how many samples it has.
        read: gives those from the first on, and before the last.
    """

    def __init__(self, length: int, read: Callable[[int, int], np.ndarray]) -> None:
        self._length, self._read = length, read

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> np.ndarray:
        first, last, step = span.indices(self._length)
        if step != 1:
            raise ValueError(f"a long recording is read forwards and whole, not by steps of {step}")
        return self._read(first, max(first, last))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


Values = np.ndarray | Long


def each(work: Callable[..., np.ndarray], *values: Values) -> Values:
    """What `work` makes of arrays of one length: at once, or of each slice where one is long."""
    if not any(isinstance(one, Long) for one in values):
        return work(*values)

    def read(first: int, last: int) -> np.ndarray:
        return work(*(one[first:last] for one in values))

    return Long(len(values[0]), read)


def parts(values: Values) -> Iterator[np.ndarray]:
    """All of an array: at once, or one part after the other."""
    if isinstance(values, np.ndarray):
        yield values
        return
    for first in range(0, len(values), HELD):
        yield values[first : first + HELD]


def rows(
    block: Callable[[int], Sequence[np.ndarray]], lengths: Sequence[int], sizes: Sequence[int]
) -> list[Long]:
    """The rows of a file that is read by blocks, of which two are kept.

    Args:
        block: gives each row's samples of block 0, 1, ...
        lengths: of the rows.
        sizes: how many samples of each row a block has, if it is not the last.
    """
    kept = lru_cache(maxsize=2)(block)

    def read(row: int, first: int, last: int) -> np.ndarray:
        size = sizes[row]
        if first >= last:
            return kept(0)[row][:0]
        found = [
            kept(k)[row][max(first - k * size, 0) : last - k * size]
            for k in range(first // size, -(-last // size))
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    return [Long(length, partial(read, row)) for row, length in enumerate(lengths)]
