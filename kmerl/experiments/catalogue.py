"""experiments.yaml: every row and point of the paper's tables and figures, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from kmerl import params
from kmerl.experiments import checks
from kmerl.params import ParamsError

FILE = Path("experiments.yaml")

Need = Literal["hub", "llm", "gpu"]
NEEDS: Mapping[Need, str] = {
    "hub": "downloads a text encoder from a model hub",
    "llm": "mines with a large language model (extract.backend: vllm)",
    "gpu": "hours to days on a CPU",
}
Kind = Literal["table", "curves", "points", "bars"]

_OF_A_TABLE = ("caption", "source", "kind", "x_label", "y_label", "note", "columns", "rows")
_OF_A_ROW = ("label", "x", "group", "paper", "metrics", "like", "set", "targets", "needs")
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
    x: float | str | None = None
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

    def of(self, name: str) -> list[Experiment]:
        """The experiments of a table, each once, in the order of its rows; of an experiment, it.

        Raises:
            ParamsError: nothing has this name; the message lists the tables.
        """
        if name in self.tables:
            names = dict.fromkeys(row.experiment for row in self.tables[name].rows)
            return [self.experiments[name] for name in names]
        if name in self.experiments:
            return [self.experiments[name]]
        known = ", ".join(self.tables)
        raise ParamsError(
            f"there is no table {name!r}; choose one of {known}, or one of their rows"
        )

    def metrics(self) -> list[str]:
        """Every metric that a cell of any table shows, sorted."""
        return sorted(
            {
                table.metric(row, column)
                for table in self.tables.values()
                for row in table.rows
                for column in table.columns
            }
        )

    def printed(self, experiment: str) -> dict[str, float]:
        """The paper's values of an experiment by metric, in per cent, from every table."""
        return {
            table.metric(row, column): value
            for table in self.tables.values()
            for row in table.rows
            if row.experiment == experiment
            for column, value in row.paper.items()
        }


def read(path: Path | str = FILE, parameters: Path | str = "params.yaml") -> Catalogue:
    """The whole file, every key checked.

    Args:
        parameters: a params.yaml, whose keys are those that an experiment may set.

    Raises:
        ParamsError: an unknown, missing, doubled or badly named key; the message says where.
    """
    where, whole = str(path), checks.load_yaml(Path(path))
    checks.check_keys(whole, ("every", "targets", "tables"), ("every", "targets", "tables"), where)
    values = params.read(parameters)
    checks.check_set(whole["every"], values, f"{where}: every")
    experiments: dict[str, Experiment] = {}
    targets = checks.words(whole["targets"], f"{where}: targets")
    tables = {
        name: _table(name, given, experiments, targets, values, f"{where}: tables.{name}")
        for name, given in checks.mapping(whole["tables"], f"{where}: tables").items()
    }
    for name in experiments.keys() & tables.keys():
        raise ParamsError(f"{where}: {name!r} is a table and an experiment; rename one")
    return Catalogue(whole["every"], targets, experiments, tables)


def _table(
    name: str,
    given: Any,
    experiments: dict[str, Experiment],
    targets: tuple[str, ...],
    values: Mapping[str, Any],
    where: str,
) -> Table:
    """One table; the experiments that it defines are added to `experiments`."""
    checks.check_name(name, where)
    checks.check_keys(given, _OF_A_TABLE, ("caption", "source", "columns", "rows"), where)
    columns = checks.mapping(given["columns"], f"{where}.columns")
    rows = []
    for row, held in checks.mapping(given["rows"], f"{where}.rows").items():
        here = f"{where}.rows.{row}"
        checks.check_name(row, here)
        checks.check_keys(held, _OF_A_ROW, ("label",), here)
        _define(row, held, experiments, targets, values, here)
        rows.append(_row(row, held, columns, here))
    kind = given.get("kind", "table")
    if kind not in get_args(Kind):
        choices = ", ".join(get_args(Kind))
        raise ParamsError(f"{where}.kind is {kind!r}; choose one of {choices}")
    words = {key: given[key] for key in ("x_label", "y_label", "note") if key in given}
    return Table(name, given["caption"], given["source"], columns, tuple(rows), kind, **words)


def _row(name: str, held: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Row:
    paper, metrics = held.get("paper", []), held.get("metrics", {})
    if paper and len(paper) != len(columns):
        raise ParamsError(
            f"{where}.paper has {len(paper)} values; the table has {len(columns)} columns "
            "(null: the paper gives none)"
        )
    known = {part for metric in columns.values() for part in metric.split(".")}
    for part in metrics:
        checks.check_known(part, known, f"{where}.metrics", "part of a column's metric")
    numbers = {c: value for c, value in zip(columns, paper, strict=False) if value is not None}
    x, group = held.get("x"), held.get("group", "")
    return Row(name, held["label"], numbers, x, group, metrics)


def _define(
    name: str,
    held: Mapping[str, Any],
    experiments: dict[str, Experiment],
    targets: tuple[str, ...],
    values: Mapping[str, Any],
    where: str,
) -> None:
    """What a row says of its experiment, if it is the first table that has it."""
    if name in experiments:
        doubled = [key for key in _OF_AN_EXPERIMENT if key in held]
        if doubled:
            raise ParamsError(f"{where}.{doubled[0]}: an earlier table has defined {name!r}")
        return
    if "set" not in held:
        raise ParamsError(f"{where}.set is missing; {{}} changes nothing")
    base = Experiment(name, {}, targets)
    if "like" in held:
        checks.check_known(held["like"], experiments, f"{where}.like", "experiment above it")
        base = experiments[held["like"]]
    changed = {**base.set, **checks.mapping(held["set"], f"{where}.set")}
    checks.check_set(changed, values, f"{where}.set")
    needs = checks.words(held.get("needs", base.needs), f"{where}.needs")
    for need in needs:
        checks.check_known(need, NEEDS, f"{where}.needs", "need")
    runs = checks.words(held.get("targets", base.targets), f"{where}.targets")
    experiments[name] = Experiment(name, changed, runs, needs)  # type: ignore[arg-type]
