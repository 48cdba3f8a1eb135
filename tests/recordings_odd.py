"""Files that something is odd about, and what is said of each: errors, notes, channels left out.

`python -m tests.recordings_odd` prints the second table of docs/recordings.md.
"""

import io
import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from kmerl import recordings
from kmerl.predict import preparing
from tests import recordings_written as written
from tests.recordings_written import Leads

Write = Callable[[Path, Leads], Path]
HUM = 400 * np.sin(2 * np.pi * 50 * np.arange(5000) / 500)


class Odd(NamedTuple):
    """A file, a part of what is said of it, and what a person says beside it."""

    write: Write
    says: str
    told: Mapping[str, Any] = MappingProxyType({})


def said(path: Path, told: Mapping[str, Any]) -> str:
    """All that `kmerl predict` would say of a file, in one text."""
    try:
        found = preparing.choose(recordings.read(path, **told), None)
        made = preparing.prepare(found, 500, 5000)
    except recordings.RecordError as error:
        return str(error)
    out = [f"left out: {name} ({why})" for name, why in made.left_out.items()]
    return "; ".join([*out, *made.notes])


def holding(name: str, content: bytes) -> Write:
    def write(folder: Path, _: Leads) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def npz(change: Callable[[Leads], Leads], rate: float = 500, **more: Any) -> Write:
    """An archive of what becomes of the leads."""

    def write(folder: Path, leads: Leads) -> Path:
        changed = change({lead: one.astype(float) for lead, one in leads.items()})
        held = {"signal": np.stack(list(changed.values())), "leads": list(changed), "fs": rate}
        np.savez(folder / "a.npz", **({"unit": "uV"} | held | more))
        return folder / "a.npz"

    return write


def edited(
    write: Callable[..., tuple[Path, Leads]], change: Callable[[bytes], bytes], *more: Any
) -> Write:
    """A file as it was written, its bytes changed."""

    def made(folder: Path, leads: Leads) -> Path:
        path, _ = write(folder, leads, *more)
        path.write_bytes(change(path.read_bytes()))
        return path

    return made


def only(write: Callable[..., tuple[Path, Leads]], **more: Any) -> Write:
    return lambda folder, leads: write(folder, leads, **more)[0]


def arms(leads: Leads) -> Leads:
    """With the electrodes of the arms on each other's places."""
    swapped = {"I": -leads["I"], "II": leads["III"], "III": leads["II"]}
    return leads | swapped | {"aVR": leads["aVL"], "aVL": leads["aVR"]}


def huge() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (12, 10**11)}
    )
    return file.getvalue() + b"\0" * 64


def folder_alone(folder: Path, _: Leads) -> Path:
    return folder


def without_header(folder: Path, leads: Leads) -> Path:
    path, _ = written.wfdb_212(folder, leads)
    path.unlink()
    return path.with_suffix(".dat")


