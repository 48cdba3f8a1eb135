"""simulated.svg from docs/simulated/distributions.csv: python docs/pictures/simulated.py"""

import csv
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from kmerl.files import write_text

HERE = Path(__file__).parent
WIDTH, TOP, ROW, LEFT, COLUMN, GAP = 800, 108, 47, 122, 156, 12
CORPORA = {"real": "Real PTB-XL", "first": "First version", "now": "Third version"}
SHARES = (10, 25, 50, 75, 90)
CLASSES = {
    "NORM": "Normal (NORM)",
    "LVH": "Hypertrophy (LVH)",
    "CLBBB": "Left bundle (CLBBB)",
    "AFIB": "Atrial fibrillation (AFIB)",
}
STYLE = """
.sheet{fill:#fff;stroke:#d1d9e0}.grid{stroke:#e6eaef}
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#59636e}
.title{font-size:16px;font-weight:600;fill:#1f2328}.name{fill:#1f2328}.key{font-size:13px;fill:#1f2328}
.tick{font-size:10px}.mid{stroke:#fff;stroke-width:2}
.real{fill:#59636e;stroke:#59636e}.first{fill:#b4540a;stroke:#b4540a}.now{fill:#1c62b0;stroke:#1c62b0}
@media (prefers-color-scheme:dark){.sheet{fill:#0d1117;stroke:#3d444d}.grid{stroke:#262c36}
text{fill:#9198a1}.title,.name,.key{fill:#e6edf3}.mid{stroke:#0d1117}
.real{fill:#aab2bb;stroke:#aab2bb}.first{fill:#f2a25c;stroke:#f2a25c}.now{fill:#74b0f4;stroke:#74b0f4}}
"""
Row = Mapping[str, str]


def picture(rows: Sequence[Row]) -> str:
    """Of each number a row, of each class a column, in it a bar of each corpus.

    Args:
        rows: docs/simulated/distributions.csv, as `benchmarks.distributions` prints it.
    """
    ordered = sorted(rows, key=lambda row: _numbers(rows).index(row["number"]))
    parts = [_heads(rows), _keys()]
    for place, (_, group) in enumerate(groupby(ordered, key=lambda row: row["number"])):
        parts.append(_number(list(group), TOP + ROW * place))
    height = TOP + ROW * len(_numbers(rows)) + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Numbers of the heart in real PTB-XL and in two versions of the simulator">'
        f"<style>{STYLE}</style>"
        f'<rect class="sheet" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
        '<text class="title" x="20" y="30">Real and simulated hearts</text>'
        '<text x="20" y="50">Line: 10 to 90 % of the records; bar: 25 to 75 %; gap: the median. '
        "Real: folds 1-8. Numbers of records in the order of the key.</text>"
        + "\n".join(parts)
        + "</svg>\n"
    )


def _numbers(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["number"] for row in rows))


def _left(code: str) -> int:
    return LEFT + list(CLASSES).index(code) * (COLUMN + GAP)


def _heads(rows: Sequence[Row]) -> str:
    """Names of the classes, and how many records of each corpus have them."""
    heads = []
    for code, name in CLASSES.items():
        counts = {row["corpus"]: row["records"] for row in rows if row["class"] == code}
        told = ", ".join(counts[corpus] for corpus in CORPORA)
        heads.append(f'<text class="name" x="{_left(code)}" y="82">{name}</text>')
        heads.append(f'<text class="tick" x="{_left(code)}" y="97">{told} records</text>')
    return "\n".join(heads)


def _keys() -> str:
    return "\n".join(
        f'<rect class="{corpus}" x="{x}" y="21" width="22" height="6"/>'
        f'<text class="key" x="{x + 30}" y="29">{name}</text>'
        for x, (corpus, name) in zip((408, 538, 666), CORPORA.items(), strict=True)
    )


def _number(rows: Sequence[Row], top: int) -> str:
    """One number's row, on one scale for all classes."""
    low = min(float(row["p10"]) for row in rows)
    high = max(float(row["p90"]) for row in rows)
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    ticks = [x for x in ticks if low - 1e-9 <= x <= high + 1e-9]
    parts = [
        f'<text class="name" x="20" y="{top + 18}">{rows[0]["number"]}</text>'
        f'<text class="tick" x="20" y="{top + 32}">{rows[0]["unit"]}</text>'
    ]
    for code in CLASSES:
        inside = [row for row in rows if row["class"] == code]
        left = _left(code)
        if not inside:
            parts.append(f'<text class="tick" x="{left}" y="{top + 21}">no P wave</text>')
            continue

        def x(value: float, left: int = left) -> str:
            return f"{left + 4 + (value - low) / (high - low) * (COLUMN - 8):.1f}"

        for tick in ticks:
            parts.append(
                f'<path class="grid" d="M{x(tick)} {top + 2}V{top + 33}"/><text class="tick" '
                f'x="{x(tick)}" y="{top + 42}" text-anchor="middle">{tick:g}</text>'
            )
        for row in inside:
            corpus = row["corpus"]
            y = top + 7 + 10 * list(CORPORA).index(corpus)
            p10, p25, p50, p75, p90 = (x(float(row[f"p{share}"])) for share in SHARES)
            parts.append(
                f'<path class="{corpus}" d="M{p10} {y}H{p90}"/>'
                f'<path class="{corpus}" d="M{p25} {y - 3}H{p75}V{y + 3}H{p25}Z"/>'
                f'<path class="mid" d="M{p50} {y - 4}V{y + 4}"/>'
            )
    return "\n".join(parts)


if __name__ == "__main__":
    with (HERE.parent / "simulated" / "distributions.csv").open(newline="") as file:
        write_text(HERE / "simulated.svg", picture(list(csv.DictReader(file))))
