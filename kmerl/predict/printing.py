"""An answer as a person reads it, and as JSON."""

import json
import math
from pathlib import Path
from typing import Any

from kmerl.errors import printable
from kmerl.predict.asking import unused
from kmerl.predict.explanation import Explanation
from kmerl.predict.preparing import Prepared

NOTICE = "For research. Not a medical device: no probability here may guide the care of a patient."
BAR = 24  # characters of a probability of 1
STRONGEST = 5  # parts that are listed


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


def as_explained(found: Explanation) -> str:
    """Which leads and which parts of them speak most for a name."""
    what = "share of the attention" if found.how == "attention" else "fall of the logit without it"
    lines = [f"{found.name}  {found.probability:.3f}  by {found.how}: {what}"]
    lines += [
        f"  lead {lead:4} {value:+.3f}"
        for lead, value in zip(found.leads, found.of_leads, strict=True)
        if math.isfinite(value)
    ]
    lines += [
        f"  {lead} from {begin:g} to {end:g} s  {value:+.3f}"
        for lead, begin, end, value in found.strongest(STRONGEST)
    ]
    return "\n".join(map(printable, lines))


def explained_json(found: Explanation) -> dict[str, Any]:
    """Null where nothing was measured."""
    values = [
        [round(float(v), 6) if math.isfinite(v) else None for v in row] for row in found.values
    ]
    of_leads = [round(float(v), 6) if math.isfinite(v) else None for v in found.of_leads]
    return {
        "name": found.name,
        "probability": round(found.probability, 6),
        "how": found.how,
        "leads": dict(zip(found.leads, of_leads, strict=True)),
        "times": [round(float(time), 6) for time in found.times],
        "values": dict(zip(found.leads, values, strict=True)),
    }
