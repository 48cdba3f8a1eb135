"""Stage tasks: what is measured, of which corpus, and by which names its classes are asked."""

from pathlib import Path

from kmerl.corpora.entries import own_tasks
from kmerl.errors import clear_errors
from kmerl.tasks import of_run

OUT = Path("data/tasks.json")


def main() -> None:
    of_run.write(of_run.tasks_of_run(own_tasks()), OUT)


if __name__ == "__main__":
    with clear_errors("tasks"):
        main()
