"""The shares of a task's training records that a probe or a fine-tuning sees (Sec. 4.2)."""

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int

from kmerl.params import NoFlag
from kmerl.seeds import generator
from kmerl.tasks.cohort import Cohort

Ratio = Annotated[Literal[1, 10, 100], NoFlag]
RATIOS: tuple[Ratio, ...] = (1, 10, 100)
"""Per cent of the training records (Sec. 4.2)."""

SUBSET_COLUMNS = ("seed", "task", "record", "ratio")


def training_order(records: int, task: str, seed: int, number: int) -> Int[np.ndarray, " record"]:
    """A permutation of a task's training records; a ratio is a head of it, so ratios nest.

    Args:
        seed: of params.yaml.
        number: which of a protocol's seeds, from 0; the first has the stream that one seed alone
            would have.
    """
    purpose = ("linear_probe", "subset", task, *([number] if number else []))
    return generator(seed, *purpose).permutation(records)


def subset_size(records: int, ratio: int) -> int:
    """Records at a ratio: rounded down as in MERL's subsets, and one at least if there is any."""
    return min(records, max(1, records * ratio // 100))


def subset_rows(cohort: Cohort, seed: int, seeds: int) -> list[list[object]]:
    """Rows of `SUBSET_COLUMNS`: each training record and the smallest ratio that has it."""
    train = cohort.split("train")
    rows: list[list[object]] = []
    for number in range(seeds):
        order = training_order(len(train.records), cohort.task, seed, number)
        smallest = np.full(len(order), max(RATIOS))
        for ratio in sorted(RATIOS, reverse=True):
            smallest[order[: subset_size(len(order), ratio)]] = ratio
        pairs = zip(train.records.tolist(), smallest.tolist(), strict=True)
        rows += [[number, cohort.task, record, least] for record, least in pairs]
    return rows
