"""Stage partial_leads: from one lead to all twelve, and named sets (Sec. 4.5, Fig. 6)."""

from pathlib import Path

from kmerl import params
from kmerl.corpora.classes import TASKS
from kmerl.evaluation import partial_leads
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.scores import read_scores
from kmerl.evaluation.summary import Row, evaluate
from kmerl.files import write_csv, write_json


def main() -> None:
    settings = params.load("partial_leads", partial_leads.PartialLeads)
    statistics = params.load("statistics", Statistics)
    directories = {
        "linear_probe": Path("data/linear_probe") / str(settings.ratio),
        "zero_shot": Path("data/zero_shot"),
    }
    curves: dict[str, dict[str, Row]] = {}
    rows = []
    for protocol, directory in directories.items():
        scores = [read_scores(directory, task) for task in TASKS]
        points = partial_leads.points(scores[0].lead_sets)
        keys = list(dict.fromkeys(point.scored for point in points))
        evaluations = evaluate(scores, statistics, params.seed(), keys)
        curves[protocol] = partial_leads.curve(evaluations, points, statistics.level)
        rows += partial_leads.curve_rows(protocol, evaluations, points, statistics.level)
    write_json("metrics/partial_leads.json", curves)
    write_csv("plots/partial_leads.csv", partial_leads.COLUMNS, rows)
    means = partial_leads.side_by_side(curves)
    write_csv("plots/lead_curves.csv", ("count", *curves), means)


if __name__ == "__main__":
    main()
