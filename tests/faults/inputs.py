"""Whole inputs to be damaged: each function writes one folder or more below the path it gets."""

import contextlib
import json
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import savemat

from kmerl.evaluation.scores import Scores
from kmerl.knowledge.vllm import answers
from kmerl.knowledge.vllm.replies import Reply
from kmerl.leads import LEADS, ORDERS
from kmerl.synthetic import formats
from kmerl.tasks.classes import classes
from kmerl.training import model
from kmerl.training.checkpoint import Checkpoint
from tests import cohorts, evaluation_cohort, methods, official_layouts, recordings_written
from tests.import_closure import ROOT
from tests.official_layouts import REAL, signal, write_dat, write_mat

with warnings.catch_warnings():  # wfdb 4.3 calls what pandas 3 deprecates
    warnings.simplefilter("ignore")
    import wfdb

SAMPLES = 600
ASKED = ("lbbb", "left bundle branch block", "sinus rhythm")
REPLIES = {
    "list": '["sinus rhythm", "lbbb", "left bundle branch block"]',
    "bare": "[sinus rhythm, lbbb]",
    "map": '{"lbbb": "left bundle branch block", "sinus rhythm": "sinus rhythm", '
    '"left bundle branch block": "left bundle branch block"}',
    "tree": '{"block": ["lbbb", "left bundle branch block"], "rhythm": ["sinus rhythm", "block"]}',
    "yes": "YES",
}


def recordings(root: Path) -> None:
    """One WFDB record a folder, `r`, in the forms that the corpora and their relatives have."""
    digital = signal(1, SAMPLES)
    write_dat(root / "ptb-xl/r", digital)
    mimic = formats.rows_of(digital, ORDERS["mimic"])
    write_dat(root / "mimic/r", mimic, ORDERS["mimic"], gain=200.0)
    write_mat(root / "challenge/r", digital, "164889003,426783006")
    for form in ("80", "24", "32"):
        folder, unit = root / f"format{form}", ["mV"] * 12
        folder.mkdir()
        _wrsamp("r", 500, unit, list(LEADS), digital.T / 1000, fmt=[form] * 12,
                    write_dir=str(folder))  # fmt: skip
    for name, source in {"georgia": "challenge", "format212": "ptb-xl", "parts": "ptb-xl"}.items():
        shutil.copytree(root / source, root / name)
    _replaced(root / "georgia/r.hea", "r 12", "r.mat 12")
    _replaced(root / "format212/r.hea", ".dat 16 ", ".dat 212 ")
    (root / "format212/r.dat").write_bytes(formats.interleaved(digital)[: SAMPLES * 18])
    (root / "parts/r.hea").rename(root / "parts/s.hea")
    (root / "parts/r.hea").write_text(f"r/2 12 500 {2 * SAMPLES}\ns {SAMPLES}\ns {SAMPLES}\n")


