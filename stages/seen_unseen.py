"""Stage seen_unseen: classes met in pretraining and classes never met (Sec. 4.3, Fig. 5)."""

import dataclasses
from pathlib import Path

from safetensors.numpy import load_file

from kmerl import params
from kmerl.errors import clear_errors
from kmerl.evaluation import metric_files, seen_unseen
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.metric_rows import evaluate
from kmerl.evaluation.scores import read_scores
from kmerl.files import fresh_directory, read_json, reading, write_csv
from kmerl.tasks import of_run, prompts
from kmerl.tasks.classes import averaged


def main() -> None:
    settings = params.load("seen_unseen", seen_unseen.SeenUnseen)
    statistics = params.load("statistics", Statistics)
    names, path = read_json("data/text/names.json"), "data/text/names.safetensors"
    with reading(path, "run `dvc repro embed_text` again"):
        entities = names["entities"], load_file(path)["entities"]
    tasks = of_run.read(Path("data/tasks.json"))
    asked = prompts.read_asked(Path("data/asked"), "names", tasks)
    measured = averaged(task.name for task in tasks)
    found = seen_unseen.overlaps(*asked.named(tasks), *entities, settings.threshold)
    kept = [task for task in tasks if task.name in measured]
    mined = seen_unseen.overlaps(*entities, *asked.named(kept), settings.threshold)
    scores = [read_scores(Path("data/zero_shot"), task) for task in measured]
    evaluations = evaluate(scores, statistics, params.seed(), [seen_unseen.ALL_LEADS])
    groups = seen_unseen.group_metrics(found, mined, scores, evaluations, statistics.level)
    metric_files.write("seen_unseen", groups)
    out = fresh_directory("data/seen_unseen")
    write_csv(out / "classes.csv", seen_unseen.CLASSES, map(dataclasses.astuple, found))
    write_csv(out / "entities.csv", seen_unseen.ENTITIES, map(dataclasses.astuple, mined))


if __name__ == "__main__":
    with clear_errors("seen_unseen"):
        main()
