"""The tasks of a run: those of the official corpora that it has, and one's own.

Stage `tasks` writes them to data/tasks.json; what comes after asks that file, so that leaving a
corpus out of params.yaml, or adding a table of one's own, is a change of params.yaml alone.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from kmerl import params
from kmerl.files import read_json, reading, write_text
from kmerl.tasks.classes import TASKS, ClassName, OwnTasks, Task, official

AVERAGE = "average"
"""What the metrics call the mean over tasks, which no task may be called."""
COLUMNS = ("record", "patient", "split")
"""What the tables of stage `splits` hold beside the classes."""


def tasks_of_run(corpora: Mapping[str, OwnTasks | None]) -> tuple[Task, ...]:
    """The tasks of Table 3 whose corpus is there, in its order, then one's own in that of the file;
    none where a run pretrains alone.

    Args:
        corpora: of each corpus of params.yaml, its own tasks.

    Raises:
        ParamsError: a name cannot be a task's or a class's.
    """
    found = [official(task) for task, corpus in TASKS.items() if corpus in corpora]
    for corpus, tasks in corpora.items():
        for name, kinds in (tasks or {}).items():
            where = f"corpora.{corpus}.tasks.{name}"
            if name in (AVERAGE, *TASKS):
                raise params.ParamsError(
                    f"{where}: {name} is a name of the chain's own; give the task another one"
                )
            if twin := next((one.corpus for one in found if one.name == name), None):
                raise params.ParamsError(
                    f"{where}: corpora.{twin} has a task of that name; give one of them another"
                )
            if taken := next((code for code in kinds if code in COLUMNS), None):
                raise params.ParamsError(
                    f"{where}.{taken}: a column of that name is no label; name the class, and its "
                    f"column, otherwise"
                )
            found.append(Task(name, corpus, tuple(_own(*kind) for kind in kinds.items())))
    return tuple(found)


def corpora_of(tasks: Iterable[Task]) -> list[str]:
    """The corpora of some tasks, by name."""
    return sorted({task.corpus for task in tasks})


def write(tasks: Iterable[Task], path: Path) -> None:
    """{task: {corpus, classes: {code: full name}}}, in their order."""
    listed = {t.name: {"corpus": t.corpus, "classes": dict(t.classes)} for t in tasks}
    write_text(path, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[Task, ...]:
    """What `write` wrote.

    Raises:
        FileNotFoundError: stage `tasks` has not run.
        DamagedError: the file holds something else.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run `dvc repro tasks`")
    with reading(path, "run `dvc repro tasks` again"):
        return tuple(
            Task(name, one["corpus"], tuple(ClassName(*kind) for kind in one["classes"].items()))
            for name, one in read_json(path).items()
        )


def _own(code: str, name: str) -> ClassName:
    """As `kmerl predict` asks: in lower case, with single spaces."""
    return ClassName(code, " ".join(name.split()).lower())
