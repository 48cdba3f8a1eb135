"""The classes of the six official tasks and the full names by which F_CQ is asked for them.

Zero-shot classification asks by full class name, never by an acronym or an LLM's description
(Sec. 3.3, Sec. 4.1). `classes.csv` holds them: codes in the order of MERL's split files, names
lower-cased in the manner of Table 5. Its `source` column says where a name comes from:

- `scp_statements`: PTB-XL's own description, with case, hyphens, number and bracketed remarks
  brought to one spelling ("long QT-interval" -> "prolonged qt interval");
- `conditionnames`: CSN's own full name, likewise ("1 degree atrioventricular block" ->
  "first degree av block");
- `by hand`: the corpus has no name for the code (PTB-XL's superclasses and pooled subclasses,
  CPSC2018's nine labels), or one that no cardiologist uses; the latter are the terms of the
  class's SNOMED CT code (CSN's "Axis left shift" is 39732003, left axis deviation; its
  "ST extension" is 164930006, an ST segment abnormality, beside "ST tilt up", 164931005, the
  ST elevation).
"""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Annotated, NamedTuple

from pydantic import Field

TASKS: dict[str, str] = {
    "ptbxl_super": "ptb-xl",
    "ptbxl_sub": "ptb-xl",
    "ptbxl_form": "ptb-xl",
    "ptbxl_rhythm": "ptb-xl",
    "cpsc2018": "cpsc2018",
    "csn": "csn",
}
"""The downstream tasks (Table 3) and the corpus that carries each one's labels."""


OwnTasks = dict[
    Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")],
    Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[A-Za-z0-9_./()-]{1,32}$")],
            Annotated[str, Field(pattern=r"\S")],
        ],
        Field(min_length=1),
    ],
]
"""Tasks of one's own, of params.yaml: {task: {class code: full name}}."""


class ClassName(NamedTuple):
    """A class of a task: its code in the corpus and its full name."""

    code: str
    name: str


class Task(NamedTuple):
    """A task: the corpus that carries its labels, and its classes, in their order."""

    name: str
    corpus: str
    classes: tuple[ClassName, ...]


@cache
def classes(task: str) -> tuple[ClassName, ...]:
    """The classes of a task, in the order of MERL's split files.

    Raises:
        ValueError: the task is none of `TASKS`.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; the tasks are {', '.join(TASKS)}")
    return tuple(ClassName(row["code"], row["name"]) for row in _rows() if row["task"] == task)


def official(task: str) -> Task:
    """A task of `TASKS`.

    Raises:
        ValueError: the task is none of them.
    """
    return Task(task, TASKS.get(task, ""), classes(task))


def averaged(tasks: Iterable[str]) -> list[str]:
    """The tasks behind the mean over tasks: those of `TASKS`, so that it stands beside the paper's
    whatever tasks of one's own are measured too; in a run without any of them, all."""
    every = list(tasks)
    return [task for task in every if task in TASKS] or every


def in_order(tasks: Iterable[str]) -> list[str]:
    """Official tasks in the order of Table 3, then others by name."""
    return sorted(tasks, key=lambda task: (task not in TASKS, [*TASKS, task].index(task), task))


def tasks_of(corpus: str) -> tuple[str, ...]:
    """The official tasks whose labels a corpus carries; none for a pretraining corpus."""
    return tuple(task for task, home in TASKS.items() if home == corpus)


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = resources.files("kmerl.tasks").joinpath("classes.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
