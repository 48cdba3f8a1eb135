"""The label matrix: which entities and superclasses each report states (y_i of Sec. 3.4)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from kmerl.knowledge.backend import is_of_the_table, namesakes
from kmerl.params import CountOrZero, checked


@checked
class LabelMatrix:
    """The `label_matrix` section of params.yaml."""

    min_records: CountOrZero


@dataclass(frozen=True)
class Labels:
    """Records by columns; entities first, then superclasses, each in alphabetical order."""

    records: tuple[str, ...]
    entities: tuple[str, ...]
    superclasses: Mapping[str, tuple[str, ...]]  # with their children among `entities`
    values: np.ndarray  # bool, (records, entities + superclasses)
    said: np.ndarray  # bool, (records, entities): by the report itself, not by its superclass

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.entities, *self.superclasses)

    def stated(self) -> list[tuple[str, str]]:
        """(record, entity) of all that the reports say, superclasses and what bears their names
        left out."""
        rows, columns = np.nonzero(self.said)
        return [(self.records[r], self.entities[c]) for r, c in zip(rows, columns, strict=True)]

    def table(self) -> pa.Table:
        """`record` and one bool column a label.

        Raises:
            ValueError: a label bears the name of another one or of the table's own.
        """
        names = Counter(self.columns)
        for name, times in names.items():
            if times > 1 or is_of_the_table(name):
                raise ValueError(f"label {name!r} would be a second column; run `dvc repro merge`")
        values = [pa.array(column) for column in self.values.T]
        return pa.table([pa.array(self.records, pa.string()), *values], ["record", *names])


def label_matrix(
    reports: Mapping[str, Sequence[int]],
    stated: Iterable[tuple[int, str]],
    entity: Mapping[str, str],
    hierarchy: Mapping[str, Sequence[str]],
    min_records: int = 1,
) -> Labels:
    """Labels of all reports: 1 where a statement of the report states the entity, else 0.

    An entity that bears a superclass's name is 1 where any child of that superclass is, too: who
    asks for "myocardial infarction" asks for an inferior one as well.

    Args:
        reports: record -> its statements, in the order of the rows.
        stated: (statement, expression) pairs that verification kept; an expression that is not in
            `entity` was dropped by hand.
        entity: expression -> canonical entity.
        hierarchy: superclass -> children; a superclass is 1 where any child is.
        min_records: entities and superclasses in fewer reports get no column. A child without a
            column still counts for its superclass.
    """
    names = sorted(set(entity.values()))
    place = {name: column for column, name in enumerate(names)}
    # filled, combined and written a column at a time: each lies in one piece
    values = np.zeros((len(reports), len(names) + len(hierarchy)), bool, order="F")
    row = np.repeat(np.arange(len(reports)), [len(one) for one in reports.values()])
    told = np.fromiter(chain.from_iterable(reports.values()), np.int64, len(row))
    row, told = row[np.argsort(told, kind="stable")], np.sort(told)
    for statement, expression in stated:
        if expression in entity:
            here = slice(*np.searchsorted(told, [statement, statement + 1]))
            values[row[here], place[entity[expression]]] = True
    said = values[:, : len(names)].copy(order="F")
    named = [
        (place[name], [place[child] for child in children])
        for superclass, children in hierarchy.items()
        for name in namesakes(superclass, place)
    ]
    for _ in named:  # so often, as one may stand below another
        for column, children in named:
            values[:, column] |= values[:, children].any(axis=1)
    for column, superclass in enumerate(sorted(hierarchy), len(names)):
        children = [place[child] for child in hierarchy[superclass]]
        values[:, column] = values[:, children].any(axis=1)
    return _frequent(tuple(reports), names, said, values, hierarchy, min_records)


def _frequent(
    records: tuple[str, ...],
    names: Sequence[str],
    said: np.ndarray,
    values: np.ndarray,
    hierarchy: Mapping[str, Sequence[str]],
    min_records: int,
) -> Labels:
    often = values.sum(axis=0) >= min_records
    entities = tuple(name for name, keep in zip(names, often[: len(names)], strict=True) if keep)
    known = set(entities)
    superclasses = {
        name: tuple(child for child in hierarchy[name] if child in known)
        for name, keep in zip(sorted(hierarchy), often[len(names) :], strict=True)
        if keep
    }
    if not often.all():
        values, said = values[:, often], said[:, often[: len(names)]]
    return Labels(records, entities, superclasses, values, said)


def readable(labels: Labels, entity: Mapping[str, str]) -> list[dict[str, Any]]:
    """The columns as a cardiologist reads them: name, kind, children, expressions, records."""
    said: dict[str, list[str]] = {}
    for expression in sorted(entity):
        said.setdefault(entity[expression], []).append(expression)
    counts = labels.values.sum(axis=0)
    return [
        {
            "name": name,
            "kind": "superclass" if name in labels.superclasses else "entity",
            "children": list(labels.superclasses.get(name, ())),
            "expressions": said.get(name, []) if name not in labels.superclasses else [],
            "records": int(counts[column]),
        }
        for column, name in enumerate(labels.columns)
    ]


def summary(labels: Labels, verdicts: Iterable[str], entity: Mapping[str, str]) -> dict[str, Any]:
    """Counts of each step of mining (paper: 341 expressions, 252 entities, 25 superclasses)."""
    return {
        "expressions": len(entity),
        "entities": len(set(entity.values())),
        "superclasses": len(labels.superclasses),
        "columns": len(labels.columns),
        "records_without_label": int((~labels.values.any(axis=1)).sum()),
        "labels_per_record": float(labels.values.sum() / max(len(labels.records), 1)),
        "verdicts": dict(sorted(Counter(verdicts).items())),
    }
