"""A folder of recordings of many formats, some of them bad, and `kmerl predict` over all of them.

    python -m tests.many_recordings MODEL     # 1,000 files, 30 of them bad; killed once, run again

prints one JSON document: what was done again, what was listed, and recordings in a second of
processor time, beside a shell loop over single files.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tests.recordings_written import WRITTEN, beats

TWELVE = (
    "WFDB, format 212",
    "EDF+",
    "DICOM, 12-lead",
    "HL7 aECG",
    "GE MUSE XML",
    "Philips Sierra XML 1.04, XLI",
    "SCP-ECG, Huffman",
    "CSV: times, units",
    "MATLAB 5",
    "Parquet",
)
BAD: dict[str, tuple[str, bytes]] = {  # kind: suffix, content
    "empty": (".edf", b""),
    "a PDF": (".xml", b"%PDF-1.7\n"),
    "a pickle": (".npy", b"\x80\x04\x95\x00\x00\x00\x00"),
    "HDF5": (".mat", b"\x89HDF\r\n\x1a\n" + bytes(600)),
    "words": (".csv", b"I,II\n" + b"0.1,0.2\n" * 20 + b"a,b\n"),
    "no unit": (".csv", b"I,II\n" + b"0.1,0.2\n" * 20),
    "no lead": (".csv", b"time (s),RESP (mV)\n0,1\n0.002,1\n0.004,2\n"),
    "noise": (".scp", bytes(range(256)) * 4),
    "no samples": (".hea", b"gone 1 500 5000\ngone.dat 16 1000/mV 16 0 0 0 0 I\n"),
    "XML that is cut": (".xml", b"<AnnotatedECG><component>"),
}


def write(folder: Path, good: int, bad: int) -> list[str]:
    """Files in folders by format; the names of the bad ones."""
    leads = beats()
    templates = []
    for title in TWELVE:
        here = folder / "template" / str(len(templates))
        here.mkdir(parents=True)
        WRITTEN[title].write(here, leads)
        templates.append(sorted(here.iterdir()))
    for number in range(good):
        place = number % len(templates)
        target = folder / "recordings" / f"{place:02d}"
        target.mkdir(parents=True, exist_ok=True)
        for path in templates[place]:
            name = f"r{number:05d}"
            content = path.read_bytes()
            if path.suffix == ".hea":
                content = re.sub(rb"(?m)^%b\b" % path.stem.encode(), name.encode(), content)
            (target / f"{name}{path.suffix}").write_bytes(content)
    shutil.rmtree(folder / "template")
    names = []
    for number in range(bad):
        suffix, content = list(BAD.values())[number % len(BAD)]
        path = folder / "recordings" / f"{number % 10:02d}" / f"bad{number:03d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        names.append(str(path).removesuffix(".hea"))
    return sorted(names)


def command(what: str | Path, model: str, *more: object) -> list[str]:
    asked = ["predict", what, "--model", model, "--task", "ptbxl_super", *more]
    return [sys.executable, "-m", "kmerl.cli", *map(str, asked)]


def processor_seconds(line: list[str]) -> tuple[float, int]:
    """What a command takes, its workers included, and its status."""
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, process.returncode


def killed(line: list[str], out: Path, pieces: int) -> int:
    """Kill a command and its workers when so many pieces are done; how many then are."""
    process = subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and done(out) < pieces:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return done(out)


def done(out: Path) -> int:
    return len([*out.parent.glob(f".{out.name}-*/*[0-9a-f].json")])


def main(model: str, good: int = 970, bad: int = 30, singles: int = 6) -> None:
    answer: dict[str, object] = {"cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wrong = write(folder, good, bad)
        for leads in ("I", "all"):
            out = folder / f"{leads}.parquet"
            line = command(folder / "recordings", model, "--leads", leads, "--out", out)
            kept = killed(line, out, 5)
            before = out.exists()
            rest, status = processor_seconds(line)
            rows = pd.read_parquet(out)
            listed = pd.read_csv(out.with_suffix(".bad.csv"))
            whole, _ = processor_seconds([*line[:-1], str(folder / f"{leads}-again.parquet")])
            again = pd.read_parquet(folder / f"{leads}-again.parquet")
            one, _ = processor_seconds(
                command(next(folder.rglob("*.hea")), model, "--leads", leads)
            )
            loop = [
                processor_seconds(command(path, model, "--leads", leads))[0]
                for path in sorted((folder / "recordings").rglob("r*.edf"))[:singles]
            ]
            answer[leads] = {
                "pieces_kept_by_the_kill": kept,
                "answers_there_after_the_kill": before,
                "status": status,
                "rows": len(rows),
                "bad": len(listed),
                "bad_are_the_bad_ones": sorted(listed["record"]) == wrong,
                "same_as_without_a_kill": rows.equals(again),
                "processor_seconds_after_the_kill": round(rest, 1),
                "processor_seconds": round(whole, 1),
                "recordings_per_processor_second": round(good / whole, 1),
                "recordings_per_processor_second_without_the_start": round(good / (whole - one), 1),
                "shell_loop_recordings_per_processor_second": round(1 / float(np.mean(loop)), 3),
            }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:2])
