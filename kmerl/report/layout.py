"""How a result's columns and numbers are set: shared by the terminal, LaTeX and the page."""

from collections.abc import Mapping
from dataclasses import dataclass

from kmerl.report.results import Line, Ours, Result

SEPARATOR = " "


@dataclass(frozen=True)
class Block:
    """Columns below one heading: by name, what each is called under it. No heading is empty."""

    heading: str
    columns: Mapping[str, str]


def blocks(result: Result) -> list[Block]:
    """Columns named "CSN 1%" and "CSN 10%" stand below the heading "CSN" as "1%" and "10%".

    A column that shares no heading with another one keeps its whole name and has none.
    """
    halves = {name: name.rpartition(SEPARATOR) for name in result.table.columns}
    headings = [heading for heading, _, _ in halves.values()]
    found: list[Block] = []
    for name, (heading, _, rest) in halves.items():
        shared = heading if headings.count(heading) > 1 else ""
        if not found or found[-1].heading != shared:
            found.append(Block(shared, {}))
        columns = dict(found[-1].columns) | {name: rest if shared else name}
        found[-1] = Block(shared, columns)
    return found


def paper(result: Result, line: Line, column: str) -> str:
    """The paper's number as it prints it; empty where it prints none."""
    value = line.row.paper.get(column)
    return "" if value is None else f"{value:.{result.decimals()}f}"


def ours(result: Result, value: Ours | None) -> str:
    """Our mean with the decimals of the paper's; empty where there is none."""
    return "" if value is None else f"{value.value:.{result.decimals()}f}"


def interval(value: Ours | None, between: str = "\N{EN DASH}") -> str:
    """The bounds in per cent with one decimal; empty where they are not known."""
    if value is None or value.lo is None or value.hi is None:
        return ""
    return f"{value.lo:.1f}{between}{value.hi:.1f}"


def deviation(value: Ours | None) -> str:
    """The deviation over seeds, with its sign; empty for one seed."""
    return "" if value is None or value.sd is None else f"\N{PLUS-MINUS SIGN}{value.sd:.1f}"


def bounded(result: Result, value: Ours, spread: bool = True) -> str:
    """Our mean, its interval in brackets and, where asked for, its deviation over seeds."""
    between = interval(value, ", ")
    words = (
        ours(result, value), f"[{between}]" if between else "", deviation(value) if spread else ""
    )  # fmt: skip
    return " ".join(word for word in words if word)


def commits(line: Line) -> str:
    """Its commits, abbreviated as git does."""
    return ", ".join(commit[:7] for commit in line.commits)
