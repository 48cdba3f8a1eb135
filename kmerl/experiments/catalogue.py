"""experiments.yaml: every row and point of the paper's tables and figures, by name."""

import copy
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from kmerl import params
from kmerl.params import ParamsError, build, checked, nearest

FILE = Path("experiments.yaml")

Need = Literal["hub", "llm", "gpu"]
NEEDS: Mapping[Need, str] = {
    "hub": "downloads a text encoder from a model hub",
    "llm": "mines with a large language model (extract.backend: vllm)",
    "gpu": "hours to days on a CPU",
}
Kind = Literal["table", "curves", "points", "bars"]

_OF_AN_EXPERIMENT = ("like", "set", "targets", "needs")


@dataclass(frozen=True)
class Experiment:
    """Keys of params.yaml and the values that this experiment gives them.

    `set` is on top of `Catalogue.every`; `targets` are the stages that it runs; `needs` says what
    the machine must have beyond the demo's.
    """

    name: str
    set: Mapping[str, Any]
    targets: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of a table, or a curve or point of a figure: what one experiment gave.

    `paper` holds the paper's values by column, in per cent; a column that is not there has no
    number in the paper's text. `group` heads rows of a table, or names a curve. `x` is where the
    row stands on a figure's axis; a row of a figure of points without one is a level across it.
    `metrics` replaces parts of the columns' metrics: {linear_probe: fine_tune} reads another file.
    """

    experiment: str
    label: str
    paper: Mapping[str, float] = field(default_factory=dict)
    x: int | float | str | None = None
    group: str = ""
    metrics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table or figure of the paper, or of our own (`source` says which).

    `columns` maps a column's name to the metric it shows: file, then keys, with dots
    (zero_shot.average.12.auroc). `kind`: a table; curves over the columns, one a row; points over
    the rows' `x`, one curve a group; bars, a group of them a column and one of each a row.
    """

    name: str
    caption: str
    source: str
    columns: Mapping[str, str]
    rows: Sequence[Row]
    kind: Kind = "table"
    x_label: str = ""
    y_label: str = "macro AUROC"
    note: str = ""

    def metric(self, row: Row, column: str) -> str:
        """The metric that a cell shows: the column's, with what the row replaces in it."""
        parts = self.columns[column].split(".")
        return ".".join(row.metrics.get(part, part) for part in parts)


@dataclass(frozen=True)
class Catalogue:
    """All of experiments.yaml. `every` holds what each experiment sets before its own keys,
    `targets` the stages that a queued experiment runs where it names none itself."""

    every: Mapping[str, Any]
    targets: tuple[str, ...]
    experiments: Mapping[str, Experiment]
    tables: Mapping[str, Table]

    def of(self, *names: str) -> list[Experiment]:
        """The experiments of tables, in the order of their rows, each once; `names` may be
        experiments too, and "all" is every one.

        Raises:
            ParamsError: nothing has this name; the message lists the tables.
        """
        found: dict[str, None] = {}
        for name in names:
            if name in self.tables:
                found |= dict.fromkeys(row.experiment for row in self.tables[name].rows)
            elif name in self.experiments or name == "all":
                found |= dict.fromkeys(self.experiments if name == "all" else [name])
            else:
                raise ParamsError(
                    f"there is no table {name!r}; choose one of {', '.join(self.tables)}, or one "
                    "of their rows"
                )
        return [self.experiments[name] for name in found]

    def metrics(self) -> list[str]:
        """Every metric that a cell of any table shows, sorted."""
        return sorted({metric for _, metric, _ in self._cells()})

    def printed(self, experiment: str) -> dict[str, float]:
        """The paper's values of an experiment by metric, in per cent, from every table."""
        cells = (cell for cell in self._cells() if cell[0] == experiment)
        return {metric: value for _, metric, value in cells if value is not None}

    def _cells(self) -> Iterator[tuple[str, str, float | None]]:
        """Each cell's experiment, the metric that it shows, and the paper's value."""
        for table in self.tables.values():
            for row, column in itertools.product(table.rows, table.columns):
                yield row.experiment, table.metric(row, column), row.paper.get(column)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
        raise ValueError(f"{text!r} is no name; lower case, digits and hyphens")
    if re.search(r"-s\d+$", text):
        raise ValueError(f"{text!r} ends like a seed (-s0), which `queue` appends")
    return text


_Name = Annotated[str, AfterValidator(_name)]


@checked
class _Row:
    """A row as the file has it; what it says of its experiment is None in all but the first."""

    label: str
    x: int | float | str | None = None
    group: str = ""
    paper: tuple[float | None, ...] = ()
    metrics: dict[str, str] = field(default_factory=dict)
    like: str | None = None
    set: dict[str, Any] | None = None
    targets: tuple[str, ...] | None = None
    needs: tuple[Need, ...] | None = None


