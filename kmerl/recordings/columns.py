"""Tables with a channel in each column: names with units in them, and a column of times."""

import re
from collections.abc import Sequence

import numpy as np

from kmerl.recordings.headers import microvolts
from kmerl.recordings.recording import Channel, Contents, RecordError, Told

TIME = re.compile(
    r"(elapsed )?(time|timestamp|date ?time|datetime|zeit|tiempo|temps|tempo|t|sec|secs|seconds?|"
    r"ms|msec|milliseconds?)(?:[ _]*[\[(]?(s|sec|seconds?|ms|msec|milliseconds?|us)[\])]?)?$",
    re.IGNORECASE,
)
COUNT = re.compile(
    r"(sample|index|n|#|unnamed: 0|sample ?number|__index_level_0__)?$", re.IGNORECASE
)
PLAUSIBLE = (20.0, 20000.0)  # Hz, of a time whose unit nobody says
SAME = 0.02  # by which two rates may differ
UNEVEN = 0.6  # of the usual step: a sample is missing, and no digit was cut


def contents(
    names: Sequence[str],
    columns: Sequence[np.ndarray],
    units: Sequence[str],
    told: Told,
    named: bool,
) -> Contents:
    """Channels of columns; a column of times gives their rate, and one that counts is left out.

    Args:
        columns: of numbers, or datetime64.
        units: of each column, empty where it is not known.

    Raises:
        RecordError: the times do not say how fast it was sampled.
    """
    rate, notes = 0.0, []
    left_out: dict[str, str] = {}
    channels = []
    for name, values, unit in zip(names, columns, units, strict=True):
        if values.dtype.kind == "M" or (TIME.match(name.strip()) and named):
            if rate:
                left_out[name] = "a second column of times"
                continue
            rate, note = _rate(name, values, unit, told)
            notes += note
            left_out[name] = "the times, which give the rate" if rate else "times"
        elif named and COUNT.match(name.strip()) and _counts(values):
            left_out[name or "the first column"] = "it counts the samples"
        else:
            bare, inside = split_unit(name)
            channels.append((bare, values, unit or inside))
    if rate and told.rate and abs(rate / told.rate - 1) > SAME:
        raise RecordError(f"its times say {rate:g} Hz, --rate says {told.rate:g}; leave out --rate")
    rate = told.rate or rate
    made = tuple(Channel(name, values, unit, rate) for name, values, unit in channels)
    return Contents(made, named, tuple(notes), left_out)


def split_unit(name: str) -> tuple[str, str]:
    """ "I (mV)" or "I_uV" as a name and a voltage."""
    match = re.match(r"(.*?)[\s_]*[\[(\s_]\s*([^\s_\[\](),]+)[\])]?$", name.strip())
    if match and match[1] and microvolts(match[2]) is not None and match[2].upper() != "V":
        return match[1], match[2]
    if match and match[1] and match[2] == "V" and name.strip()[-1] in ")]":
        return match[1], "V"
    return name.strip(), ""


def _counts(values: np.ndarray) -> bool:
    return len(values) > 1 and bool((np.diff(values) == 1).all())


def _rate(name: str, values: np.ndarray, unit: str, told: Told) -> tuple[float, list[str]]:
    """Samples a second by a column of times, and what is said of gaps in it."""
    match = TIME.match(name.strip())
    words = (unit or (match[3] or match[2] if match else "")).lower()
    scale = 1e-6 if words.startswith("us") else 1e-3 if words.startswith("m") else 1.0
    if values.dtype.kind == "M":
        values, words, scale = values.astype("datetime64[ns]").astype(np.int64), "s", 1e-9
    steps = np.diff(values.astype(np.float64)) * scale
    usual = float(np.median(steps)) if len(steps) else 0.0
    if not usual > 0 or not np.isfinite(steps).all():
        raise RecordError(f"column {name!r} has no times that go on; give --rate in Hz")
    even = np.abs(steps - usual) <= UNEVEN * usual
    rate = 1 / float(steps[even].mean())
    if not words.startswith(("s", "m", "u")) and not PLAUSIBLE[0] <= rate <= PLAUSIBLE[1]:
        if told.rate:
            return told.rate, []
        raise RecordError(f"column {name!r} steps by {usual:g}, of no unit; give --rate in Hz")
    whole = round(rate)
    gaps = int((~even).sum())
    notes = [f"the times have {gaps} uneven steps, which are read as if even"] if gaps else []
    return float(whole) if abs(rate - whole) < 1e-4 * rate else rate, notes
