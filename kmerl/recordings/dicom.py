"""DICOM waveforms (PS3.3, C.10.9), through `pydicom`: 12-lead, general and ambulatory ECG.

Multiplex groups that begin together at one rate and length are one recording; medians, other
groups and channels that measure no ECG are left out by their names.
"""

import io
import warnings
from typing import TYPE_CHECKING, Any

from kmerl.recordings import names
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

if TYPE_CHECKING:
    from pydicom import Dataset

DEFLATED = b"1.2.840.10008.1.2.1.99"
LINEAR = ("SB", "UB", "SS", "US", "SL", "UL")  # how samples are stored that are no logarithms
CODE = "5.6.3-9-", "2:"  # before a lead's number, in SCP-ECG's and in IEEE 11073's scheme


def read(content: bytes, told: Told) -> Contents:
    """The channels of the multiplex group that has most of them, and of those beside it.

    Raises:
        RecordError: it has no waveform, more than is read, or samples that are no plain numbers.
    """
    import pydicom

    if DEFLATED in content:  # pydicom would inflate it without a bound
        raise RecordError("it is deflated; write it with another transfer syntax")
    with warnings.catch_warnings():  # of values that break the standard, none of which is used
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(io.BytesIO(content))
        groups = list(data.get("WaveformSequence", []))
        if not groups:
            raise RecordError(f"it has no waveform; it is of class {data.SOPClassUID.name}")
        return _contents(data, [_Group(data, place) for place in range(len(groups))])


class _Group:
    """A multiplex group: what it is called, when and how it was sampled, its channels."""

    def __init__(self, data: "Dataset", place: int) -> None:
        from pydicom.waveforms import multiplex_array

        item: Any = data.WaveformSequence[place]
        self.label = str(item.get("MultiplexGroupLabel", "")) or f"group {place + 1}"
        self.samples, count = int(item.NumberOfWaveformSamples), int(item.NumberOfWaveformChannels)
        self.rate = float(item.SamplingFrequency)
        self.grid = (self.samples, self.rate, float(item.get("MultiplexGroupTimeOffset", 0) or 0))
        self.derived = str(item.get("WaveformOriginality", "")).upper() == "DERIVED"
        bits, kind = int(item.WaveformBitsAllocated), str(item.WaveformSampleInterpretation)
        if kind not in LINEAR:
            raise RecordError(f"{self.label}: samples of kind {kind} are not read")
        held = len(item.WaveformData)
        if min(self.samples, count) < 1 or self.samples * count > MOST_VALUES:
            raise RecordError(f"{self.label}: {self.samples} samples of {count} channels are none")
        if held < self.samples * count * bits // 8:
            raise RecordError(
                f"{self.label} is cut: {held} bytes of {count} x {self.samples} samples"
            )
        values = multiplex_array(data, place, as_raw=True)
        padding = item.get("WaveformPaddingValue")
        missing = int.from_bytes(padding, "little", signed=kind[0] == "S") if padding else None
        self.channels = tuple(
            _channel(one, values[:, row], self.rate, missing)
            for row, one in enumerate(item.ChannelDefinitionSequence)
        )


def _channel(one: Any, values: Any, rate: float, missing: int | None) -> Channel:
    units = one.get("ChannelSensitivityUnitsSequence")
    gain = float(one.get("ChannelSensitivity", 1) or 1)
    return Channel(
        name=_name(one),
        values=values,
        unit=str(units[0].get("CodeValue", "")) if units and "ChannelSensitivity" in one else "",
        rate=rate,
        gain=gain * float(one.get("ChannelSensitivityCorrectionFactor", 1) or 1),
        offset=float(one.get("ChannelBaseline", 0) or 0),
        missing=missing,
    )


def _name(one: Any) -> str:
    """A channel's name in words where these name a lead, else by its code, its own label."""
    source = (one.get("ChannelSourceSequence") or [{}])[0]
    words, code = str(source.get("CodeMeaning", "")), str(source.get("CodeValue", ""))
    if names.named(words):
        return words
    for scheme in CODE:
        number = code.removeprefix(scheme)
        if number != code and number.isdigit() and int(number) in names.NUMBERED:
            return names.NUMBERED[int(number)]
    return words or str(one.get("ChannelLabel", "")) or code


def _contents(data: Any, groups: list[_Group]) -> Contents:
    measured = [group for group in groups if not group.derived] or groups
    main = max(measured, key=lambda group: (len(group.channels), group.samples / group.rate))
    left_out: dict[str, str] = {}
    channels: list[Channel] = []
    for place, group in enumerate(groups):
        if group.grid == main.grid and group.derived == main.derived:
            channels += group.channels
            continue
        seconds = f"{group.samples / group.rate:g} s from {group.grid[2] / 1000:g} s on"
        held = ", ".join(one.name for one in group.channels)
        why = "computed by the device, such as a median beat" if group.derived else seconds
        names.add(left_out, f"{group.label} ({held})", place, why)
    date = when(
        str(data.get("AcquisitionDateTime", "") or data.get("ContentDate", ""))[:14],
        "%Y%m%d%H%M%S",
        "%Y%m%d%H%M",
        "%Y%m%d",
    )
    born = when(str(data.get("PatientBirthDate", "") or ""), "%Y%m%d")
    age = str(data.get("PatientAge", "") or "")
    years = float(age[:-1]) if age[-1:] == "Y" and age[:-1].isdigit() else age_of(born, date)
    sex = sex_of(str(data.get("PatientSex", "") or ""))
    person = Person(str(data.get("PatientID", "") or ""), years, sex)
    return Contents(tuple(channels), left_out=left_out, date=date, person=person)
