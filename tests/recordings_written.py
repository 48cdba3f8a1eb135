"""One ECG as every format of `kmerl.recordings` has it, written by a library or by hand.

`python -m tests.recordings_written` prints the table of docs/recordings.md.
"""

import base64
import binascii
import struct
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.io import savemat

from kmerl import recordings
from kmerl.leads import LEADS
from tests.report_run import heartbeats, lawful

with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
    warnings.simplefilter("ignore")
    import wfdb

RATE = 500
STORED = ("I", "II", *LEADS[6:])  # what devices store that derive the others
Leads = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A file: written by what, how it is read, and what is left out of it.

    `write` gives the file's path and microvolts by lead, as far as its steps can hold them.
    """

    by: str
    write: Callable[[Path, Leads], tuple[Path, Leads]]
    out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    told: dict[str, Any] = field(default_factory=dict)


def beats() -> Leads:
    """Ten seconds of twelve leads that keep Einthoven's law, in whole microvolts at 500 Hz."""
    made = lawful(heartbeats(72, np.random.default_rng(3)))
    return made | {"V6": made["I"]}


def steps(leads: Leads, step: float, stored: tuple[str, ...] = LEADS) -> tuple[Leads, Leads]:
    """Digital values of so many microvolts, and the microvolts that they stand for."""
    digital = {lead: np.rint(leads[lead] / step).astype(np.int16) for lead in stored}
    return digital, {lead: np.rint(values * step) for lead, values in digital.items()}


# ---------------------------------------------------------------- libraries


def wfdb_212(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    digital, held = steps(leads, 5)
    names = {"II": "MLII", "V1": "V1-LA"}
    signal = np.stack([*digital.values(), np.arange(5000) % 100], axis=1).astype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            "a", RATE, ["mV"] * 12 + ["mmHg"], [names.get(lead, lead) for lead in LEADS] + ["ABP"],
            d_signal=signal, fmt=["212"] * 13, adc_gain=[200.0] * 13, baseline=[0] * 13,
            write_dir=str(folder),
        )  # fmt: skip
    return folder / "a.hea", held


