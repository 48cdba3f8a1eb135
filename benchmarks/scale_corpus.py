"""A simulated MIMIC-IV-ECG of any size, and its store, for `benchmarks.scale`.

Its two tables are whole. A record's report is the rhythm line of one simulated visit and the rest
of another's: of 800,035 reports some 160,000 differ, and some 3,000 statements. Recordings have the
records of the store's first shards alone: a corpus of its own, whose samples are hard-linked from a
few thousand. The store's other shards have the columns and row groups of any, and no samples: who
starts reading meets the store's full size, and it fits a disk.
"""

import csv
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed

from kmerl.corpora.conform import Ingest
from kmerl.corpora.listing import read_listing
from kmerl.files import atomic, write_text
from kmerl.leads import LEADS
from kmerl.store import NAME, ShardWriter, read_table, schema, shards, write_index
from kmerl.store.layout import FACTS
from kmerl.synthetic.draws import stream
from kmerl.synthetic.layouts import merl, mimic
from kmerl.synthetic.patients import Visit, visits
from kmerl.synthetic.recording import record
from kmerl.synthetic.reports import cart_report
from kmerl.tasks.prompts import CKEPE

CORPUS = "mimic-iv-ecg"
LISTED, MEASURED = "record_list.csv", "machine_measurements.csv"
VISITS, RECORDINGS, NAMED = 40_000, 2048, "NAME"
JOINED = 0.25  # of the reports have two statements in one
A_PATIENT = 5  # records; MIMIC-IV-ECG has 800,035 of 161,352 patients
SHORT = 28  # one report in so many is a rhythm alone: MERL's rule drops 28,342 of 800,035


def write_tables(root: Path, records: int) -> None:
    """record_list.csv and machine_measurements.csv of `records` records, and MERL's prompts beside
    `root`."""
    root.mkdir(parents=True, exist_ok=True)
    pool = [_statements(visit) for visit in visits(0, CORPUS, min(VISITS, records))]
    drawn = stream(0, "scale", "reports").integers(len(pool), size=(records, 2)).tolist()
    with (
        atomic(root / LISTED) as listed,
        atomic(root / MEASURED) as measured,
        listed.open("w") as one,
        measured.open("w") as other,
    ):
        record_list, measurements = (csv.writer(f, lineterminator="\n") for f in (one, other))
        record_list.writerow(mimic.RECORD_COLUMNS)
        measurements.writerow(mimic.MEASUREMENT_COLUMNS)
        for number, (rhythm, rest) in enumerate(drawn):
            texts = pool[rhythm][:1] + (pool[rest][1:] if number % SHORT else [])
            row = _row(number, texts)
            record_list.writerow([row[name] for name in mimic.RECORD_COLUMNS])
            measurements.writerow([row[name] for name in mimic.MEASUREMENT_COLUMNS])
    write_text(root.parent / "merl" / CKEPE, json.dumps(merl.prompts()))


def _statements(visit: Visit) -> list[str]:
    """A cart's, without a recording to measure."""
    said: Any = SimpleNamespace(visit=visit, measured=SimpleNamespace(pr=0.19))
    texts = [statement.text for statement in cart_report(said).statements]
    rng = visit.stream("scale")
    if len(texts) > 2 and rng.random() < JOINED:
        at = int(rng.integers(len(texts) - 1))
        texts[at : at + 2] = [f"{texts[at]}, {texts[at + 1]}"]
    return texts


def _row(number: int, texts: Sequence[str]) -> dict[str, Any]:
    """One row of both tables."""
    subject = 10_000_000 + number // A_PATIENT * 37
    study = 40_000_000 + number * 7_368_787 % 10_000_000
    filled = [*texts, *[""] * (mimic.STATEMENTS - len(texts))][: mimic.STATEMENTS]
    times = [800, 40, 150, 210, 300, 580, 50, 40, 45]
    return {
        "subject_id": subject,
        "study_id": study,
        "file_name": study,
        "cart_id": 6_800_000 + number % 97,
        "ecg_time": "2150-01-01 07:00:00",
        "path": f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}",
        **{f"report_{i}": text for i, text in enumerate(filled)},
        "bandwidth": "0.005-150 Hz",
        "filtering": "60 Hz notch Baseline filter",
        **dict(zip(mimic.MEASUREMENT_COLUMNS[-9:], times, strict=True)),
    }


def write_sample(whole: Path, root: Path, settings: Ingest, count: int, workers: int) -> None:
    """A corpus at `root` of the first records, in the store's order, of the one at `whole`, with
    their recordings."""
    table = read_listing(CORPUS, whole, settings).table.slice(0, count)
    place = dict(zip(table["record"].to_pylist(), table["path"].to_pylist(), strict=True))
    for name in (LISTED, MEASURED):
        _write_part(whole / name, root / name, place)
    originals = root / "recordings"
    originals.mkdir()
    drawn = enumerate(visits(1, CORPUS, min(RECORDINGS, count)))
    save = delayed(partial(_record, originals))
    headers = Parallel(workers)(save(number, visit) for number, visit in drawn)
    for row, (study, path) in enumerate(place.items()):
        number = row % len(headers)
        (root / path).parent.mkdir(parents=True)
        os.link(originals / f"{number}.dat", root / f"{path}.dat")
        (root / f"{path}.hea").write_text(headers[number].replace(NAMED, study))


def _write_part(whole: Path, part: Path, records: dict[str, str]) -> None:
    with whole.open() as read, atomic(part) as partial_, partial_.open("w") as written:
        written.write(next(read))
        written.writelines(line for line in read if line.split(",", 2)[1] in records)


def _record(folder: Path, number: int, visit: Visit) -> str:
    """Keep a recording's samples; its header, with NAMED in place of its name."""
    made = mimic.files(record(visit, mimic.UNITS_PER_MV))
    head, samples = (made[f"{mimic.path(visit)}{suffix}"] for suffix in (".hea", ".dat"))
    (folder / f"{number}.dat").write_bytes(samples)
    return head.decode().replace(mimic.record_id(visit), NAMED)


def write_store(whole: Path, sample: Path, out: Path, settings: Ingest, workers: int) -> None:
    """The store of the corpus at `whole`: the shards of the store `sample`, then bare ones where
    there is none yet."""
    table = read_listing(CORPUS, whole, settings).table
    out.mkdir(parents=True, exist_ok=True)
    ingested = shards(sample)
    for path in ingested:
        (out / path.name).unlink(missing_ok=True)
        os.link(path, out / path.name)
    names = [f"{fact}.{lead}" for fact in FACTS for lead in LEADS]
    facts = read_table(sample, ["source_rate", "source_samples", *names]).slice(0, settings.shard)
    bare = delayed(partial(_write_bare, facts, settings))
    cut = ((NAME.format(n), n * settings.shard) for n in range(-(-len(table) // settings.shard)))
    missing = [(out / name, start) for name, start in cut if not (out / name).exists()]
    Parallel(workers)(
        bare(path, table.slice(start, settings.shard).combine_chunks()) for path, start in missing
    )
    write_index(out, workers)


def _write_bare(facts: pa.Table, settings: Ingest, path: Path, table: pa.Table) -> None:
    """One shard of records without a recording; `facts` are those of others."""
    none = np.zeros((len(LEADS), 0), np.int16)
    layout = schema(settings.rate, settings.samples)
    with (
        atomic(path) as partial_,
        ShardWriter(partial_, layout, settings.group) as writer,
    ):
        for row, known in zip(table.to_pylist(), facts.to_pylist(), strict=False):
            writer.add(known | row, none)
