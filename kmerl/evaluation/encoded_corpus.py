"""What the frozen encoder made of a corpus: features and scores of every record and lead set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped
from safetensors import safe_open

from kmerl.files import DamagedError, read_json, reading

ScoreKind = Literal["query", "cosine"]
"""query: logits of F_CQ asked for the class names (Sec. 4.2); cosine: of the two projections."""
EncoderKind = Literal["trained", "random"]
"""random: the same encoder before pretraining, the reference of what pretraining adds."""


@dataclass(frozen=True)
class EncodedCorpus:
    """One corpus as stage `encode` wrote it; tensors are read when they are asked for.

    `lead_sets` maps the key of a lead set ("1" .. "12", "I+II", "mimic:4") to its leads,
    `random_sets` are the keys that an untrained encoder read too, `score_kinds` the zero-shot
    scores that the method gives. Every member of a task has features; scores have rows for the
    records that some task holds out for validation or test.
    """

    corpus: str
    tensors: Path
    lead_sets: dict[str, tuple[str, ...]]
    tasks: dict[str, tuple[str, ...]]
    row_of: dict[str, int]
    scored_row_of: dict[str, int]
    random_sets: tuple[str, ...]
    score_kinds: tuple[ScoreKind, ...]

    def rows(
        self, records: Shaped[np.ndarray, " record"], *, scored: bool = False
    ) -> Int[np.ndarray, " record"]:
        """The row of each record in `features`, or in `scores`.

        Raises:
            ValueError: a record that was not encoded, or that has no scores because no task held
                it out.
        """
        places = self.scored_row_of if scored else self.row_of
        for record in records:
            if str(record) not in places:
                fault = "has no scores" if scored else "is missing"
                raise ValueError(f"{self.tensors}: record {str(record)!r} {fault}; {_AGAIN}")
        return np.array([places[str(record)] for record in records], dtype=np.int64)

    def features(
        self, leads: str, encoder: EncoderKind = "trained"
    ) -> Float[np.ndarray, "record width"]:
        """Pooled features of the frozen encoder F_E given these leads.

        Raises:
            ValueError: the untrained encoder did not read this lead set.
        """
        if encoder == "random" and leads not in self.random_sets:
            raise ValueError(
                f"{self.tensors}: the untrained encoder did not read leads {leads!r}; "
                f"add them to encode.random ({', '.join(self.random_sets)})"
            )
        return self._read(f"{_TENSOR[encoder]}/{leads}", len(self.row_of))

    def scores(self, kind: ScoreKind, task: str, leads: str) -> Float[np.ndarray, "record class"]:
        """Zero-shot scores of a task, classes in the order of `tasks[task]`."""
        if not self.scored_row_of:  # nothing was asked, and no tensor written
            return np.empty((0, len(self.tasks[task])), dtype=np.float32)
        return self._read(f"{kind}/{task}/{leads}", len(self.scored_row_of))

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

    def _read(self, name: str, rows: int) -> Float[np.ndarray, "record column"]:
        with reading(self.tensors, _AGAIN), safe_open(self.tensors, framework="numpy") as file:
            if name not in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                raise DamagedError(f"{self.tensors}: tensor {name!r} is missing; {_AGAIN}")
            tensor: Float[np.ndarray, "record column"] = file.get_tensor(name)
        if len(tensor) != rows:
            raise ValueError(f"{self.tensors}: {name!r} has {len(tensor)} rows; {_AGAIN}")
        return tensor


_AGAIN = "run `dvc repro encode` again"
_TENSOR = {"trained": "features", "random": "random"}


def open_encoded(directory: Path, corpus: str) -> EncodedCorpus:
    """What stage `encode` left in `directory/<corpus>.{json,safetensors}`.

    Raises:
        FileNotFoundError: the corpus was not encoded.
        ValueError: a record is listed twice, or the encoded are of an older layout.
    """
    path = directory / f"{corpus}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro encode`")
    index = read_json(path)
    with reading(path, _AGAIN):
        missing = {"scored", "random_sets", "score_kinds"} - set(index)
        if missing:
            raise DamagedError(f"{path} has no {min(missing)!r}; {_AGAIN}")
        row_of, scored = (
            {record: row for row, record in enumerate(index[name])}
            for name in ("records", "scored")
        )
        if len(row_of) != len(index["records"]) or len(scored) != len(index["scored"]):
            raise DamagedError(f"{path}: a record is listed twice; {_AGAIN}")
        return EncodedCorpus(
            corpus=corpus,
            tensors=path.with_suffix(".safetensors"),
            lead_sets={key: tuple(leads) for key, leads in index["lead_sets"].items()},
            tasks={task: tuple(codes) for task, codes in index["tasks"].items()},
            row_of=row_of,
            scored_row_of=scored,
            random_sets=tuple(index["random_sets"]),
            score_kinds=tuple(index["score_kinds"]),
        )
