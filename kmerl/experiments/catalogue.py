"""experiments.yaml: every row and point of the paper's tables and figures, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kmerl.params import ParamsError

FILE = Path("experiments.yaml")

Need = Literal["hub", "llm", "gpu"]
NEEDS: Mapping[Need, str] = {
    "hub": "downloads a text encoder from a model hub",
    "llm": "mines with a large language model (extract.backend: vllm)",
    "gpu": "hours to days on a CPU",
}


@dataclass(frozen=True)
class Experiment:
    """Keys of params.yaml and the values that this experiment gives them.

    `set` is on top of `Catalogue.every`; `needs` says what the machine must have beyond the demo's.
    """

    name: str
    set: Mapping[str, Any]
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of a table, or a curve or point of a figure: what one experiment gave.

    `paper` holds the paper's values by column, in per cent; a column that is not there has no
    number in the paper's text. `x` is where the row stands on a figure's axis.
    """

    experiment: str
    label: str
    paper: Mapping[str, float] = field(default_factory=dict)
    x: float | str | None = None
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table or figure of the paper, or of our own (`source` says which).

    `columns` maps a column's name to the metric it shows: file, then keys, with dots
    (zero_shot.average.12.auroc). `kind`: a table; curves over the columns, one a row; points over
    the rows' `x`, one curve a group.
    """

    name: str
    caption: str
    source: str
    columns: Mapping[str, str]
    rows: Sequence[Row]
    kind: Literal["table", "curves", "points"] = "table"
    x_label: str = ""
    y_label: str = "macro AUROC"
    note: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All of experiments.yaml. `every` holds what each experiment sets before its own keys,
    `targets` the stages that a queued experiment runs."""

    every: Mapping[str, Any]
    targets: tuple[str, ...]
    experiments: Mapping[str, Experiment]
    tables: Mapping[str, Table]

    def of(self, table: str) -> list[Experiment]:
        """The experiments of a table, each once, in the order of its rows.

        Raises:
            ParamsError: there is no such table; the message lists those that exist.
        """
        if table not in self.tables:
            known = ", ".join(self.tables)
            raise ParamsError(f"there is no table {table!r}; choose one of {known}")
        names = dict.fromkeys(row.experiment for row in self.tables[table].rows)
        return [self.experiments[name] for name in names]
