"""Scores of a task's test records, kept so that protocols and models can be compared later."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from safetensors import safe_open
from safetensors.numpy import save_file

from kmerl.evaluation.metrics import best_threshold
from kmerl.files import atomic, read_json, reading, write_json
from kmerl.tasks.cohort import Cohort


@dataclass(frozen=True)
class Scores:
    """The test records of one task: labels, and for each lead set scores and thresholds.

    `lead_sets` maps each key of `score` to its leads. A threshold has the best F1 on the
    validation records; NaN where none of them is positive.
    """

    task: str
    corpus: str
    codes: tuple[str, ...]
    names: tuple[str, ...]
    records: tuple[str, ...]
    patients: tuple[str, ...]
    lead_sets: dict[str, tuple[str, ...]]
    truth: Bool[np.ndarray, "record class"]
    score: dict[str, Float[np.ndarray, "record class"]]
    threshold: dict[str, Float[np.ndarray, " class"]]

    def write(self, directory: Path) -> None:
        """`directory/<task>.safetensors` for the arrays, `<task>.json` for the names."""
        tensors = {"truth": self.truth.astype(np.uint8)}
        tensors |= {f"score/{key}": np.ascontiguousarray(v) for key, v in self.score.items()}
        tensors |= {f"threshold/{key}": v for key, v in self.threshold.items()}
        with atomic(directory / f"{self.task}.safetensors") as partial:
            save_file(tensors, partial)
        names = ("corpus", "codes", "names", "records", "patients", "lead_sets")
        index = {name: getattr(self, name) for name in names}
        write_json(directory / f"{self.task}.json", index)


def scored(
    validation: Cohort,
    test: Cohort,
    validation_score: dict[str, Float[np.ndarray, "validation class"]],
    test_score: dict[str, Float[np.ndarray, "test class"]],
    lead_sets: dict[str, tuple[str, ...]],
) -> Scores:
    """Scores of a task's test records with thresholds from its validation records, by lead set."""
    return Scores(
        task=test.task,
        corpus=test.corpus,
        codes=tuple(name.code for name in test.classes),
        names=tuple(name.name for name in test.classes),
        records=tuple(map(str, test.records)),
        patients=tuple(map(str, test.patients)),
        lead_sets=lead_sets,
        truth=test.truth,
        score=test_score,
        threshold={
            key: best_threshold(validation.truth, score)[0]
            for key, score in validation_score.items()
        },
    )


def unscored(cohort: Cohort, lead_sets: dict[str, tuple[str, ...]]) -> Scores:
    """The scores of a task that was not measured: no record, every metric undefined."""
    nobody = cohort.take(np.arange(0))
    none = {key: np.empty((0, len(cohort.classes)), np.float32) for key in lead_sets}
    return scored(nobody, nobody, none, none, lead_sets)


def read_scores(directory: Path, task: str) -> Scores:
    """What `Scores.write` left.

    Raises:
        FileNotFoundError: the protocol has not scored this task.
        DamagedError: a file is torn or of another kind, or the two do not belong together.
    """
    path = directory / f"{task}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro {directory.name}` first")
    index = read_json(path)
    tensors = path.with_suffix(".safetensors")
    with reading(path, _AGAIN):
        lead_sets = {key: tuple(leads) for key, leads in index["lead_sets"].items()}
        listed = ("codes", "names", "records", "patients")
        columns = {name: tuple(map(str, index[name])) for name in listed}
        corpus = str(index["corpus"])
    with reading(tensors, _AGAIN), safe_open(tensors, framework="numpy") as file:
        found = Scores(
            task=task,
            corpus=corpus,
            **columns,
            lead_sets=lead_sets,
            truth=file.get_tensor("truth").astype(bool),
            score={key: file.get_tensor(f"score/{key}") for key in lead_sets},
            threshold={key: file.get_tensor(f"threshold/{key}") for key in lead_sets},
        )
        shape = len(found.records), len(found.codes)
        for name, array in {"truth": found.truth, **found.score}.items():
            if array.shape != shape:
                raise ValueError(f"{name!r} has shape {array.shape}, {path} says {shape}")
    return found


_AGAIN = "run the stage that writes it again"


def read_seeds(directory: Path, tasks: Iterable[str]) -> list[list[Scores]]:
    """By seed, then by task: what a protocol with several seeds left in `directory/<seed>`.

    Raises:
        FileNotFoundError: there is no seed, or one has not scored a task.
    """
    numbers = sorted(int(path.name) for path in directory.glob("[0-9]*") if path.is_dir())
    if not numbers:
        raise FileNotFoundError(f"{directory} holds no seed's scores; run the stage that writes it")
    wanted = list(tasks)
    return [[read_scores(directory / str(seed), task) for task in wanted] for seed in numbers]
