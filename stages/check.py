"""Stage check: the method and the task that params.yaml names are there, before any other stage.

Without it `dvc repro` would do all that comes before stage pretrain, and then miss the method's
file, or all before stage report, and then the task that heads it. What it writes is the same
whatever is named, so that no other stage runs again.
"""

import pkgutil
from importlib.util import find_spec

from kmerl import files, params
from kmerl.corpora.entries import own_tasks
from kmerl.errors import clear_errors
from kmerl.tasks.of_run import tasks_of_run

OUT = "data/check.txt"


def main() -> None:
    values = params.read()
    method = params.value(values, "method", str)
    task = params.value(values, "report.task", str)
    found = find_spec("kmerl.methods")  # imports none of them, nor torch
    places = found.submodule_search_locations if found else None
    names = sorted(module.name for module in pkgutil.iter_modules(places))
    if method not in names:
        raise params.ParamsError(f"method is {method!r}; choose one of {', '.join(names)}")
    tasks = [one.name for one in tasks_of_run(own_tasks())]
    if tasks and task not in tasks:
        raise params.ParamsError(f"report.task is {task!r}; choose one of {', '.join(tasks)}")
    files.write_text(OUT, "params.yaml names a method that is there\n")


if __name__ == "__main__":
    with clear_errors("check"):
        main()
