"""Random streams: one generator a purpose, derived from the seed and a name, never from order."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of (`seed`, `names`): the same on every machine, independent of all others."""
    text = "/".join(map(str, (seed, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    """One of `options`, each as likely as the others."""
    return options[int(rng.integers(len(options)))]


def pick_weighted(rng: np.random.Generator, weights: dict[Choice, float]) -> Choice:
    """One of the keys of `weights`, in proportion to its weight."""
    draw = float(rng.random()) * sum(weights.values())
    for key, weight in weights.items():
        draw -= weight
        if draw < 0:
            return key
    return next(key for key in reversed(weights) if weights[key])
