"""An answer on ECG paper: the leads as recorded, what the file says of them, and explanations."""

from collections.abc import Sequence

import numpy as np

from kmerl import signal
from kmerl.predict.explanation import Explanation
from kmerl.predict.heart_rate import heart_rate
from kmerl.predict.preparing import Prepared
from kmerl.predict.printing import NOTICE
from kmerl.recordings import Recording
from kmerl.report.ecg_paper import Mark, Sheet, sheet

CAPTION_CLASSES = 6
CLEAR = 0.1  # of the strongest value, below which nothing is shaded


def drawn(
    recording: Recording,
    prepared: Prepared,
    seconds: float,
    answers: Sequence[tuple[str, float]],
    *,
    explanation: Explanation | None = None,
    anonymous: bool = False,
) -> Sheet:
    """The leads that the model was given, as the file has them, on paper for `seconds`.

    Args:
        recording: with the chosen leads alone.
        answers: (name, probability), of which the first few are written below.
        explanation: shaded behind the traces.
        anonymous: leaves out the file's name, and its date, id, age and sex.
    """
    first = round(prepared.start * recording.rate)
    last = first + round(seconds * recording.rate)
    cut = np.stack([recording.leads[lead][first:last] for lead in prepared.leads])
    measured = np.where(cut == signal.NAN, np.nan, cut)
    name = "ECG" if anonymous else prepared.record.replace("\\", "/").rsplit("/", 1)[-1]
    title = f"{name}, {', '.join(prepared.leads)}"
    rate = heart_rate(cut, recording.rate)
    caption = [title, *([] if anonymous else _who(recording)), str(rate)]
    if prepared.start:
        caption[-1] += f"; from {prepared.start:g} s on"
    caption += [f"{p:.2f}  {name}" for name, p in answers[:CAPTION_CLASSES]]
    if explanation is not None:
        caption.append(_legend(explanation))
    return sheet(
        dict(zip(prepared.leads, measured, strict=True)),
        recording.rate,
        title,
        [*caption, NOTICE],
        seconds=seconds,
        marks=None if explanation is None else marks(explanation),
    )


def marks(explanation: Explanation) -> dict[str, list[Mark]]:
    """What is shaded of each lead. Occlusion from 0 to its strongest value; attention, which is
    never 0, from its mean on."""
    values = explanation.values
    if explanation.how == "attention":
        values = np.maximum(values - np.nanmean(values), 0)
    most = float(np.nanmax(np.abs(values), initial=0))
    if most == 0:
        return {}
    found: dict[str, list[Mark]] = {}
    for lead, row in zip(explanation.leads, values / most, strict=True):
        parts = explanation.parts(row)
        shown = [part for part in parts if abs(part[2]) >= CLEAR]
        found[lead] = [(a - explanation.start, b - explanation.start, v) for a, b, v in shown]
    return found


def _who(recording: Recording) -> list[str]:
    """What the file says of the person and the time."""
    person, said = recording.person, []
    if recording.date is not None:
        said.append(f"{recording.date:%Y-%m-%d %H:%M}")
    said += [f"id {person.identity}"] if person.identity else []
    said += [f"{person.age:g} years"] if person.age is not None else []
    said += [person.sex] if person.sex else []
    return [", ".join(said)] if said else []


def _legend(explanation: Explanation) -> str:
    if explanation.how == "attention":
        return f"blue: where the query network reads for {explanation.name} (attention)"
    return f"blue speaks for {explanation.name}, orange against: the answer with that part left out"