CSV = {"rate": 500, "unit": "mV"}
ROWS = b"0.1,0.2\n" * 50
BOMB = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><AnnotatedECG>&c;</AnnotatedECG>'
ODD: dict[str, Odd] = {
    "empty": Odd(holding("a.edf", b""), "is empty"),
    "a folder": Odd(folder_alone, "is a folder; give one file"),
    "a PDF": Odd(holding("a.xml", b"%PDF-1.7 x"), "a PDF: export the waveforms"),
    "a pickle": Odd(holding("a.npy", pickle.dumps([1], 4)), "a pickle, which can execute"),
    "bytes of nothing": Odd(holding("a.bin", bytes(range(256))), "a format that is not known"),
    "MATLAB 7.3": Odd(holding("a.mat", b"MATLAB 7.3 MAT-file"), "write it with save -v7"),
    "WFDB without its header": Odd(without_header, "needs its WFDB header, a.hea"),
    "an array of objects": Odd(
        npz(lambda leads: leads, odd=np.array([None])), "it is not unpickled"),
    "an array that claims 9 TB": Odd(holding("a.npy", huge()), "which is more than its"),
    "a batch of recordings": Odd(
        npz(lambda leads: leads, signal=np.ones((3, 12, 50))), "holds several recordings"),
    "EDF that is cut": Odd(edited(written.edf, lambda data: data[:5000]), "it is cut: "),
    "EDF that claims more": Odd(
        edited(written.edf, lambda data: data[:236] + b"99      " + data[244:]),
        "its header says 99 data records, it has 10"),
    "EDF with a gain in percent": Odd(
        edited(written.edf, lambda data: data.replace(b"uV      ", b"%       ")),
        "lead I is in '%', which is no voltage"),
    "EDF without a gain": Odd(
        edited(written.edf, lambda data: data.replace(b"32767   ", b"-32768  ")), "no gain"),
    "DICOM that is deflated": Odd(
        edited(written.dicom, lambda data: data.replace(
            b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")), "it is deflated"),
    "DICOM that claims more": Odd(
        only(written.dicom, NumberOfWaveformSamples=9000), "RHYTHM is cut: "),
    "DICOM of logarithms": Odd(
        only(written.dicom, WaveformSampleInterpretation="MB"), "samples of kind MB"),
    "XML with entities": Odd(holding("a.xml", BOMB), "declares entities"),
    "XML of a picture": Odd(holding("a.xml", b"<svg/>"), "XML of <svg>; read are <AnnotatedECG>"),
    "XML that is cut": Odd(edited(written.aecg, lambda data: data[:9000]), "no well-formed XML"),
    "MUSE with a lead too short": Odd(
        edited(written.muse, lambda data: data.replace(b">5000</LeadS", b">5001</LeadS", 1)),
        "lead I has 5000 samples, the file says 5001"),
    "Sierra of another version": Odd(
        edited(written.sierra, lambda data: data.replace(b">1.04<", b">2.0<")), "version '2.0'"),
    "Sierra, damaged": Odd(
        edited(written.sierra, lambda data: data.replace(b'durationperchannel="10000"',
                                                         b'durationperchannel="99999"')),
        "a lead has 5000 samples, the file says 50000"),
    "SCP-ECG, lossy": Odd(only(written.scp, flags=5), "has reference beats subtracted"),
    "SCP-ECG that is cut": Odd(edited(written.scp, lambda data: data[:9000]), "it is cut"),
    "MATLAB of WFDB, alone": Odd(
        lambda folder, leads: written.mat4(folder, leads)[0], "put its WFDB header"),
    "CSV of words": Odd(holding("a.csv", b"I,II\n" + ROWS + b"x,y\n"), "row 51 of column 1", CSV),
    "CSV without names": Odd(holding("a.csv", ROWS), "does not say which leads its 2 channels are"),
    "CSV of strangers": Odd(
        holding("a.csv", b"ECG1,ECG2\n" + ROWS), "ECG1, ECG2: say which is which, --map", CSV),
    "CSV with a map": Odd(
        holding("a.csv", b"ECG1,ECG2\n" + ROWS), "ECG2 (as asked)",
        CSV | {"leads": "ECG1=II,ECG2=-"}),
    "CSV of one lead twice": Odd(
        holding("a.csv", b"Lead I,I\n" + ROWS), "lead I is there twice, as 'Lead I' and 'I'", CSV),
    "CSV in microvolts, told as mV": Odd(
        holding("a.csv", b"I,II\n" + b"101000,5\n3,5\n" * 9), "no ECG; give its true --unit", CSV),
    "CSV with a gap in its times": Odd(
        holding("a.csv", b"t (s),I (mV)\n" + b"".join(
            b"%.3f,%.2f\n" % (k / 500 + (k > 60), k % 7 / 10) for k in range(1200))),
        "the times have 1 uneven steps"),
    "two rates told": Odd(npz(lambda leads: leads), "says 500 Hz, --rate says 250", {"rate": 250}),
    "integers of no unit": Odd(
        npz(lambda leads: leads, unit=""), "does not say its unit: --unit mV"),
    "15 leads": Odd(
        npz(lambda leads: leads | {"V7": leads["V6"], "V8": leads["V6"], "V9": leads["V6"]}),
        "left out: V7 (its name is no lead's); left out: V8 (its name is no lead's); left out: V9"),
    "-aVR": Odd(
        npz(lambda leads: {"I": leads["I"], "II": leads["II"], "-aVR": -leads["aVR"]}),
        "-aVR is read as lead aVR: with its sign turned"),
    "250 Hz": Odd(npz(lambda leads: {"I": leads["I"][::2]}, 250), "resampled from 250 to 500 Hz"),
    "30 s": Odd(npz(lambda leads: {"I": np.tile(leads["I"], 3)}), "of 30 s"),
    "2 s": Odd(npz(lambda leads: {"I": leads["I"][:1000]}), "only 2 s; zeros fill it up to 10 s"),
    "names swapped": Odd(
        npz(lambda leads: leads | {"I": leads["II"], "II": leads["I"]}),
        "they agree once I and II change names"),
    "arms swapped": Odd(npz(arms), "were the arms' electrodes (RA, LA) swapped?"),
    "volts as millivolts": Odd(
        npz(lambda leads: {lead: one / 1000 for lead, one in leads.items()}), "no usual height"),
    "flat": Odd(npz(lambda leads: leads | {"V3": leads["V3"] * 0}), "lead V3 is flat"),
    "saturated": Odd(
        npz(lambda leads: {"II": np.clip(leads["II"] * 4, -100, 100)}),
        "lead II rests at its limit"),
    "mains only": Odd(npz(lambda leads: {"V1": HUM}), "mains hum of 50 Hz"),
    "a single spike": Odd(
        npz(lambda leads: {"V1": np.where(np.arange(5000) == 900, 2000.0, 0.0)}),
        "lead V1 is a single spike"),
    "beyond what is stored": Odd(
        npz(lambda leads: {"I": leads["I"] * np.linspace(-60, 60, 5000)}), "32.767 mV are clipped"),
    "gaps": Odd(
        npz(lambda leads: {"I": np.where(np.arange(5000) < 40, np.nan, leads["I"])}),
        "lead I: 40 missing samples bridged"),
    "two limb leads, four asked for": Odd(
        npz(lambda leads: {"I": leads["I"], "II": leads["II"]}),
        "III, aVR, aVL, aVF computed from the other limb leads", {"derive": True}),
}  # fmt: skip


def row(title: str, said: str, folder: Path) -> str:
    """A line of the table in docs/recordings.md."""
    words = said.replace(f"{folder}/", "").replace(str(folder), "FOLDER")
    return f"| {title} | {words} |"


def main() -> None:
    print("| what is odd | what is said |\n|---|---|")
    for title, odd in ODD.items():
        with tempfile.TemporaryDirectory() as name:
            path = odd.write(Path(name), written.beats())
            print(row(title, said(path, odd.told), Path(name)))


if __name__ == "__main__":
    main()
