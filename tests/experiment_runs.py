"""Made-up runs of experiments.yaml, the same numbers every time, and a small table with runs."""

import itertools
from dataclasses import replace

from kmerl.experiments.catalogue import Catalogue, Experiment, Row, Table
from kmerl.experiments.runs import Run, Value
from kmerl.report.results import Result, results
from kmerl.seeds import generator

WORDS = "1,200 simulated records, nano encoder, 8 epochs"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RAN = ("kmerl", "merl-resnet", "merl-vit", "tokens-50", "no-segment-masking")
"""A few experiments: of long tables, short ones and figures."""

METRICS = {"1 lead": "zero_shot.average.1.auroc", "12 leads": "zero_shot.average.12.auroc"}
SMALL = Table(
    "table-x",
    "Masking & more",
    "Table X",
    METRICS,
    (
        Row("kmerl", "K-MERL (Ours)", {"1 lead": 71.61, "12 leads": 76.5}),
        Row("no-masking", "- Masking_50%", {"1 lead": 68.93}),
        Row("hub-text", "From a hub", {"1 lead": 70.0}),
    ),
)
CATALOGUE = Catalogue(
    {},
    ("zero_shot",),
    {
        "kmerl": Experiment("kmerl", {}),
        "no-masking": Experiment("no-masking", {"mask.segments": 0.0}),
        "hub-text": Experiment("hub-text", {"text_encoder.model": "x"}, needs=("hub",)),
    },
    {"table-x": SMALL},
)

NOISE = replace(SMALL, name="noise", rows=(Row("nudge-1", "1"), Row("nudge-2", "2")))
NOISY = replace(
    CATALOGUE,
    experiments=CATALOGUE.experiments
    | {name: Experiment(name, {}) for name in ("nudge-1", "nudge-2")},
    tables={"table-x": SMALL, "noise": NOISE},
)


def made_up(catalogue, names, seeds=(0, 1, 2), scale="demo", words=WORDS) -> list[Run]:
    """Runs with an AUROC between 0.6 and 0.8 and an interval about it for each metric."""
    metrics, found = catalogue.metrics(), []
    for name, seed in itertools.product(names, seeds):
        points = generator(seed, "made up", name).uniform(0.6, 0.8, len(metrics)).tolist()
        triples = [Value(point, point - 0.03, point + 0.02) for point in points]
        values = dict(zip(metrics, triples, strict=True))
        found.append(Run(name, seed, scale, words, COMMIT, f"{name}-{seed}", "0" * 64, values))
    return found


def run(name: str, seed: int, one: Value, twelve: Value | None = None, **other: str) -> Run:
    values = {METRICS["1 lead"]: one, METRICS["12 leads"]: twelve or one}
    whole = {"scale": "demo", "words": WORDS, "commit": COMMIT, "revision": "r", "lock": "l"}
    return Run(experiment=name, seed=seed, values=values, **(whole | other))


TWO_SEEDS = [
    run("kmerl", 0, Value(0.70, 0.66, 0.74)),
    run("kmerl", 1, Value(0.72, 0.68, 0.75)),
    run("no-masking", 0, Value(0.65, 0.6, 0.7), Value(None)),
    run("no-masking", 1, Value(0.65, 0.6, 0.7), Value(None)),
]
NUDGED = [run("nudge-1", 0, Value(0.68)), run("nudge-2", 0, Value(0.72), Value(None))]
"""On one lead the deviation is 4 / sqrt(2) = 2.83 per cent; on twelve one value has none."""


def only(runs: list[Run], scale: str | None = None) -> Result:
    (result,) = results(CATALOGUE, runs, scale=scale)
    return result
