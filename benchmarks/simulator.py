"""What a simulated recording costs, step by step: CPU milliseconds a record on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.simulator [records]

Patients and visits drawn, the recording simulated, its report, its files as bytes, their digests,
the files on the disk; and all of it as records a second. The first records, which make what a
process makes once, count apart.
"""

import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from kmerl.synthetic import formats
from kmerl.synthetic.layouts import mimic
from kmerl.synthetic.patients import Visit, visits
from kmerl.synthetic.recording import record

FIRST = 200


def measure(records: int) -> dict[str, float]:
    """Milliseconds a record by step, and records a second."""
    spent: dict[str, float] = defaultdict(float)
    begin = time.process_time()
    planned = list(visits(0, "mimic-iv-ecg", FIRST + records))
    spent["visits"] = time.process_time() - begin
    begin = time.process_time()
    for visit in planned[:FIRST]:
        record(visit, mimic.UNITS_PER_MV)
    first = time.process_time() - begin
    with tempfile.TemporaryDirectory() as folder:
        for visit in planned[FIRST:]:
            _one(visit, Path(folder), spent)
    each = {f"{step}_ms": 1000 * seconds / records for step, seconds in spent.items()}
    total = sum(spent.values())
    return {
        "records": records,
        **each,
        "first_ms": 1000 * first / FIRST,
        "simulated_per_s": records / spent["simulate"],
        "written_per_s": records / total,
    }


def _one(visit: Visit, folder: Path, spent: dict[str, float]) -> None:
    moments = [time.process_time()]

    def done(step: str) -> None:
        moments.append(time.process_time())
        spent[step] += moments[-1] - moments[-2]

    recording = record(visit, mimic.UNITS_PER_MV)
    done("simulate")
    said = mimic.report(recording)
    done("report")
    content: dict[str, Any] = mimic.files(recording)
    mimic.row(recording, said)
    done("files")
    for each in content.values():
        formats.digest(each)
    done("digests")
    for path, each in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(each)
    done("disk")


if __name__ == "__main__":
    numbers = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
    print(json.dumps({name: float(f"{value:.4g}") for name, value in numbers.items()}, indent=1))
