"""Tables of this run's data beside the paper's: records of the tasks, entities that are classes."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmerl.files import read_json
from kmerl.report.grid import NOT_RUN, Cell, Column, Grid, Group, Row
from kmerl.report.published import PUBLISHED
from kmerl.tasks.classes import TASKS, classes

COUNTS, ENTITIES = Path("metrics/ingest.json"), Path("data/seen_unseen/entities.csv")
_SPLITS = {"train": "Train", "val": "Valid", "test": "Test"}
_Overlaps = Sequence[Mapping[str, str]]


def grids(root: Path) -> list[Grid]:
    """Table 3, the share of entities that are classes (Sec. 4.3), and their names (Table 5), of the
    run whose metrics/ and data/ stand below `root`; "not run" where a stage has not written."""
    counts = read_json(root / COUNTS) if (root / COUNTS).exists() else {}
    overlaps = list(_rows(root / ENTITIES))
    return [records(counts), overlap(overlaps), entities(overlaps)]


def records(counts: Mapping[str, Any]) -> Grid:
    """Records of the tasks by split (Table 3).

    Args:
        counts: metrics/ingest.json; empty where stage `splits` has not run.
    """
    rows = []
    for task, corpus in TASKS.items():
        paper, found = PUBLISHED["splits"][task], counts.get(corpus, {}).get("tasks", {}).get(task)
        asked = _count(len(classes(task)) if found else None, paper["categories"])
        of_split = [_count(found and found[name]["rows"], paper[name]) for name in _SPLITS]
        rows.append(Row(paper["name"], [asked, *of_split]))
    return Grid(
        "Records of the tasks",
        [Column("Categories"), *(Column(title) for title in _SPLITS.values())],
        [Group(rows)],
        name="table-3",
        source="Table 3",
        measured=f"Paper: MERL's split files. Ours: this run's records, stage splits ({COUNTS}).",
        ranked=False,
    )


def overlap(overlaps: _Overlaps) -> Grid:
    """How many of the mined entities are classes of the tasks (Sec. 4.3).

    Args:
        overlaps: rows of data/seen_unseen/entities.csv.
    """
    paper, mined = PUBLISHED["overlap"], PUBLISHED["mining"]["columns"]
    seen = sum(row["group"] == "seen" for row in overlaps)
    total = len(overlaps) or None
    cells = [_count(total, mined), _count(seen if total else None, paper["seen"])]
    share = Cell(100 * seen / total) if total else Cell(text=NOT_RUN)
    cells.append(replace(share, paper=paper["percent"], decimals=1))
    return Grid(
        "Mined entities that are classes of the tasks",
        [Column("Entities"), Column("Seen"), Column("Seen, %")],
        [Group([Row("Nearer to a class than seen_unseen.threshold", cells)])],
        note=f"{paper['seen']} of {mined} are {100 * paper['seen'] / mined:.1f} %.",
        name="seen-entities",
        source="Sec. 4.3",
        measured=f"Paper: by Med-CPT, above 0.95. Ours: this run, stage seen_unseen ({ENTITIES}).",
        ranked=False,
    )


def entities(overlaps: _Overlaps) -> Grid:
    """The entities that are classes of the tasks, by name (Table 5): the paper's, each once, and
    those that are ours alone.

    Args:
        overlaps: rows of data/seen_unseen/entities.csv.
    """
    listed: list[str] = PUBLISHED["overlap"]["entities"]
    ours = {row["entity"]: row for row in overlaps}
    more = [name for name, row in ours.items() if row["group"] == "seen" and name not in listed]
    absent = "not mined" if overlaps else NOT_RUN
    titles = {"Listed in Table 5": dict.fromkeys(listed), "Not listed there, seen here": more}
    return Grid(
        "Entities that are classes of the tasks",
        [Column("Ours", words=True), Column("Similarity"), Column("Nearest class", words=True)],
        [
            Group([_entity(name, ours.get(name), absent) for name in names], title)
            for title, names in titles.items()
            if names
        ],
        note=f"The paper lists {len(listed)} names, of which {len(set(listed))} differ.",
        name="table-5",
        source="Table 5",
        measured=f"Paper: by Med-CPT, above 0.95. Ours: this run, stage seen_unseen ({ENTITIES}).",
        ranked=False,
    )


def _entity(name: str, found: Mapping[str, str] | None, absent: str) -> Row:
    if found is None:
        return Row(name, [Cell(text=absent), Cell(), Cell()])
    similarity = Cell(float(found["similarity"]), decimals=2)
    return Row(name, [Cell(text=found["group"]), similarity, Cell(text=found["class"])])


def _count(ours: int | None, paper: int) -> Cell:
    return Cell(ours, text=NOT_RUN if ours is None else "", paper=paper, decimals=0)


def _rows(path: Path) -> Iterable[dict[str, str]]:
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
