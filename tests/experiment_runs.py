"""Made-up runs of experiments.yaml: every experiment asked for, the same numbers every time."""

from collections.abc import Iterable

from kmerl.experiments.catalogue import Catalogue
from kmerl.experiments.runs import Run, Value
from kmerl.seeds import generator

WORDS = "1,200 simulated records, nano encoder, 8 epochs"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RAN = ("kmerl", "merl-resnet", "merl-vit", "tokens-50", "no-segment-masking")
"""A few experiments: of long tables, short ones and figures."""


def made_up(
    catalogue: Catalogue,
    names: Iterable[str],
    seeds: Iterable[int] = (0, 1, 2),
    scale: str = "demo",
    words: str = WORDS,
) -> list[Run]:
    """Runs with an AUROC between 0.6 and 0.8 and an interval about it for each metric."""
    metrics = catalogue.metrics()
    found = []
    for name in names:
        for seed in seeds:
            points = generator(seed, "made up", name).uniform(0.6, 0.8, len(metrics)).tolist()
            values = {
                metric: Value(point, point - 0.03, point + 0.02)
                for metric, point in zip(metrics, points, strict=True)
            }
            found.append(Run(name, seed, scale, words, COMMIT, f"{name}-{seed}", "0" * 64, values))
    return found
