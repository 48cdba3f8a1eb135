"""Arrays by name, as .npz and MATLAB files hold them: one is the signal, others may say of it."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from kmerl.recordings.recording import Channel, Contents, RecordError, Told

Value = np.ndarray | str | Sequence[str]
SIGNAL = ("signal", "signals", "ecg", "val", "data", "x", "p_signal", "sig", "ecg_data", "wave")
RATE = ("rate", "fs", "sampling_rate", "samplingrate", "sample_rate", "sampling_frequency", "freq")
LEADS = ("leads", "lead_names", "sig_name", "channels", "channel_names", "names", "labels")
UNIT = ("unit", "units", "sig_unit")
MOST_CHANNELS = 300  # of an array whose shorter side is its channels


def contents(held: Mapping[str, Value], told: Told) -> Contents:
    """The channels of the array that is the signal.

    Raises:
        RecordError: there is none, or several might be.
    """
    by_name = {re.sub(r"[\s-]", "_", name.lower()): value for name, value in held.items()}
    arrays = {
        name: one
        for name, one in by_name.items()
        if isinstance(one, np.ndarray) and one.size > 1 and one.dtype.kind in "iufb"
    }
    main = next((name for name in SIGNAL if name in arrays), None)
    if main is None:
        large = [name for name, one in arrays.items() if one.size > 100]
        if len(large) != 1:
            has = ", ".join(f"{name} {one.shape}" for name, one in arrays.items()) or "none"
            raise RecordError(f"its signal is to be called {SIGNAL[0]!r}; it has arrays: {has}")
        main = large[0]
    names = _words(by_name, LEADS)
    values = rows(arrays[main], len(names or told.channels))
    if names and len(names) != len(values):
        raise RecordError(f"it has {len(values)} channels and {len(names)} names of channels")
    units = _words(by_name, UNIT) or [""]
    units = units * len(values) if len(units) == 1 else units
    if len(units) != len(values):
        raise RecordError(f"it has {len(values)} channels and {len(units)} units")
    rate = next((float(np.ravel(one)[0]) for name in RATE
                 if isinstance(one := by_name.get(name), np.ndarray) and one.size == 1
                 and one.dtype.kind in "iuf"), 0.0)  # fmt: skip
    shown = names or [str(k + 1) for k in range(len(values))]
    left_out = {
        name: "another array" for name in arrays if name != main and arrays[name].size > 100
    }
    channels = tuple(
        Channel(name, one, unit, rate) for name, one, unit in zip(shown, values, units, strict=True)
    )
    return Contents(channels, named=bool(names), left_out=left_out)


def rows(array: np.ndarray, told: int) -> np.ndarray:
    """(channel, sample) of an array of one recording, whichever way round it is.

    Args:
        told: how many channels there are; 0 where that is not known, and the shorter side is.

    Raises:
        RecordError: it holds several recordings, or no side can be the channels.
    """
    if array.dtype.kind not in "iufb":
        raise RecordError(f"an array of {array.dtype} is no signal")
    shape = [size for size in array.shape if size != 1] or [1]
    if len(shape) > 2:
        raise RecordError(f"an array of shape {array.shape} holds several recordings; write one")
    flat = array.reshape(shape)
    if flat.ndim == 1:
        return flat[:, None] if told == len(flat) else flat[None]
    if told in shape and shape[0] != shape[1]:
        return flat if shape[0] == told else flat.T
    turned = flat.T if shape[1] < shape[0] else flat
    if len(turned) > MOST_CHANNELS:
        raise RecordError(f"an array of shape {array.shape} has no side of at most "
                          f"{MOST_CHANNELS} channels")  # fmt: skip
    return turned


def _words(held: Mapping[str, Value], keys: Sequence[str]) -> list[str]:
    """The words of the first of the keys that is there: a list, or one text with separators."""
    for key in keys:
        found = held.get(key)
        if isinstance(found, np.ndarray):
            found = [str(one) for one in np.ravel(found)] if found.dtype.kind in "US" else None
        if isinstance(found, str):
            found = [found]
        if found:
            one = found[0] if len(found) == 1 else ""
            return re.split(r"[,;\s]+", one.strip()) if one else [name.strip() for name in found]
    return []