def _wrsamp(*given: Any, **named: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb.wrsamp(*given, **named)


def _replaced(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def real(root: Path) -> None:
    """A record of every corpus of real ones."""
    found = {path.relative_to(REAL).parent.parts[:2]: path for path in sorted(REAL.rglob("*.hea"))}
    for corpus, head in found.items():
        folder = root / "-".join(corpus)
        folder.mkdir(parents=True)
        for path in head.parent.glob(f"{head.stem}.*"):
            shutil.copy(path, folder)


def structs(root: Path) -> None:
    """`r.mat` as CPSC2018 first had it; few samples, so that most bytes are tags and sizes."""
    digital = signal(2, 30)
    for values in (digital / 1000, np.float32(digital / 1000), digital):
        for packed in (False, True):
            folder = root / f"{values.dtype}{packed}"
            folder.mkdir(parents=True)
            held = {"ECG": {"sex": "Male", "age": 74, "data": values}}
            savemat(folder / "r.mat", held, do_compression=packed)


def csv_recordings(root: Path) -> None:
    for leads in (LEADS[:2], LEADS):
        folder = root / str(len(leads))
        folder.mkdir(parents=True)
        values = signal(3, 120).T[:, : len(leads)] / 1000
        rows = [(place, *row) for place, row in enumerate(values.tolist())]
        (folder / "r.csv").write_bytes(formats.table(("time", *leads), rows))


DEVICES = (
    *("EDF+", "DICOM, general", "HL7 aECG", "GE MUSE XML", "Philips Sierra XML 1.04, XLI"),
    *("SCP-ECG, Huffman", "CSV: times, units", "MATLAB 5", "NumPy .npz", "Parquet"),
)


def device_files(root: Path) -> None:
    """One of each format that is one file, under its number."""
    for number, title in enumerate(DEVICES):
        folder = root / str(number)
        folder.mkdir(parents=True)
        case = recordings_written.WRITTEN[title]
        path, _ = case.write(folder, recordings_written.beats())
        path.rename(folder / f"{number}.bin")


def ptbxl(root: Path) -> None:
    official_layouts.ptbxl(root / "0", 10)


def mimic(root: Path) -> None:
    said = {str(40_000_000 + k): ["Sinus rhythm", f"Report {k}, \u00e9"] for k in range(6)}
    official_layouts.mimic(root / "0", said)


def cpsc2018(root: Path) -> None:
    for k in range(4):
        write_mat(root / f"0/A{k:04d}", signal(k, SAMPLES), "164889003")
    rows = [(f"A{k:04d}", k % 9 + 1, 5 if k else "", "") for k in range(4)]
    columns = ("Recording", "First_label", "Second_label", "Third_label")
    (root / "0/REFERENCE.csv").write_bytes(formats.table(columns, rows))


def csn(root: Path) -> None:
    for k in range(4):
        write_mat(root / f"0/WFDBRecords/01/010/JS{k:05d}", signal(k, SAMPLES), "1001,1002")
    rows = [(one.code, one.name, 1000 + k) for k, one in enumerate(classes("csn"))]
    table = formats.table(("AcronymName", "FullName", "Snomed_CT"), rows)
    (root / "0/ConditionNames_SNOMED-CT.csv").write_bytes(table)


def beside_params(*sources: str) -> Callable[[Path], None]:
    """Files of this repository beside the demo's params.yaml."""

    def write(root: Path) -> None:
        (root / "0").mkdir(parents=True)
        shutil.copy(ROOT / "params/demo.yaml", root / "0/params.yaml")
        for source in sources:
            shutil.copy(ROOT / source, root / "0")

    return write


def runs(root: Path) -> None:
    """Some of experiments.json."""
    rows = json.loads((ROOT / "experiments.json").read_text())
    for number, some in enumerate((rows[:3], rows[::40])):
        (root / str(number)).mkdir(parents=True)
        (root / str(number) / "experiments.json").write_text(json.dumps(some))


def replies(root: Path) -> None:
    for name, text in REPLIES.items():
        (root / name).mkdir(parents=True)
        (root / name / "reply.json").write_text(text)


def completion(root: Path) -> None:
    """What a server sends for a reply: `body.json`."""
    message = {"role": "assistant", "content": REPLIES["list"]}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}  # fmt: skip
    (root / "0").mkdir(parents=True)
    (root / "0/body.json").write_text(json.dumps(body))


def kept_answers(root: Path) -> None:
    kept = answers.Answers(root / "0")
    for name, text in REPLIES.items():
        kept.put(answers.key({"text": name}), Reply(text, "stop", 10, 5))
    kept.close()
    shutil.copy(root / "0/answers.jsonl", root / "0/journal.jsonl")


def models(root: Path) -> None:
    for name in ("kmerl", "merl"):
        (root / name).mkdir(parents=True)
        model.save(root / name, methods.config(name), methods.small(name))


def checkpoints(root: Path) -> None:
    (root / "0").mkdir(parents=True)
    with contextlib.chdir(root / "0"):
        for epoch in (1, 2):
            Checkpoint("c").save({"model": {"w": torch.ones(40)}, "epoch": epoch}, epoch)


def cohort(root: Path) -> None:
    cohorts.write_cohort(root / "0", 12)


@cache
def _evaluation(root: Path) -> Path:
    return evaluation_cohort.build(root / "evaluation")


def part(*names: str) -> Callable[[Path], None]:
    """Some files of `tests.evaluation_cohort`."""

    def write(root: Path) -> None:
        for name in names:
            (root / "0" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(_evaluation(root.parent) / name, root / "0" / name)

    return write


def scores(root: Path) -> None:
    """Two sides, `a` and `b`, that a comparison takes."""
    random, codes = np.random.default_rng(0), tuple(one.code for one in classes("csn"))
    truth, leads = random.random((9, len(codes))) < 0.4, {"12": LEADS, "I": ("I",)}
    people = {"records": tuple(f"r{k}" for k in range(9)),
              "patients": tuple(f"p{k // 2}" for k in range(9))}  # fmt: skip
    for side in ("a", "b"):
        score = {key: random.normal(size=truth.shape).astype(np.float32) for key in leads}
        least = {key: np.zeros(len(codes), np.float32) for key in leads}
        told = {"codes": codes, "names": codes, **people, "lead_sets": leads}
        made = Scores("csn", "csn", truth=truth, score=score, threshold=least, **told)
        made.write(root / "0" / side)
