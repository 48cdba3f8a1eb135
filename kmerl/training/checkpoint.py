"""Checkpoints: written whole each epoch, resumed only by the very same training."""

import hashlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from kmerl import distributed, files
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
    """The last two states of one training, `<name>-<steps done>.pt`; removed when it is done.

    A file is a line with a digest of its name and of all that follows, and what torch saves. So no
    damage is taken for weights, and none stops a training: one of the two is damaged, the other is
    taken; both are, the training begins anew. Each time it is said.
    """

    def __init__(self, name: str) -> None:
        self.name, self.folder = name, root(Path.cwd())

    def save(self, state: dict[str, Any], steps: int) -> None:
        """By a name of this process's own: two queued experiments may share their training, and
        two nodes their disk.

        Raises:
            NoSpaceError: the disk is full; the checkpoints that there are stay.
        """
        path = self.folder / f"{self.name}-{steps:09d}.pt"
        own = path.with_suffix(f".{distributed.rank()}-{os.getpid()}")
        with files.atomic(own) as partial, open(partial, "w+b") as file:
            file.write(_UNKNOWN)
            torch.save(state, file)
            file.seek(len(_UNKNOWN))
            digest = _digest(path, file)
            file.seek(0)
            file.write(digest)
        own.replace(path)
        for older in self._kept()[2:]:
            older.unlink(missing_ok=True)

    def load(self, device: str) -> dict[str, Any] | None:
        """The last state whose file is whole on rank 0's node, on every rank; None if there is
        none."""
        sent = distributed.of_first(self._last() if distributed.is_main() else b"", device)
        if not sent:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(sent), device, weights_only=True)
        return state

    def _last(self) -> bytes:
        for path in self._kept():
            with open(path, "rb") as file:
                if file.read(len(_UNKNOWN)) == _digest(path, file):
                    file.seek(len(_UNKNOWN))
                    return file.read()
            print(
                f"{path} is damaged, or of another training: it is not taken up, and the training "
                "goes on from the state before, if that is whole",
                file=sys.stderr,
            )
        return b""

    def remove(self) -> None:
        """All of this training's files, also what processes that were killed left unfinished."""
        for path in self.folder.glob(f"*{self.name}-*"):
            process = re.search(r"-(\d+)(\.partial)?$", path.name)
            if process is None or not _runs(int(process[1])):
                path.unlink(missing_ok=True)

    def _kept(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self.name}-*.pt"), reverse=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _digest(path: Path, rest: BinaryIO) -> bytes:
    """The first line of a checkpoint whose remaining bytes `rest` gives."""
    digest = hashlib.sha256(path.name.encode())
    while block := rest.read(1 << 20):
        digest.update(block)
    return f"{digest.hexdigest()}\n".encode()


_UNKNOWN = b"-" * 64 + b"\n"
