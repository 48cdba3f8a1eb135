"""What the frozen encoder made of a corpus: features and scores of every record and lead set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped
from safetensors import safe_open

from kmerl.files import read_json

ScoreKind = Literal["query", "cosine"]
"""query: logits of F_CQ asked for the class names (Sec. 4.2); cosine: of the two projections."""


@dataclass(frozen=True)
class Encodings:
    """One corpus as stage `encode` wrote it; tensors are read when they are asked for.

    `lead_sets` maps the key of a lead set ("1" .. "12", "I+II") to its leads.
    """

    corpus: str
    tensors: Path
    lead_sets: dict[str, tuple[str, ...]]
    tasks: dict[str, tuple[str, ...]]
    row_of: dict[str, int]

    def rows(self, records: Shaped[np.ndarray, " record"]) -> Int[np.ndarray, " record"]:
        """The row of each record.

        Raises:
            ValueError: a record that was not encoded.
        """
        for record in records:
            if str(record) not in self.row_of:
                raise ValueError(f"{self.tensors}: record {str(record)!r} is missing; {_AGAIN}")
        return np.array([self.row_of[str(record)] for record in records], dtype=np.int64)

    def features(self, leads: str) -> Float[np.ndarray, "record width"]:
        """Pooled features of the frozen encoder F_E given these leads."""
        return self._read(f"features/{leads}")

    def scores(self, kind: ScoreKind, task: str, leads: str) -> Float[np.ndarray, "record class"]:
        """Zero-shot scores of a task, classes in the order of `tasks[task]`."""
        if not self.row_of:  # a corpus without records has no tensors
            return np.empty((0, len(self.tasks[task])), dtype=np.float32)
        return self._read(f"{kind}/{task}/{leads}")

    def check_classes(self, task: str, codes: tuple[str, ...]) -> None:
        """
        Raises:
            ValueError: the encoder was asked for other classes than `codes`, or in another order.
        """
        if self.tasks.get(task) != codes:
            raise ValueError(
                f"{self.tensors}: task {task} was encoded with classes {self.tasks.get(task)}, "
                f"its classes now are {codes}; {_AGAIN}"
            )

    def _read(self, name: str) -> Float[np.ndarray, "record column"]:
        with safe_open(self.tensors, framework="numpy") as file:
            if name not in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                raise ValueError(f"{self.tensors}: tensor {name!r} is missing; {_AGAIN}")
            tensor: Float[np.ndarray, "record column"] = file.get_tensor(name)
        if len(tensor) != len(self.row_of):
            raise ValueError(f"{self.tensors}: {name!r} has {len(tensor)} rows; {_AGAIN}")
        return tensor


_AGAIN = "run `dvc repro encode` again"


def open_encodings(directory: Path, corpus: str) -> Encodings:
    """The encodings `directory/<corpus>.{json,safetensors}`.

    Raises:
        FileNotFoundError: the corpus was not encoded.
        ValueError: a record is listed twice.
    """
    path = directory / f"{corpus}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro encode`")
    index = read_json(path)
    row_of = {record: row for row, record in enumerate(index["records"])}
    if len(row_of) != len(index["records"]):
        raise ValueError(f"{path}: a record is listed twice; {_AGAIN}")
    return Encodings(
        corpus=corpus,
        tensors=path.with_suffix(".safetensors"),
        lead_sets={key: tuple(leads) for key, leads in index["lead_sets"].items()},
        tasks={task: tuple(codes) for task, codes in index["tasks"].items()},
        row_of=row_of,
    )
