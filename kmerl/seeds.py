"""Random streams that depend on the seed of params.yaml and on what they are for."""

import hashlib

import numpy as np


def stream(seed: int, *purpose: object) -> int:
    """A 63-bit number for each seed and purpose ("pretrain", epoch, ...), equal on every machine.

    Streams of different purposes are independent, so that adding one draw moves no other.
    """
    words = "\0".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """A NumPy generator of its own for each purpose; see `stream`."""
    return np.random.default_rng(stream(seed, *purpose))
