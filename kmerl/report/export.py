"""Results as files for other programs: long CSV, JSON, and LaTeX for a manuscript."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kmerl.files import write_text
from kmerl.report.layout import blocks, interval, ours, paper
from kmerl.report.results import Line, Result

COLUMNS = (
    "table", "row", "experiment", "column", "paper", "ours", "lo", "hi", "sd", "seeds", "scale",
    "commit", "words", "absent",
)  # fmt: skip
FEW = 4
"""Columns of metrics up to which LaTeX sets the paper's value and ours beside each other."""
SMALL = (r"\footnotesize", r"\setlength{\tabcolsep}{3pt}")
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{EN DASH}": "--", "\N{PLUS-MINUS SIGN}": r"$\pm$", "<": r"$<$", ">": r"$>$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{MULTIPLICATION SIGN}": r"$\times$",
}  # fmt: skip


def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row a table's row and column, by `COLUMNS`; numbers in per cent, None where unknown."""
    return [row for result in results for line in result.lines for row in _rows(result, line)]


def as_csv(results: Sequence[Result]) -> str:
    """`rows` as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(results))
    return text.getvalue()


def as_json(results: Sequence[Result]) -> str:
    """Tables with their caption, what was measured on what, and their `rows`."""
    tables = [
        {
            "table": result.table.name,
            "caption": result.table.caption,
            "source": result.table.source,
            "measured": result.measured(),
            "remarks": result.remarks(),
            "rows": rows([result]),
        }
        for result in results
    ]
    return json.dumps(tables, indent=1, ensure_ascii=False) + "\n"


def as_latex(results: Sequence[Result]) -> str:
    """A table environment a result, across both columns of a manuscript that has two.

    The document needs package booktabs and no other.
    """
    return "\n".join(_latex(result) for result in results)


def write(results: Sequence[Result], folder: Path) -> list[Path]:
    """Each table as <name>.csv and <name>.tex below `folder`, all its scales in one file."""
    by_name: dict[str, list[Result]] = {}
    for result in results:
        by_name.setdefault(result.table.name, []).append(result)
    written = []
    for name, same in by_name.items():
        for suffix, text in ((".csv", as_csv(same)), (".tex", as_latex(same))):
            written.append(folder / f"{name}{suffix}")
            write_text(written[-1], text)
    return written


def escaped(text: str) -> str:
    """Text that LaTeX sets as it stands; $...$ is mathematics and left alone."""
    pieces = re.split(r"(\$[^$]+\$)", text)
    return "".join(
        piece if piece.startswith("$") and piece.endswith("$") and len(piece) > 2 else _plain(piece)
        for piece in pieces
    )


def _plain(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)


def _rows(result: Result, line: Line) -> Iterator[dict[str, Any]]:
    for column in result.table.columns:
        mine = line.ours.get(column)
        yield {
            "table": result.table.name,
            "row": line.row.label,
            "experiment": line.row.experiment,
            "column": column,
            "paper": line.row.paper.get(column),
            "ours": None if mine is None else _short(mine.value),
            "lo": None if mine is None else _short(mine.lo),
            "hi": None if mine is None else _short(mine.hi),
            "sd": None if mine is None else _short(mine.sd),
            "seeds": line.seeds if mine is None else mine.seeds,
            "scale": result.scale if line.seeds else "",
            "commit": " ".join(line.commits),
            "words": line.words,
            "absent": line.absent,
        }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _latex(result: Result) -> str:
    table = result.table
    wide = len(table.columns) > FEW
    label = f"tab:{table.name}" + (f"-{result.scale}" if result.scale else "")
    spec, head, body = _stacked(result) if wide else _beside(result)
    caption = [f"{table.caption} ({table.source}).", result.measured(), _key(result, wide)]
    caption += [*result.remarks(), table.note]
    names = sorted({line.row.experiment for line in result.lines if line.seeds})
    return "\n".join(
        [
            f"% {table.name}: kmerl tables {table.name} --format latex",
            *([f"% experiments: {', '.join(names)}"] if names else []),
            *([f"% commits: {', '.join(result.commits)}"] if result.commits else []),
            r"\begin{table*}",
            r"\centering",
            *([r"\tiny", r"\setlength{\tabcolsep}{1pt}"] if wide else SMALL),
            rf"\caption{{{escaped(' '.join(part for part in caption if part))}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            *head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def _key(result: Result, wide: bool) -> str:
    if not result.ran:
        return "AUROC in per cent. Bold: the largest value of a column."
    bounds = "Intervals are in the CSV." if wide else "Brackets: interval over patients."
    seeds = sorted({line.seeds for line in result.lines if line.seeds})
    counted = " or ".join(map(str, seeds))
    return (
        f"In per cent; ours is the mean of {counted} seed{'s' * (seeds != [1])}. {bounds} "
        "Bold: the largest value of a column, the paper's and ours apart."
    )


def _beside(result: Result) -> tuple[str, list[str], list[str]]:
    """The paper's value, where it prints any, and ours in columns beside each other; the seeds."""
    printed = {name: result.prints(name) for name in result.table.columns}
    titles, rules, place = [""], [], 2
    for name, both in printed.items():
        titles.append(rf"\multicolumn{{{1 + both}}}{{c}}{{{escaped(name)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + both}}}")
        place += 1 + both
    kinds = ["paper & ours" if both else "ours" for both in printed.values()]
    body = []
    for line in _grouped(result, place):
        if isinstance(line, str):
            body.append(line)
            continue
        cells = []
        for name, both in printed.items():
            cells += [_paper(result, line, name)] if both else []
            cells.append(_ours(result, line, name, bounds=True))
        body.append(_row([escaped(line.row.label), *cells, str(line.seeds or "--")]))
    head = [_row([*titles, ""]), "".join(rules), _row(["", *kinds, "seeds"])]
    spec = "".join("rl" if both else "l" for both in printed.values())
    return f"l{spec}r", head, body


