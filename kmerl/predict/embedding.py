"""The frozen encoder's features of one's own recordings, for a probe."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np

from kmerl.evaluation.features_file import Features
from kmerl.predict import batching
from kmerl.predict.model import Model
from kmerl.predict.own_labels import Signals


def embed(
    model: Model, given: Iterable[Signals], lead_sets: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, Features], dict[tuple[str, str], str]]:
    """Features by lead set, and by lead set and record why there are none."""
    records: dict[str, list[str]] = {key: [] for key in lead_sets}
    vectors: dict[str, list[np.ndarray]] = {key: [] for key in lead_sets}
    missing: dict[tuple[str, str], str] = {}
    with batching.side_by_side(model.device):
        for batch in _batches(given, model.batch):
            missing |= {(key, one.record): why for one in batch for key, why in one.missing.items()}
            for key, leads in lead_sets.items():
                there = [one for one in batch if key in one.found]
                if there:
                    records[key] += [one.record for one in there]
                    stacked = np.stack([one.found[key] for one in there])
                    vectors[key].append(model.features(stacked, leads))
    found = {
        key: Features(tuple(records[key]), np.concatenate(vectors[key]))
        for key in lead_sets
        if vectors[key]
    }
    return found, missing


def _batches(given: Iterable[Signals], size: int) -> Iterator[list[Signals]]:
    rest = iter(given)
    while batch := list(islice(rest, size)):
        yield batch
