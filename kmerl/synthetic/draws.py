"""Random streams: one generator a purpose, derived from the seed and a name, never from order."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.random.bit_generator import ISeedSequence

Choice = TypeVar("Choice")


class _Digest(ISeedSequence):
    """32 bytes as a generator's first state: SHA-256 has mixed them, and mixing anew is slow."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.frombuffer(self.digest, dtype)[:n_words]


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator of (`seed`, `names`): the same on every machine, independent of all others."""
    text = "/".join(map(str, (seed, *names)))
    digest = hashlib.sha256(text.encode()).digest()
    seed_sequence: Any = _Digest(digest)  # its type is not in NumPy's annotations
    return np.random.Generator(np.random.SFC64(seed_sequence))


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
