"""Bytes of the file formats the corpora use: WFDB format 16, MATLAB v4, CSV, SHA256SUMS."""

import csv
import hashlib
import io
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmerl.leads import LEADS

Samples = NDArray[np.int16]


def rows_of(samples: Samples, leads: Sequence[str]) -> Samples:
    """(12, sample) in the standard order -> the rows of `leads`, in their order."""
    return samples[[LEADS.index(lead) for lead in leads]]


def interleaved(samples: Samples) -> bytes:
    """(lead, sample) int16 as WFDB format 16: little endian, all leads of a sample together."""
    return np.ascontiguousarray(samples.T, dtype="<i2").tobytes()


def matlab(samples: Samples) -> bytes:
    """(lead, sample) int16 as a MATLAB v4 file with the one variable `val`."""
    leads, count = samples.shape
    int16_little_endian_full = 30
    header = struct.pack("<5i4s", int16_little_endian_full, leads, count, 0, 4, b"val\0")
    return header + interleaved(samples)


def checksums(samples: Samples, signed: bool) -> list[int]:
    """WFDB's checksum of each lead: the sum of its samples in 16 bits."""
    sums = samples.sum(axis=1, dtype=np.int64) & 0xFFFF
    return [int(s) - 0x10000 if signed and s >= 0x8000 else int(s) for s in sums]


def header(
    record: str,
    names: Sequence[str],
    samples: Samples,
    *,
    suffix: str,
    encoding: str,
    rate: int,
    moment: str = "",
    signed: bool = False,
    comments: Iterable[str] = (),
) -> bytes:
    """A WFDB header: one line for the record, one a lead, then comments.

    Args:
        suffix: of the file with the samples: "dat" or "mat".
        encoding: format and gain, e.g. "16 1000.0(0)/mV", or "16+24 1000/mV" where 24 bytes
            come before the samples.
        moment: what follows the sample count on the first line.
        signed: checksums as signed numbers.
    """
    first = f"{record} {len(samples)} {rate} {samples.shape[1]} {moment}".rstrip()
    lines = [
        f"{record}.{suffix} {encoding} 16 0 {int(lead[0])} {check} 0 {name}"
        for name, lead, check in zip(names, samples, checksums(samples, signed), strict=True)
    ]
    return ("\n".join([first, *lines, *comments]) + "\n").encode()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file; None is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sha256sums(digests: dict[str, str]) -> bytes:
    """PhysioNet's SHA256SUMS.txt: digest, space, path, sorted by path."""
    return "".join(f"{digests[path]} {path}\n" for path in sorted(digests)).encode()


def text_lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
