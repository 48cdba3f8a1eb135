"""Stage partial_leads: from one lead to all twelve, and named sets (Sec. 4.5, Fig. 6)."""

from pathlib import Path

from kmerl import params
from kmerl.errors import clear_errors
from kmerl.evaluation import partial_leads
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.metric_rows import Row, evaluate, over_seeds
from kmerl.evaluation.scores import read_scores, read_seeds
from kmerl.files import write_csv, write_json
from kmerl.tasks import of_run


def main() -> None:
    settings = params.load("partial_leads", partial_leads.PartialLeads)
    statistics, seed = params.load("statistics", Statistics), params.seed()
    tasks = [task.name for task in of_run.read(Path("data/tasks.json"))]
    by_seed = {
        "linear_probe": read_seeds(Path("data/linear_probe") / str(settings.ratio), tasks),
        "zero_shot": [[read_scores(Path("data/zero_shot"), task) for task in tasks]],
    }
    curves: dict[str, dict[str, Row]] = {}
    rows = []
    for protocol, seeds in by_seed.items():
        points = partial_leads.points(seeds[0][0].lead_sets)
        keys = list(dict.fromkeys(point.scored for point in points))
        evaluations = over_seeds([evaluate(one, statistics, seed, keys) for one in seeds])
        curves[protocol] = partial_leads.curve(evaluations, points, statistics.level)
        rows += partial_leads.curve_rows(protocol, evaluations, points, statistics.level)
    write_json("metrics/partial_leads.json", curves)
    write_csv("plots/partial_leads.csv", partial_leads.COLUMNS, rows)
    means = partial_leads.side_by_side(curves)
    write_csv("plots/lead_curves.csv", ("count", *curves), means)


if __name__ == "__main__":
    with clear_errors("partial_leads"):
        main()
