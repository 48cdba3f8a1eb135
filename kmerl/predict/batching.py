"""From recordings of any form to batches of one lead set, and from their answers to a table."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from kmerl.predict import asking, preparing
from kmerl.predict.preparing import Cut, Prepared
from kmerl.recordings import RecordError, Recording, from_array, read
from kmerl.runtime import in_order

One = str | Path | Recording | np.ndarray | Mapping[str, np.ndarray]
Recordings = One | Iterable[One]
Work = Callable[[np.ndarray, tuple[str, ...]], np.ndarray]
"""Of a batch, int16 (record, lead, sample) and its leads: a row each record."""


@dataclass(frozen=True)
class Told:
    """What is asked of recordings, whatever the question: see `Model.predict`."""

    leads: str | Sequence[str] | None = None
    rate: float | None = None
    unit: str | None = None
    cut: Cut = field(default_factory=Cut)


def prepared(given: Recordings, told: Told, rate: int, samples: int) -> Iterator[Prepared]:
    """What a model of this rate and length is given of recordings, in their order."""
    for number, one in enumerate(_several(given)):
        recording = _recording(one, told, number)
        chosen = preparing.choose(recording, None if _is_array(one) else told.leads)
        yield from preparing.windows(chosen, rate, samples, told.cut)


def run(
    items: Iterable[Prepared], size: int, threads: int, work: Work
) -> list[tuple[Prepared, np.ndarray]]:
    """`work` of each item, in their order, without their signals.

    Args:
        size: of a batch, whose items have the same leads; the last of each lead set is smaller.
        threads: batches that are worked on at a time.
    """
    met: list[Prepared] = []

    def batches() -> Iterator[list[tuple[int, np.ndarray]]]:
        waiting: dict[tuple[str, ...], list[tuple[int, np.ndarray]]] = {}
        for item in items:
            same = waiting.setdefault(item.leads, [])
            same.append((len(met), item.signal))
            met.append(replace(item, signal=item.signal[:, :0]))
            if len(same) == size:
                yield waiting.pop(item.leads)
        yield from waiting.values()

    def answer(batch: list[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
        places, signals = zip(*batch, strict=True)
        rows = work(np.stack(signals), met[places[0]].leads)
        return list(zip(places, rows, strict=True))

    answers: dict[int, np.ndarray] = {}
    for found in in_order(answer, batches(), threads, ahead=2 * threads):
        answers |= found
    return [(item, answers[place]) for place, item in enumerate(met)]


@contextmanager
def side_by_side(device: str) -> Iterator[int]:
    """How many batches a device works on at a time. On a CPU each is the work of one thread
    meanwhile, so that the number of cores changes no sum; a GPU has one batch."""
    if torch.device(device).type != "cpu":
        yield 1
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield len(os.sched_getaffinity(0))
    finally:
        torch.set_num_threads(before)


def frame(
    found: Sequence[tuple[Prepared, np.ndarray]], names: Sequence[str] | None
) -> pd.DataFrame:
    """A row each answer; a column each name, or one that holds the vectors."""
    columns: dict[str, object] = {
        "record": [item.record for item, _ in found],
        "start": np.array([item.start for item, _ in found], np.float64),
        "seconds": np.array([item.seconds for item, _ in found], np.float64),
        "leads": [" ".join(item.leads) for item, _ in found],
    }
    if names is None:
        columns["vector"] = [row for _, row in found]
    else:
        values = np.array([row for _, row in found], np.float32).reshape(len(found), len(names))
        columns |= {name: values[:, place] for place, name in enumerate(names)}
    columns["notes"] = ["; ".join(item.notes) for item, _ in found]
    columns["left_out"] = [asking.unused(item.left_out) for item, _ in found]
    return pd.DataFrame(columns)


def _several(given: Recordings) -> Iterable[One]:
    if isinstance(given, np.ndarray):
        return given if given.ndim == 3 else [given]
    if isinstance(given, str | Path | Recording | Mapping):
        return [given]
    return given


def _is_array(one: One) -> bool:
    return isinstance(one, np.ndarray | Mapping)


def _recording(one: One, told: Told, number: int) -> Recording:
    if isinstance(one, Recording):
        return one
    if isinstance(one, str | Path):
        return read(one, rate=told.rate, unit=told.unit)
    source = f"recordings[{number}]"
    if told.rate is None or told.unit is None:
        raise RecordError(f"{source} is an array: say its rate and unit: rate=500, unit='mV'")
    names = list(one) if isinstance(one, Mapping) else told.leads
    return from_array(one, names, rate=told.rate, unit=told.unit, source=source)
