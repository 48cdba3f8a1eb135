"""The frozen encoder's features of one's own recordings."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int16

from kmerl.evaluation.features_file import Features
from kmerl.leads import lead_indices
from kmerl.methods import Method
from kmerl.models.inputs import SignalParams, normalised
from kmerl.models.vit import pool
from kmerl.predict.own_labels import Signals

BATCH = 16
"""Recordings that are encoded together."""


def embed(
    model: Method,
    signal: SignalParams,
    given: Iterable[Signals],
    lead_sets: Mapping[str, tuple[str, ...]],
    device: str,
) -> tuple[dict[str, Features], list[tuple[str, str, str]]]:
    """Features by lead set, and (lead set, record, reason) of what could not be read."""
    records: dict[str, list[str]] = {key: [] for key in lead_sets}
    vectors: dict[str, list[np.ndarray]] = {key: [] for key in lead_sets}
    missing = []
    for batch in _batches(given):
        missing += [(key, one.record, why) for one in batch for key, why in one.missing.items()]
        for key, leads in lead_sets.items():
            there = [one for one in batch if key in one.found]
            if there:
                records[key] += [one.record for one in there]
                stacked = np.stack([one.found[key] for one in there])
                vectors[key].append(features(model, signal, stacked, leads, device))
    width = model.encoder.width
    found = {
        key: Features(tuple(records[key]), np.concatenate([np.empty((0, width)), *vectors[key]]))
        for key in lead_sets
    }
    return found, missing


@torch.inference_mode()
def features(
    model: Method,
    signal: SignalParams,
    values: Int16[np.ndarray, "batch lead sample"],
    leads: tuple[str, ...],
    device: str,
) -> Float[np.ndarray, "batch width"]:
    """Pooled features of recordings with the same leads, in the standard order."""
    shown = torch.from_numpy(normalised(values, None, signal)).to(device)
    index = torch.tensor(lead_indices(leads), device=device).expand(len(shown), -1)
    return np.asarray(pool(model.encoder(shown, index).float()).cpu().numpy())


def _batches(given: Iterable[Signals]) -> Iterator[list[Signals]]:
    rest = iter(given)
    while batch := list(islice(rest, BATCH)):
        yield batch
