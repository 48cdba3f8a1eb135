"""Checkpoints: written whole each epoch, resumed only by the very same training."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from kmerl import files
from kmerl.errors import repository

NAME = ".checkpoints"


def root(working: Path) -> Path:
    """Where a training that runs in `working` keeps its checkpoint; a queued experiment, which gets
    another folder when it is queued again, finds it there."""
    return repository(working) / NAME


def fingerprint(settings: Any, inputs: Iterable[Path]) -> str:
    """A name for one training: its settings, the bytes of its inputs and the library's code.

    A checkpoint of other settings, other data or older code is thereby never resumed.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    code = sorted(Path(__file__).parents[1].rglob("*.py"))
    for path in [*inputs, *code]:
        digest.update(path.name.encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


class Checkpoint:
    """The one file that a training overwrites each epoch and removes when it is done."""

    def __init__(self, name: str) -> None:
        self.path = root(Path.cwd()) / f"{name}.pt"

    def save(self, state: dict[str, Any]) -> None:
        """By a name of this process's own: two queued experiments may share their training."""
        own = self.path.with_suffix(f".{os.getpid()}")
        with files.atomic(own) as partial:
            torch.save(state, partial)
        own.replace(self.path)

    def load(self, device: str) -> dict[str, Any] | None:
        """The last complete epoch's state; None where there is none."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        return state

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
