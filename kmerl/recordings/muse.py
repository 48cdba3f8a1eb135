"""GE MUSE XML (RestingECG): eight leads stored, the other four as the device derives them."""

from typing import Any

from kmerl.recordings import names, xml_trees
from kmerl.recordings.recording import Channel, Contents, Person, RecordError, Told, sex_of, when

DATES = ("%m-%d-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%m-%d-%Y", "%Y-%m-%d")


def read(content: bytes, told: Told) -> Contents:
    """The rhythm's leads; median beats and later waveforms are left out by name.

    Raises:
        RecordError: there is no rhythm, or a lead is shorter than it says.
    """
    root = xml_trees.parse(content)
    waves = root.findall("Waveform")
    rhythm = [one for one in waves if _kind(one).lower() != "median"]
    if not rhythm:
        raise RecordError("it has no rhythm waveform")
    left_out: dict[str, str] = {}
    for place, one in enumerate(waves):
        if one is not rhythm[0]:
            held = ", ".join(xml_trees.text(lead, "LeadID") for lead in one.findall("LeadData"))
            why = "computed by the device" if _kind(one).lower() == "median" else "another waveform"
            names.add(left_out, f"{_kind(one)} ({held})", place, why)
    base = xml_trees.number(rhythm[0], "SampleBase", "SampleBase")
    exponent = xml_trees.text(rhythm[0], "SampleExponent")
    rate = base * 10.0 ** xml_trees.as_number(exponent or "0", "SampleExponent")
    channels = tuple(_channel(one, rate) for one in rhythm[0].findall("LeadData"))
    test = root.find("TestDemographics")
    stamp = f"{xml_trees.text(test, 'AcquisitionDate')} {xml_trees.text(test, 'AcquisitionTime')}"
    return Contents(
        channels,
        left_out=left_out,
        derived=True,
        date=when(stamp, *DATES),
        person=_person(root.find("PatientDemographics")),
    )


def _kind(wave: Any) -> str:
    return xml_trees.text(wave, "WaveformType") or "Rhythm"


def _channel(lead: Any, rate: float) -> Channel:
    name = xml_trees.text(lead, "LeadID")
    if xml_trees.text(lead, "LeadSampleSize") not in ("", "2"):
        raise RecordError(f"lead {name}: samples of another size than two bytes")
    values = xml_trees.int16(xml_trees.text(lead, "WaveFormData"), f"lead {name}")
    said = xml_trees.text(lead, "LeadSampleCountTotal")
    if said and xml_trees.as_number(said, "LeadSampleCountTotal") != len(values):
        raise RecordError(f"lead {name} has {len(values)} samples, the file says {said}")
    step = xml_trees.text(lead, "LeadAmplitudeUnitsPerBit")
    return Channel(
        name=name,
        values=values,
        unit=xml_trees.text(lead, "LeadAmplitudeUnits") if step else "",
        rate=rate,
        gain=xml_trees.as_number(step, f"lead {name}'s units a bit") if step else 1.0,
        missing=-32768,
    )


def _person(person: Any) -> Person:
    age, unit = xml_trees.text(person, "PatientAge"), xml_trees.text(person, "AgeUnits").upper()
    years = float(age) if age.isdigit() and unit in ("", "YEARS") else None
    identity = xml_trees.text(person, "PatientID")
    return Person(identity, years, sex_of(xml_trees.text(person, "Gender")))
