"""Recordings that are no file: arrays, with what a file would say of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Num

from kmerl.leads import NAMED_SETS
from kmerl.recordings.assembling import assemble
from kmerl.recordings.recording import Channel, Contents, RecordError, Recording, Told


def from_array(
    values: Num[np.ndarray, "lead sample"] | Mapping[str, Num[np.ndarray, " sample"]],
    leads: Sequence[str] | str | None = None,
    *,
    rate: float,
    unit: str,
    source: str = "array",
    gaps: bool = False,
) -> Recording:
    """A recording of samples that are in memory.

    Args:
        values: one row a lead, or {name of a lead: its samples}.
        leads: names of the rows ("I,II", "limb", or a list), as devices write them; those that are
            no lead are left out, and named in `left_out`.
        rate: Hz.
        unit: mV, uV or V, or what a step is worth, "4.88uV".
        source: how errors and answers call the recording.
        gaps: whether NaN says that a sample was not measured, as it does in files; such samples
            are bridged, and that is noted. Otherwise it is an error.

    Raises:
        RecordError: no lead, another shape, a unit or rate that is none, or a sample that is no
            number; the message says which lead and which sample.

    >>> import numpy as np
    >>> found = from_array(np.zeros((2, 5000)), "I,II", rate=500, unit="mV")
    >>> list(found.leads), found.rate
    (['I', 'II'], 500.0)
    >>> from_array(np.array([[0.1, np.nan]]), "V1", rate=500, unit="mV")
    Traceback (most recent call last):
    ...
    kmerl.recordings.recording.RecordError: array: lead V1 is nan at sample 1; fill it, or say \
gaps=True if it was not measured
    """
    names, rows = _rows(values, leads, source)
    if not 0 < rate < float("inf"):
        raise RecordError(f"{source}: a rate of {rate:g} Hz is none; give samples a second")
    for name, row in zip(names, rows, strict=True):
        odd = np.flatnonzero(~np.isfinite(row))
        if gaps:
            odd = odd[np.isinf(row[odd])]
        if len(odd):
            more = f" and at {len(odd) - 1} others" if len(odd) > 1 else ""
            raise RecordError(
                f"{source}: lead {name} is {row[odd[0]]} at sample {odd[0]}{more}; fill it, or say "
                "gaps=True if it was not measured"
            )
    channels = tuple(
        Channel(name, row, rate=float(rate)) for name, row in zip(names, rows, strict=True)
    )
    return assemble(source, "array", Contents(channels), Told(unit=unit))


def _rows(
    values: np.ndarray | Mapping[str, np.ndarray], leads: Sequence[str] | str | None, source: str
) -> tuple[list[str], list[np.ndarray]]:
    """Names and samples, one each of every row.

    Raises:
        RecordError: they do not go together.
    """
    if isinstance(values, Mapping):
        names, rows = list(values), [np.asarray(row) for row in values.values()]
    else:
        if leads is None:
            raise RecordError(f"{source}: say which leads its rows are: leads=['I', 'II']")
        names = list(NAMED_SETS.get(leads, leads.split(",")) if isinstance(leads, str) else leads)
        rows = list(np.atleast_2d(np.asarray(values)))
    shapes = {row.shape for row in rows}
    if len(rows) != len(names) or len(shapes) != 1 or len(next(iter(shapes))) != 1:
        shown = " ".join(map(str, sorted(shapes)))
        raise RecordError(
            f"{source}: {len(names)} leads are named, and there are {len(rows)} rows of {shown}; "
            "give one row of samples a lead"
        )
    if any(row.dtype.kind not in "iufb" for row in rows):
        raise RecordError(f"{source}: samples of {rows[0].dtype} are no numbers")
    return names, rows
