"""WFDB records of one's own, through the reader that ingest has; leads by their devices' names."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kmerl.recordings import assembling, long, names, wfdb_files
from kmerl.recordings.headers import read_header
from kmerl.recordings.recording import Person, RecordError, Recording, Told, sex_of, when
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.signal import NAN

KIND = "WFDB"
STARTED = ("%H:%M:%S %d/%m/%Y", "%H:%M:%S.%f %d/%m/%Y")


def read(path: Path, told: Told) -> Recording:
    """The record with the header `path` (.hea).

    Raises:
        RecordError: it is damaged, or has no lead, or a person says what the header says.
    """
    if told.rate or told.unit:
        option = "--rate" if told.rate else "--unit"
        raise RecordError(f"{path}: a WFDB header gives rate and units; leave out {option}")
    made: list[names.Choice] = []

    def chosen(found: Sequence[str]) -> dict[str, int]:
        made.append(names.choose(found, told.leads))
        return made[0].rows

    try:
        header = read_header(path)
        signal: Sequence[long.Values]
        held = wfdb_files.frames(path, header) * max(len(header.signals), 1) <= long.HELD
        if held:
            found = wfdb_files.read_recording(path, header, chosen)
            signal = list(found.signal)
        else:
            found, signal = wfdb_files.read_long(path, header, chosen)
    except RejectedRecord as rejected:
        raise RecordError(
            f"{path}: {rejected.reason.replace('_', ' ')}: {rejected.detail}"
        ) from None
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None
    choice = made[0]
    source = str(path.with_suffix(""))
    assembling.check_leads(source, choice)
    leads = {
        lead: values if choice.signs[lead] > 0 else long.each(_turned, values)
        for lead, values in zip(found.leads, signal, strict=True)
    }
    doubts = found.doubts
    if found.saturated:
        doubts = doubts | {"saturated": f"{found.saturated} samples"}
    age = re.match(r"\d{1,3}", header.comment("Age") or header.comment("age"))
    person = Person(
        identity=header.name,
        age=float(age[0]) if age else None,
        sex=sex_of(header.comment("Sex") or header.comment("sex")),
    )
    recording = Recording(
        source=source,
        rate=found.rate,
        leads=leads,
        doubts=doubts,
        notes=choice.notes,
        left_out=choice.left_out,
        kind=KIND,
        date=when(header.started, *STARTED),
        person=person,
    )
    return assembling.finish(recording, told.derive)


def _turned(values: np.ndarray) -> np.ndarray:
    return np.where(values == NAN, NAN, -values)
