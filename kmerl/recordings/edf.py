"""EDF, EDF+ and BDF (Kemp et al. 1992, 2003; BioSemi), through `edfio`.

The header's numbers are checked against the file's size before the library believes them.
"""

import warnings
from datetime import datetime
from typing import Any

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
from kmerl.recordings.samples import MOST_VALUES

MAIN, EACH = 256, 256  # bytes of the header, and of what it has of each signal
MOST_SIGNALS = 1000


def read(content: bytes, told: Told) -> Contents:
    """Signals with a sampling rate; annotations are none.

    Raises:
        RecordError: the header contradicts the file's size, or there are gaps.
    """
    import edfio

    bdf = content[:1] == b"\xff"
    notes = _check(content, 3 if bdf else 2)
    with warnings.catch_warnings():  # of what `_check` says in our words
        warnings.simplefilter("ignore")
        file = (edfio.read_bdf if bdf else edfio.read_edf)(content, header_encoding="latin-1")
        if content[192:197].rstrip() in (b"EDF+D", b"BDF+D") and not file.is_continuous():
            raise RecordError("it is interrupted (EDF+D); export a part without gaps")
        channels = tuple(map(_channel, file.signals))
    date = when(content[168:184].decode("latin-1"), "%d.%m.%y%H.%M.%S", "%d.%m.%y%H:%M:%S")
    return Contents(channels, notes=notes, date=date, person=_person(content, date))


def _check(content: bytes, width: int) -> tuple[str, ...]:
    """What is said of a file that has another length than its header says.

    Raises:
        RecordError: the header says what cannot be.
    """
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
    room = len(content) - MAIN - EACH * signals
    if room < sum(counts) * width:
        raise RecordError(
            f"it is cut: {room} bytes of data, a data record has {sum(counts) * width}"
        )
    if room // width > MOST_VALUES:
        raise RecordError(f"{room // width} samples; at most {MOST_VALUES} are read")
    records, rest = divmod(room, sum(counts) * width)
    if said in (-1, records) and not rest:
        return ()
    return (f"its header says {said} data records, it has {records}{' and a part' * bool(rest)}",)


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
