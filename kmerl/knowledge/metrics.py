"""metrics/mining.json: what each step of mining counted, and how good its labels are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kmerl import files
from kmerl.knowledge import quality
from kmerl.knowledge.labels import Labels, summary

STEPS = ("extract", "verify", "merge", "aggregate")


def counted(data: Path) -> dict[str, Any]:
    """The counts.json of every step in one; what the LLM was asked by step under `llm`."""
    found: dict[str, Any] = files.read_json(data / "reports" / "counts.json")
    asked = {}
    for step in STEPS:
        counts = files.read_json(data / step / "counts.json")
        if "llm" in counts:
            asked[step] = counts.pop("llm")
        found |= counts
    return found | ({"llm": asked} if asked else {})


def measured(
    labels: Labels,
    reports: pa.Table,
    verdicts: Sequence[str],
    entity: Mapping[str, str],
    hedged: str,
    truth: Mapping[str, Path],
) -> dict[str, Any]:
    """The size of the label matrix, and its quality.

    Args:
        reports: record, text and scp codes of each report; no codes outside of PTB-XL.
        truth: the truth tables of simulated corpora, by what stands before their records' names.
    """
    found = summary(labels, verdicts, entity)
    if truth:
        of_truth = quality.against_truth(truth, labels.stated(), hedged, set(labels.records))
        found["truth"] = {key: of_truth[key] for key in ("macro_f1", "records")}
        found["truth"] |= of_truth["micro"]
    if len(reports["codes"].combine_chunks().flatten()):
        columns = (reports[name].to_pylist() for name in ("record", "text", "codes"))
        rows = zip(*columns, strict=True)
        of_codes = quality.against_codes(rows, labels.stated())
        groups = {"all": of_codes["findings"], **{n: of_codes[n] for n in quality.NAMED_LANGUAGES}}
        found["codes"] = {
            name: {**group["micro"], "macro_f1": group["macro_f1"]}
            for name, group in groups.items()
        }
    return found