def _stacked(result: Result) -> tuple[str, list[str], list[str]]:
    """Many columns: the paper's values on a line, ours on the line below it."""
    found = blocks(result)
    columns = [name for block in found for name in block.columns]
    titles, rules, place = ["", ""], [], 3
    for block in found:
        width = len(block.columns)
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(block.heading)}}}")
        if block.heading:
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    shorts = [escaped(short) for block in found for short in block.columns.values()]
    head = [_row(titles), "".join(rules)] if any(block.heading for block in found) else []
    body = []
    for line in _grouped(result, 2 + len(columns)):
        if isinstance(line, str):
            body.append(line)
            continue
        theirs = [_paper(result, line, name) for name in columns]
        mine = [_ours(result, line, name, bounds=False) for name in columns]
        label = escaped(line.row.label)
        if any(theirs) or not line.seeds:
            body.append(_row([label, "paper", *theirs]))
            label = ""
        if line.seeds:
            body.append(_row([label, "ours", *mine]))
    return "ll" + "r" * len(columns), [*head, _row(["", "", *shorts])], body


def _grouped(result: Result, columns: int) -> Iterator[Line | str]:
    """The lines, and before the first of each group its heading as a row."""
    group = ""
    for k, line in enumerate(result.lines):
        if line.row.group != group:
            group = line.row.group
            if k:
                yield r"\midrule"
            if group:
                yield rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{escaped(group)}}}}} \\"
        yield line


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _paper(result: Result, line: Line, column: str) -> str:
    value, best = line.row.paper.get(column), result.best(column)[0]
    return _bold(paper(result, line, column), value is not None and value == best)


def _ours(result: Result, line: Line, column: str, bounds: bool) -> str:
    value, best = line.ours.get(column), result.best(column)[1]
    if value is None:
        return "--"
    text = _bold(ours(result, value), value.value == best)
    between = interval(value, ", ") if bounds else ""
    return rf"{text} {{\scriptsize [{between}]}}" if between else text


def _bold(text: str, best: bool) -> str:
    return rf"\textbf{{{text}}}" if best else text