def edf(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    from edfio import Edf, EdfAnnotation, EdfSignal

    wide = {"physical_range": (-32768, 32767), "physical_dimension": "uV"}
    signals = [
        EdfSignal(leads[lead].astype(float), RATE, label=f"ECG {lead}", **wide) for lead in LEADS
    ]
    spo2 = EdfSignal(np.full(10, 97.0), 1, label="SpO2", physical_dimension="%",
                     physical_range=(0, 100))  # fmt: skip
    Edf([*signals, spo2], annotations=[EdfAnnotation(1, None, "step")]).write(folder / "a.edf")
    return folder / "a.edf", leads


def bdf(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    """Coupled directly: 120 mV of electrode offset, of which the median is taken away."""
    from edfio import Bdf, BdfSignal

    wide = {"physical_range": (-8388608, 8388607), "physical_dimension": "uV"}
    few = {lead: leads[lead] for lead in ("I", "II")}
    signals = [BdfSignal(one + 120_000.0, RATE, label=lead, **wide) for lead, one in few.items()]
    Bdf(signals).write(folder / "a.bdf")
    return folder / "a.bdf", {lead: one - np.median(one) for lead, one in few.items()}


def dicom(folder: Path, leads: Leads, kind: str = "12-lead", **changed: Any) -> tuple[Path, Leads]:
    from pydicom import uid
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

    classes = {
        "12-lead": uid.TwelveLeadECGWaveformStorage,
        "general": uid.GeneralECGWaveformStorage,
        "ambulatory": uid.AmbulatoryECGWaveformStorage,
        "hemodynamic": uid.HemodynamicWaveformStorage,
    }
    digital, held = steps(leads, 2.5)
    data = FileDataset(str(folder / "a.dcm"), {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = classes[kind]
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid.generate_uid()
    data.PatientID, data.PatientSex, data.PatientAge = "p7", "F", "061Y"
    data.AcquisitionDateTime = "20240131120000"

    def channel(name: str, unit: str, sensitivity: float) -> Dataset:
        one, source, measure = Dataset(), Dataset(), Dataset()
        source.CodeMeaning, source.CodeValue = name, "0"
        source.CodingSchemeDesignator = measure.CodingSchemeDesignator = "x"
        measure.CodeValue, measure.CodeMeaning = unit, unit
        one.ChannelSourceSequence, one.ChannelSensitivityUnitsSequence = [source], [measure]
        one.ChannelSensitivity, one.ChannelSensitivityCorrectionFactor = sensitivity, 1
        one.ChannelBaseline, one.WaveformBitsStored = 0, 16
        return one

    def group(label: str, names: dict[str, str], values: np.ndarray, derived: bool) -> Dataset:
        item = Dataset()
        item.MultiplexGroupLabel, item.WaveformOriginality = (
            label,
            "DERIVED" if derived else "ORIGINAL",
        )
        item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = values.shape
        item.SamplingFrequency, item.WaveformBitsAllocated = RATE, 16
        item.WaveformSampleInterpretation = "SS"
        item.ChannelDefinitionSequence = [channel(name, unit, 2.5) for name, unit in names.items()]
        item.WaveformData = np.ascontiguousarray(values.T, "<i2").tobytes()
        for name, value in changed.items():
            setattr(item, name, value)
        return item

    names = {f"Lead {lead}": "uV" for lead in LEADS}
    values = np.stack(list(digital.values()))
    if kind == "hemodynamic":
        names |= {"Left ventricular pressure": "mmHg"}
        values = np.concatenate([values, values[:1]])
    groups = [group("RHYTHM", names, values, False)]
    if kind == "12-lead":
        groups.append(group("MEDIAN BEAT", names, values[:, :600], True))
    data.WaveformSequence = groups
    data.save_as(folder / "a.dcm", enforce_file_format=True)
    return folder / "a.dcm", held


def mat5(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    names = np.array([f"Lead {lead}" for lead in LEADS], dtype=object)
    held = {"ecg": np.stack(list(leads.values())) / 1000, "fs": 500.0, "leads": names, "unit": "mV"}
    savemat(folder / "a.mat", held, do_compression=True)
    return folder / "a.mat", leads


def mat4(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    savemat(folder / "a.mat", {"val": np.stack(list(leads.values()))}, format="4")
    return folder / "a.mat", leads


def npy(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    np.save(folder / "a.npy", np.stack([leads[lead] for lead in ("I", "II", "V1")], axis=1))
    return folder / "a.npy", {lead: leads[lead] for lead in ("I", "II", "V1")}


def npz(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    digital, held = steps(leads, 4.88)
    names = [f"MDC_ECG_LEAD_{lead}" for lead in LEADS]
    np.savez_compressed(
        folder / "a.npz", signal=np.stack(list(digital.values())), fs=500, leads=names
    )
    return folder / "a.npz", held


def parquet(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    table = pd.DataFrame({"time": np.arange(5000) / RATE, "note": "x"} | {
        f"{lead} (mV)": one / 1000 for lead, one in leads.items()})  # fmt: skip
    table.to_parquet(folder / "a.parquet")
    return folder / "a.parquet", leads


# ---------------------------------------------------------------- by hand, from the specification


def aecg(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    digital, held = steps(leads, 5)
    codes = {"aVR": "MDC_ECG_LEAD_AVR"}
    sequences = "".join(
        f'<component><sequence><code code="{codes.get(lead, f"MDC_ECG_LEAD_{lead}")}"/>'
        '<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/><scale value="5" unit="uV"/>'
        f"<digits>{' '.join(map(str, one))}</digits></value></sequence></component>"
        for lead, one in digital.items()
    )
    times = (
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        '<head value="20240131120000.000"/><increment value="0.002" unit="s"/></value>'
        "</sequence></component>"
    )
    held_set = f"<component><sequenceSet>{times}{sequences}</sequenceSet></component>"
    beat = times + sequences[: sequences.index("</component>") + len("</component>")]
    derived = (
        '<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/><component><sequenceSet>'
        f"{beat}</sequenceSet></component></derivedSeries></derivation>"
    )
    (folder / "a.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><componentOf><trialSubject>'
        '<id extension="s1"/><subjectDemographicPerson><administrativeGenderCode code="M"/>'
        '<birthTime value="19600101"/></subjectDemographicPerson></trialSubject></componentOf>'
        '<component><series><code code="RHYTHM"/><effectiveTime><low value="20240131120000.000"/>'
        f"</effectiveTime>{held_set}{derived}</series></component></AnnotatedECG>",
        encoding="utf-8",
    )
    return folder / "a.xml", held


def muse(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    digital, held = steps(leads, 4.88, STORED)
    waves = []
    for kind, count in (("Median", 600), ("Rhythm", 5000)):
        data = "".join(
            f"<LeadData><LeadSampleCountTotal>{count}</LeadSampleCountTotal>"
            "<LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit>"
            "<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadSampleSize>2</LeadSampleSize>"
            f"<LeadID>{lead}</LeadID><WaveFormData>\n{encoded(one[:count])}</WaveFormData></LeadData>"
            for lead, one in digital.items()
        )
        waves.append(
            f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>500</SampleBase>"
            f"<SampleExponent>0</SampleExponent>{data}</Waveform>"
        )
    (folder / "a.xml").write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd">'
        "<RestingECG><PatientDemographics><PatientID>p7</PatientID><PatientAge>61</PatientAge>"
        "<AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender></PatientDemographics><TestDemographics>"
        "<AcquisitionDate>01-31-2024</AcquisitionDate><AcquisitionTime>12:00:00</AcquisitionTime>"
        f"</TestDemographics>{''.join(waves)}</RestingECG>",
        encoding="latin-1",
    )
    one, two = held["I"], held["II"]
    derived = {
        "III": two - one,
        "aVR": -(one + two) / 2,
        "aVL": one - two / 2,
        "aVF": two - one / 2,
    }
    return folder / "a.xml", held | {lead: np.round(values) for lead, values in derived.items()}


def encoded(values: np.ndarray) -> str:
    return base64.encodebytes(values.astype("<i2").tobytes()).decode()


def lzw(data: bytes) -> bytes:
    """LZW codes of ten bits, the most significant first."""
    table, codes, held = {bytes([k]): k for k in range(256)}, [], b""
    for byte in data:
        if (longer := held + bytes([byte])) in table:
            held = longer
            continue
        codes.append(table[held])
        if len(table) <= 2**10 - 2:
            table[longer] = len(table)
        held = bytes([byte])
    bits = "".join(f"{code:010b}" for code in [*codes, table[held], 2**10 - 1])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def xli(values: np.ndarray) -> bytes:
    """A lead's chunk: second differences, one place behind, high bytes before low ones."""
    whole = values.astype(np.int64)
    bends = 2 * whole[1:-1] - whole[:-2] - whole[2:]
    stored = np.concatenate([whole[:2], bends[1:] + 64, [64]]).astype(">i2").tobytes()
    data = lzw(stored[::2] + stored[1::2])
    return struct.pack("<ihh", len(data), 1, int(bends[0])) + data


def sierra(folder: Path, leads: Leads, version: str = "1.04") -> tuple[Path, Leads]:
    digital, held = steps(leads, 5)
    if version == "1.03":  # as it is
        how, data = "", encoded(np.concatenate(list(digital.values())))
    else:
        how = 'compression="XLI" leadlabels="' + " ".join(LEADS) + '" numberofleads="12"'
        wide = {lead: one.astype(np.int64) for lead, one in digital.items()}
        one, two, three = wide["I"], wide["II"], wide["III"]
        wide["III"] = two - one - three
        wide["aVR"] = -((one + two) // 2) - wide["aVR"]
        wide["aVL"] = (one - three) // 2 - wide["aVL"]
        wide["aVF"] = (two + three) // 2 - wide["aVF"]
        data = base64.encodebytes(b"".join(map(xli, wide.values()))).decode()
    (folder / "a.xml").write_text(
        '<?xml version="1.0"?><restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo>'
        f"<documenttype>SierraECG</documenttype><documentversion>{version}</documentversion>"
        '</documentinfo><dataacquisition date="2024-01-31" time="12:00:00"><signalcharacteristics>'
        "<samplingrate>500</samplingrate><signalresolution>5</signalresolution>"
        "<acquisitiontype>STD-12</acquisitiontype>"
        "<numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics>"
        "</dataacquisition><patient><generalpatientdata><patientid>p7</patientid><age><years>61"
        "</years></age><sex>Female</sex></generalpatientdata></patient><waveforms>"
        f'<parsedwaveforms dataencoding="Base64" durationperchannel="10000" {how}>{data}'
        '</parsedwaveforms><repbeats dataencoding="Base64"><repbeat leadname="I">AAAA</repbeat>'
        "</repbeats></waveforms></restingecgdata>",
        encoding="utf-8",
    )
    return folder / "a.xml", held


def huffman(values: np.ndarray) -> bytes:
    """Second differences in the standard's default code."""
    whole = values.astype(np.int64)
    bends = np.concatenate([whole[:2], whole[2:] - 2 * whole[1:-1] + whole[:-2]])
    words = []
    for one in bends.tolist():
        if not one:
            words.append("0")
        elif abs(one) <= 8:
            words.append("1" * abs(one) + ("00" if one > 0 else "01"))
        elif -128 <= one < 128:
            words.append(f"1111111110{one % 256:08b}")
        else:
            words.append(f"1111111111{one % 65536:016b}")
    bits = "".join(words)
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def scp(
    folder: Path, leads: Leads, coded: bool = True, flags: int = 4 | 13 << 3
) -> tuple[Path, Leads]:
    digital, held = steps(leads, 2.5)
    numbers = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 16: "X"} | {
        3 + k: f"V{k + 1}" for k in range(6)
    }
    parts = {n: digital.get(lead, digital["V6"]) for n, lead in numbers.items()}
    data = [huffman(one) if coded else one.astype("<i2").tobytes() for one in parts.values()]
    rows = b"".join(struct.pack("<IIB", 1, 5000, number) for number in parts)
    day, age = struct.pack("<HBB", 2024, 1, 31), struct.pack("<HB", 61, 1)
    tags = {2: b"p7\0", 4: age, 8: b"\2", 25: day, 26: bytes([12, 0, 0])}
    about = b"".join(struct.pack("<BH", tag, len(one)) + one for tag, one in tags.items())
    rhythm = struct.pack("<HHBB", 2500, 2000, 2 if coded else 0, 0)
    rhythm += struct.pack(f"<{len(data)}H", *map(len, data)) + b"".join(data)
    bodies = {1: about + b"\xff\0\0", 3: struct.pack("BB", len(parts), flags) + rows, 6: rhythm}
    bodies |= {2: struct.pack("<H", 19999)} if coded else {}
    (folder / "a.scp").write_bytes(scp_file(bodies))
    return folder / "a.scp", held


def scp_file(bodies: dict[int, bytes]) -> bytes:
    """Sections behind section 0, with their checksums and lengths."""

    def section(number: int, body: bytes) -> bytes:
        mark = b"SCPECG" if not number else b"\0" * 6
        rest = struct.pack("<HIBB6s", number, 16 + len(body), 20, 20, mark) + body
        return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest

    size = 16 + 10 * 12
    place, pointers, whole = 7 + size, [], b""
    for number in range(1, 12):
        made = section(number, bodies[number]) if number in bodies else b""
        pointers.append(struct.pack("<HII", number, len(made), place if made else 0))
        whole, place = whole + made, place + len(made)
    head = section(0, struct.pack("<HII", 0, size, 7) + b"".join(pointers))
    rest = struct.pack("<I", 6 + len(head) + len(whole)) + head + whole
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


# ---------------------------------------------------------------- text


def table(
    leads: Leads, mark: str = ",", decimal: str = ".", digits: int = 3, times: bool = False
) -> str:
    """Rows of millivolts."""
    columns = [one / 1000 for one in leads.values()]
    columns = [np.arange(5000) / RATE, *columns] if times else columns
    rows = [mark.join(f"{value:.{digits}f}" for value in row) for row in np.stack(columns, axis=1)]
    return "\n".join(rows).replace(".", decimal) + "\n"


def csv_units(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    head = ",".join(["Time (s)", *(f"{lead} [mV]" for lead in LEADS)])
    (folder / "a.csv").write_text(f"{head}\n{table(leads, times=True)}")
    return folder / "a.csv", leads


def csv_commas(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    head = ";".join(["Zeit", *(f"Ableitung {lead} (mV)" for lead in LEADS)])
    text = f"{head}\n{table(leads, ';', ',', times=True)}"
    (folder / "a.csv").write_text(text, encoding="utf-16")
    return folder / "a.csv", leads


def tabs(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    few = {lead: leads[lead] for lead in ("I", "II", "V2")}
    (folder / "a.txt").write_text(table(few, "\t"))
    return folder / "a.txt", few


def physiobank(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    rows = [
        f"'{k // 30000}:{k / 500 % 60:06.3f}',{one:.3f},{two:.3f}"
        for k, (one, two) in enumerate(zip(leads["II"] / 1000, leads["V5"] / 1000, strict=True))
    ]
    head = "'Elapsed time','MLII','V5'\n'hh:mm:ss.mmm','mV','mV'\n"
    (folder / "samples.csv").write_text(head + "\n".join(rows) + "\n")
    return folder / "samples.csv", {"II": leads["II"], "V5": leads["V5"]}


def apple(folder: Path, leads: Leads, words: str = "en") -> tuple[Path, Leads]:
    head = {
        "en": "Name,A B\nDate of Birth,1 Jan 1960\nRecorded Date,2024-01-31 12:00:00 +0100\n"
        'Classification,Sinus Rhythm\nSymptoms,\nSoftware Version,1.90\nDevice,"Watch6,2"\n'
        "Sample Rate,500 hertz\n\n\nLead,Lead I\nUnit,µV\n\n",
        "de": "Name,A B\nAufzeichnungsdatum,2024-01-31 12:00:00 +0100\nMessrate,500 Hertz\n\n"
        "Ableitung,Ableitung I\nEinheit,µV\n\n",
    }[words]
    rows = "\n".join(f"{one}.000" for one in leads["I"].tolist()) + "\n"
    if words == "de":
        rows = "\n".join(f'"{one},000"' for one in leads["I"].tolist()) + "\n"
    (folder / "ecg.csv").write_text(head + rows, encoding="utf-8")
    return folder / "ecg.csv", {"I": leads["I"]}


def kardia(folder: Path, leads: Leads) -> tuple[Path, Leads]:
    head = ",".join(
        f"Lead {lead}" if len(lead) < 4 and lead[0] == "I" else lead for lead in LEADS[:6]
    )
    six = {lead: leads[lead] for lead in LEADS[:6]}
    (folder / "ecg.csv").write_text(f"{head}\n{table(six)}")
    return folder / "ecg.csv", six


def of(write: Callable[..., tuple[Path, Leads]], *more: Any) -> Callable[..., tuple[Path, Leads]]:
    return lambda folder, leads: write(folder, leads, *more)


TOLD = {"rate": 500, "unit": "mV"}
WRITTEN: dict[str, Case] = {
    "WFDB, format 212": Case(
        "wfdb",
        wfdb_212,
        ("ABP",),
        (
            "MLII is read as lead II: a modified lead, with electrodes on other places",
            "V1-LA is read as lead V1: measured against LA",
        ),
    ),
    "EDF+": Case("edfio", edf, ("SpO2",)),
    "BDF": Case(
        "edfio",
        bdf,
        (),
        (
            "lead I: a constant voltage of 120 mV is taken away",
            "lead II: a constant voltage of 120 mV is taken away",
        ),
    ),
    "DICOM, 12-lead": Case(
        "pydicom", dicom, (f"MEDIAN BEAT ({', '.join(f'Lead {lead}' for lead in LEADS)})",)
    ),
    "DICOM, general": Case("pydicom", of(dicom, "general")),
    "DICOM, ambulatory": Case("pydicom", of(dicom, "ambulatory")),
    "DICOM, hemodynamic": Case("pydicom", of(dicom, "hemodynamic"), ("Left ventricular pressure",)),
    "HL7 aECG": Case("hand", aecg, ("REPRESENTATIVE_BEAT (I)",)),
    "GE MUSE XML": Case(
        "hand",
        muse,
        (f"Median ({', '.join(STORED)})",),
        ("III, aVR, aVL, aVF computed from the other limb leads",),
    ),
    "Philips Sierra XML 1.03, base64": Case("hand", of(sierra, "1.03"), ("repbeats (I)",)),
    "Philips Sierra XML 1.04, XLI": Case("hand", sierra, ("repbeats (I)",)),
    "SCP-ECG, Huffman": Case("hand", scp, ("X",)),
    "SCP-ECG, raw": Case("hand", of(scp, False), ("X",)),
    "CSV: times, units": Case("hand", csv_units, ("Time (s)",)),
    "CSV: semicolons, decimal commas, UTF-16": Case("hand", csv_commas, ("Zeit",)),
    "CSV: PhysioBank": Case(
        "hand",
        physiobank,
        ("Elapsed time",),
        ("MLII is read as lead II: a modified lead, with electrodes on other places",),
    ),
    "CSV: Apple Watch": Case("hand", apple),
    "CSV: Apple Watch, German": Case("hand", of(apple, "de")),
    "CSV: Kardia": Case("hand", kardia, told=TOLD),
    "tabs, no header": Case("hand", tabs, told=TOLD | {"channels": "I,II,V2"}),
    "MATLAB 5": Case("scipy", mat5),
    "MATLAB 4": Case("scipy", mat4, told={"rate": 500, "unit": "uV", "channels": "all"}),
    "NumPy .npy": Case("numpy", npy, told={"rate": 500, "unit": "uV", "channels": "I,II,V1"}),
    "NumPy .npz": Case("numpy", npz, told={"unit": "4.88uV"}),
    "Parquet": Case("pandas", parquet, ("time", "note")),
}


HEAD = """| format | written by | said beside it | leads | largest error | left out | notes |
|---|---|---|---|---|---|---|"""


def row(title: str, read: recordings.Recording, held: Leads) -> str:
    """A line of the table in docs/recordings.md: a format, read back."""
    case = WRITTEN[title]
    worst = max(int(np.abs(read.leads[lead] - held[lead]).max()) for lead in held)
    told = " ".join(f"`--{name} {value}`" for name, value in case.told.items())
    out = "; ".join(f"{name}: {why}" for name, why in read.left_out.items())
    cells = [title, case.by, told, f"{len(read.leads)}", f"{worst} µV", out, "; ".join(read.notes)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    print(HEAD)
    for title, case in WRITTEN.items():
        with tempfile.TemporaryDirectory() as folder:
            path, held = case.write(Path(folder), beats())
            print(row(title, recordings.read(path, **case.told), held))


if __name__ == "__main__":
    main()