@checked
class _Table:
    """A table as the file has it."""

    caption: str
    source: str
    columns: dict[str, str]
    rows: dict[_Name, _Row]
    kind: Kind = "table"
    x_label: str = ""
    y_label: str = "macro AUROC"
    note: str = ""


@checked
class _File:
    every: dict[str, Any]
    targets: tuple[str, ...]
    tables: dict[_Name, _Table]


def read(path: Path | str = FILE, parameters: Path | str = "params.yaml") -> Catalogue:
    """The whole file, every key checked; `sections.check` checks the values too.

    Args:
        parameters: a params.yaml, whose keys are those that an experiment may set.

    Raises:
        ParamsError: the file cannot be read, or has an unknown, missing or badly named key; the
            message says where.
    """
    values = params.read_file(here(path), "it stands in the repository's root")
    file, known = build(_File, values, f"{path}: "), params.read(here(parameters))
    _check_set(file.every, known, f"{path}: every")
    experiments: dict[str, Experiment] = {}
    tables: dict[str, Table] = {}
    for name, table in file.tables.items():
        rows = []
        for row, held in table.rows.items():
            where = f"{path}: tables.{name}.rows.{row}"
            if row not in experiments:
                experiments[row] = _experiment(row, held, experiments, file.targets, where)
                _check_set(experiments[row].set, known, f"{where}.set")
            elif doubled := [key for key in _OF_AN_EXPERIMENT if getattr(held, key) is not None]:
                raise ParamsError(f"{where}.{doubled[0]}: an earlier table has defined {row!r}")
            rows.append(_row(row, held, table.columns, where))
        tables[name] = Table(**{**vars(table), "name": name, "rows": tuple(rows)})
    for name in experiments.keys() & tables.keys():
        raise ParamsError(f"{path}: {name!r} is a table and an experiment; rename one")
    return Catalogue(file.every, file.targets, experiments, tables)


def here(path: Path | str) -> Path:
    """A file of the repository's root; outside a repository, the copy that came with the package
    (demo.yaml as params.yaml)."""
    if Path(path).parent != Path() or Path(path).exists():
        return Path(path)
    packaged = Path(str(resources.files("kmerl.experiments"))) / Path(path).name
    return packaged if packaged.exists() else Path(path)


def changed(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """All of params.yaml with some dotted keys given other values."""
    whole = copy.deepcopy(dict(values))
    for key, value in given.items():
        *sections, last = key.split(".")
        inner = whole
        for section in sections:
            inner = inner[section]
        inner[last] = value
    return whole


def check_known(word: str, known: Iterable[str], where: str, what: str) -> None:
    """A ParamsError where the word is none of those; it has the nearest one, or all."""
    if word not in known:
        raise ParamsError(f"{where}: {word!r} is no {what}; {nearest(word, known)}")


def _check_set(given: Mapping[str, Any], values: Mapping[str, Any], where: str) -> None:
    """Each dotted key is one of params.yaml; what is below `options` the method knows."""
    for key in given:
        inner: Any = values
        for part in ["options"] if key.startswith("options.") else key.split("."):
            if not isinstance(inner, dict):
                raise ParamsError(f"{where}: {key!r}: params.yaml has nothing below that")
            check_known(part, inner, f"{where}: {key!r}", "key of params.yaml")
            inner = inner[part]


def _row(name: str, held: _Row, columns: Mapping[str, str], where: str) -> Row:
    if held.paper and len(held.paper) != len(columns):
        raise ParamsError(
            f"{where}.paper has {len(held.paper)} values; the table has {len(columns)} columns "
            "(null: the paper gives none)"
        )
    known = {part for metric in columns.values() for part in metric.split(".")}
    for part in held.metrics:
        check_known(part, sorted(known), f"{where}.metrics", "part of a column's metric")
    paper = zip(columns, held.paper, strict=False)
    numbers = {column: value for column, value in paper if value is not None}
    return Row(name, held.label, numbers, held.x, held.group, held.metrics)


def _experiment(
    name: str,
    held: _Row,
    above: Mapping[str, Experiment],
    targets: tuple[str, ...],
    where: str,
) -> Experiment:
    """What the first row of an experiment says of it."""
    if held.set is None:
        raise ParamsError(f"{where}.set is missing; {{}} changes nothing")
    base = Experiment(name, {}, targets)
    if held.like is not None:
        check_known(held.like, above, f"{where}.like", "experiment above it")
        base = above[held.like]
    runs = base.targets if held.targets is None else held.targets
    needs = base.needs if held.needs is None else held.needs
    return Experiment(name, {**base.set, **held.set}, runs, needs)
