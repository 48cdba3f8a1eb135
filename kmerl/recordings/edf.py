"""EDF, EDF+ and BDF (Kemp et al. 1992, 2003; BioSemi), through `edfio`.

The header's numbers are checked against the file's size before the library believes them. Of a long
file the library is given some data records at a time, as a file of their own.
"""

import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kmerl.recordings import long
from kmerl.recordings.recording import (
    Channel,
    Contents,
    Person,
    RecordError,
    Told,
    age_of,
    sex_of,
    when,
)

MAIN, EACH = 256, 256  # bytes of the header, and of what it has of each signal
GAPS = "it is interrupted (EDF+D); export a part without gaps"
MOST_SIGNALS = 1000


def read(content: bytes, told: Told) -> Contents:
    """Signals with a sampling rate; annotations are none.

    Raises:
        RecordError: the header contradicts the file's size, or there are gaps.
    """
    notes, _ = _check(content, len(content))
    file = _file(content)
    if _may_have_gaps(content) and not file.is_continuous:
        raise RecordError(GAPS)
    return _contents(content, tuple(map(_channel, file.signals)), notes)


def read_long(path: Path, told: Told) -> Contents:
    """Likewise of a file that is too long to be held: its data records are read where a signal is
    sliced, each time as the file that they would be alone."""
    with path.open("rb") as opened:
        head = opened.read(MAIN)
        head += opened.read(EACH * int(head[252:256]) if head[252:256].strip().isdigit() else 0)
    notes, record = _check(head, path.stat().st_size)
    records = (path.stat().st_size - len(head)) // record
    each = max(2 * long.HELD // record, 1)

    def part(first: int, last: int) -> Any:
        with path.open("rb") as opened:
            opened.seek(len(head) + first * record)
            body = opened.read((min(last, records) - first) * record)
        return _file(head[:236] + b"%-8d" % (len(body) // record) + head[244:] + body)

    if _may_have_gaps(head):
        for first in range(0, records, each):  # each part with the record before it
            if not part(max(first - 1, 0), first + each).is_continuous:
                raise RecordError(GAPS)
    signals = part(0, 1).signals
    sizes = [each * one.samples_per_data_record for one in signals]
    lengths = [records * one.samples_per_data_record for one in signals]
    values = long.rows(
        lambda block: [one.digital for one in part(block * each, (block + 1) * each).signals],
        lengths,
        sizes,
    )
    channels = (
        replace(_channel(one), values=own) for one, own in zip(signals, values, strict=True)
    )
    return _contents(head, tuple(channels), notes)


def _file(content: bytes) -> Any:
    import edfio

    with warnings.catch_warnings():  # of what `_check` says in our words
        warnings.simplefilter("ignore")
        reader = edfio.read_bdf if _is_bdf(content) else edfio.read_edf
        return reader(content, header_encoding="latin-1")


def _is_bdf(content: bytes) -> bool:
    return content[:1] == b"\xff"


def _may_have_gaps(content: bytes) -> bool:
    return content[192:197].rstrip() in (b"EDF+D", b"BDF+D")


def _contents(content: bytes, channels: tuple[Channel, ...], notes: tuple[str, ...]) -> Contents:
    date = when(content[168:184].decode("latin-1"), "%d.%m.%y%H.%M.%S", "%d.%m.%y%H:%M:%S")
    return Contents(channels, notes=notes, date=date, person=_person(content, date))


def _check(content: bytes, size: int) -> tuple[tuple[str, ...], int]:
    """What is said of a file that has another length than its header says, and the bytes of a data
    record.

    Args:
        content: the header at least.
        size: of the file.

    Raises:
        RecordError: the header says what cannot be.
    """
    width = 3 if _is_bdf(content) else 2
    try:
        signals = int(content[252:256])
        if not 0 < signals <= MOST_SIGNALS or len(content) < MAIN + EACH * signals:
            raise ValueError
        start = MAIN + 216 * signals
        counts = [int(content[start + 8 * k : start + 8 * k + 8]) for k in range(signals)]
        seconds, said = float(content[244:252]), int(content[236:244])
        if min(counts) < 0 or not sum(counts) or not 0 <= seconds < 1e6:
            raise ValueError
    except ValueError:
        raise RecordError("its header is none of EDF: numbers that can be none") from None
    room = size - MAIN - EACH * signals
    if room < sum(counts) * width:
        raise RecordError(
            f"it is cut: {room} bytes of data, a data record has {sum(counts) * width}"
        )
    if room // width > long.MOST:
        raise RecordError(f"{room // width} samples; at most {long.MOST} are read")
    record = sum(counts) * width
    records, rest = divmod(room, record)
    if said in (-1, records) and not rest:
        return (), record
    return (
        f"its header says {said} data records, it has {records}{' and a part' * bool(rest)}",
    ), record


def _channel(one: Any) -> Channel:
    """Digital values, with the gain and the offset of the header's two ranges."""
    steps = one.digital_max - one.digital_min
    span = one.physical_max - one.physical_min
    gain = span / steps if steps else 0.0
    if not gain:
        raise RecordError(f"signal {one.label!r} has an empty range in the header: no gain")
    return Channel(
        name=one.label,
        values=one.digital,
        unit=one.physical_dimension,
        rate=one.sampling_frequency,
        gain=gain,
        offset=one.physical_min - one.digital_min * gain,
    )


def _person(content: bytes, date: datetime | None) -> Person:
    """EDF+ writes code, sex, birth date and name, between blanks; plain EDF what it likes."""
    parts = content[8:88].decode("latin-1").split()
    if len(parts) < 3 or parts[1] not in ("M", "F", "X"):
        return Person()
    identity = "" if parts[0] == "X" else parts[0]
    return Person(identity, age_of(when(parts[2], "%d-%b-%Y"), date), sex_of(parts[1]))
