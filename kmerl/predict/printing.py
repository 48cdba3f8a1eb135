"""An answer as a person reads it, as JSON, and as a picture on ECG paper."""

import json
from pathlib import Path

from kmerl import files
from kmerl.errors import printable
from kmerl.predict.asking import unused
from kmerl.predict.preparing import Prepared
from kmerl.report import ecg_paper

NOTICE = "For research. Not a medical device: no probability here may guide the care of a patient."
BAR = 24  # characters of a probability of 1
CAPTION_CLASSES = 6


def as_text(record: Path, prepared: Prepared, found: list[tuple[str, float]]) -> str:
    width = max((len(name) for name, _ in found), default=0)
    rows = [
        f"  {name:{width}}  {probability:6.3f}  {'#' * round(BAR * probability)}".rstrip()
        for name, probability in found
    ]
    head = f"{record}: {len(prepared.leads)} leads ({', '.join(prepared.leads)})"
    notes = [f"note: {note}" for note in prepared.notes]
    told = unused(prepared.left_out)
    out = [f"left out: {told}"] if told else []
    return "\n".join(map(printable, [head, *out, *notes, *rows, NOTICE]))


def as_json(record: Path, prepared: Prepared, found: list[tuple[str, float]]) -> str:
    answer = {
        "record": str(record),
        "leads": list(prepared.leads),
        "left_out": prepared.left_out,
        "predictions": [{"name": name, "probability": round(p, 6)} for name, p in found],
        "notes": list(prepared.notes),
        "notice": NOTICE,
    }
    return json.dumps(answer, indent=1)


def draw(
    path: Path,
    record: Path,
    prepared: Prepared,
    rate: int,
    found: list[tuple[str, float]],
) -> None:
    signals = dict(zip(prepared.leads, prepared.signal, strict=True))
    title = f"{record.name}, {', '.join(prepared.leads)}"
    caption = [f"{p:.2f}  {name}" for name, p in found[:CAPTION_CLASSES]]
    svg = ecg_paper.picture(signals, rate, title, [title, *caption, NOTICE])
    files.write_text(path, f"{svg}\n")
