"""The samples of a WFDB record as its files hold them: how many first, from the files' sizes.

A header that says another number is refused before anything is read or allocated.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kmerl.recordings.headers import Header, SignalLine, bytes_of
from kmerl.recordings.rejecting import RejectedRecord

MOST_VALUES = 2**26  # samples of all signals together that are read at once: 128 MiB
BYTES = {  # of so many samples in a file: (bytes, samples); None where they are compressed
    **dict.fromkeys(("8", "80"), (1, 1)),
    **dict.fromkeys(("16", "61", "160"), (2, 1)),
    **{"24": (3, 1), "32": (4, 1), "212": (3, 2), "310": (4, 3), "311": (4, 3)},
    **dict.fromkeys(("508", "516", "524")),
}
PLAIN = {"16": "<i2", "61": ">i2"}

Span = tuple[int, int] | None
"""The first frame that is read, and the last, which is not; None for all."""


def is_plain(signals: Sequence[SignalLine]) -> bool:
    """Whether all signals are interleaved int16 samples of one file."""
    first = signals[0]
    return first.format in PLAIN and all(
        (s.frame, s.skew, s.format, s.file, s.offset)
        == (1, 0, first.format, first.file, first.offset)
        for s in signals
    )


def length(path: Path, header: Header) -> int:
    """Frames of a recording, from the sizes of its files before any of them is read.

    Raises:
        RejectedRecord: a file has another size than the header's samples need, the format is
            unknown, or there are no samples.
    """
    samples = header.samples
    for file in dict.fromkeys(line.file for line in header.signals):
        lines = [line for line in header.signals if line.file == file]
        if len({(line.format, line.offset) for line in lines}) > 1:
            raise RejectedRecord("unreadable_header", f"{file}: two formats or offsets in one file")
        if lines[0].format not in BYTES:
            raise RejectedRecord("unreadable_signal", f"{file}: wfdb knows no such format")
        size, block = bytes_of(path.with_name(file), "missing_file"), BYTES[lines[0].format]
        if block is None:  # the bytes do not tell how many samples there are
            continue
        room, frame = max(size - lines[0].offset, 0), sum(line.frame for line in lines)
        found = room * block[1] // block[0] // frame
        samples = samples or found
        if found < samples or not samples:
            raise RejectedRecord("truncated", _lengths(file, found, header))
        used = -(-samples * frame // block[1]) * block[0]  # with a last block that is not full
        if (room - used) * block[1] // block[0] >= frame:
            raise RejectedRecord("wrong_length", _lengths(file, found, header))
    if not samples:
        raise RejectedRecord("wrong_length", f"{path.name}: no samples")
    return samples


def spanned(path: Path, header: Header, span: Span) -> tuple[int, int]:
    """The first frame that is read, and the last, which is not.

    Raises:
        RejectedRecord: as `length`, or they are not there, or more than are read at once.
    """
    samples = length(path, header)
    first, last = span or (0, samples)
    if last > samples:
        raise RejectedRecord("wrong_length", f"{path.name}: {samples} samples, {last} are asked of")
    bound(path.name, last - first, sum(line.frame for line in header.signals))
    return first, last


def bound(file: str, samples: int, signals: int) -> None:
    if samples * signals > MOST_VALUES:
        told = f"{samples} samples of {signals} signals; at most {MOST_VALUES} in all are read"
        raise RejectedRecord("wrong_length", f"{file}: {told}")


def _lengths(file: str, found: int, header: Header) -> str:
    return f"{file}: {found} samples a lead, the header says {header.samples}"


def read_plain(path: Path, header: Header, span: Span = None) -> np.ndarray:
    """The samples of a file of such samples: int16 (sample, signal)."""
    count, (first, last) = len(header.signals), spanned(path, header, span)
    line = header.signals[0]
    file, dtype = path.with_name(line.file), PLAIN[line.format]
    offset = line.offset + 2 * first * count
    flat = np.fromfile(file, dtype, (last - first) * count, offset=offset)
    return flat.reshape(last - first, count).astype("<i2", copy=False)


def sums_of(frames: np.ndarray) -> np.ndarray:
    """Sum of each signal of `read_plain` in 16 bits: by blocks, far faster than by columns."""
    block = 100
    whole = len(frames) // block * block
    parts = frames[:whole].reshape(-1, block * frames.shape[1]).sum(axis=0, dtype=np.int16)
    ends = np.concatenate([parts.reshape(block, -1), frames[whole:]])
    return np.asarray(ends.sum(axis=0, dtype=np.int16))


def through_wfdb(path: Path, header: Header, span: Span = None) -> list[np.ndarray]:
    """Digital values of each signal, in any other WFDB format, at a hundredth of the speed."""
    first, last = spanned(path, header, span)
    with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
        warnings.simplefilter("ignore")
        import wfdb  # slow to import, and no corpus here needs it
    try:
        name, end = str(path.with_suffix("")), last if span else None
        record = wfdb.rdrecord(name, first, end, physical=False, smooth_frames=False)
    except Exception as error:  # whatever a malformed file makes wfdb raise
        raise RejectedRecord("unreadable_signal", f"wfdb: {type(error).__name__}") from None
    digital: list[np.ndarray] = record.e_d_signal
    frames = last - first
    if [len(values) for values in digital] != [frames * line.frame for line in header.signals]:
        raise RejectedRecord("unreadable_signal", "wfdb reads another length than the header has")
    return digital
