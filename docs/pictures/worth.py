"""worth.svg from docs/simulated/worth.jsonl: python -m docs.pictures.worth"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from markupsafe import Markup

from docs.pictures.draw import STYLE
from kmerl.files import write_text
from kmerl.report.charts import Chart, Point, Series
from kmerl.report.writers import html, svg

HERE = Path(__file__).parent
WIDTH, HEIGHT, PANEL, TOP = 800, 690, 396, 62
LEADS = {"12": "all twelve", "I+II": "I and II", "I": "I"}
SIZES = {"1k": "977", "4k": "3,909", "16k": "15,636", "64k": "62,544"}
"""Patients; each training shows 15,636 recordings of them, the last one 62,544."""
PATIENTS = "Patients; the last: four times the recordings"
SHARES = {1: "23", 10: "233", 100: "2,331"}
WITH_REAL = {"real": "real alone", "then": "simulated first", "both": "both at once"}
BELOW = "Real pairs; dashed: 15,636 simulated ones alone"
ENCODERS = {
    ("real-100", "trained"): "of real pairs",
    ("simulated-16k", "trained"): "of simulated ones",
    ("simulated-16k", "untrained"): "untrained",
}
MORE = ".s2{--c:#1a7f64}@media (prefers-color-scheme:dark){.s2{--c:#4ac6a5}}"
Line = Mapping[str, Any]
Measure = Callable[[Line], float]


def zero_shot(leads: str) -> Measure:
    """Of a run, the mean of the four tasks."""
    return lambda line: mean(task[leads][0] for task in line["zero_shot"].values())


def after(protocol: str, share: int, which: str) -> Measure:
    """Of a run that was probed or fine-tuned, the mean of the four tasks on I and II."""

    def found(line: Line) -> float:
        cells = [task[str(share)]["I+II"][which] for task in line[protocol].values()]
        return mean(cell[0] if isinstance(cell, list) else cell for cell in cells)

    return found


def point(lines: Sequence[Line], kind: str, x: float, of: Measure) -> list[Point]:
    """Mean, least and most over the seeds; nothing where no run of the kind has it."""
    values = []
    for line in lines:
        if line["method"] == "kmerl" and line["kind"] == kind:
            try:
                values.append(of(line))
            except KeyError:
                continue
    return [Point(x, mean(values), min(values), max(values))] if values else []


def curve(
    lines: Sequence[Line], name: str, style: int, kinds: Sequence[str], of: Sequence[Measure]
) -> Series:
    """A point for each kind that has been run."""
    found = [
        point(lines, kind, x, one) for x, (kind, one) in enumerate(zip(kinds, of, strict=True))
    ]
    return Series(name, [p for points in found for p in points], style)


def charts(lines: Sequence[Line]) -> list[Chart]:
    """Zero-shot by simulated patients and by real pairs; the probe and fine-tuning by labels."""
    kinds = [f"simulated-{size}" for size in SIZES]
    patients = [
        curve(lines, name, style, kinds, [zero_shot(leads)] * len(kinds))
        for style, (leads, name) in enumerate(LEADS.items())
    ]
    asked = [zero_shot("12")] * len(SHARES)
    real = [
        curve(lines, name, style, [f"{kind}-{share}" for share in SHARES], asked)
        for style, (kind, name) in enumerate(WITH_REAL.items())
    ]
    probes = {
        protocol: [
            curve(
                lines,
                name,
                style,
                [kind] * len(SHARES),
                [after(protocol, share, which) for share in SHARES],
            )
            for style, ((kind, which), name) in enumerate(ENCODERS.items())
        ]
        for protocol in ("linear_probe", "fine_tune")
    }
    alone = point(lines, "simulated-16k", 0, zero_shot("12"))[0].y
    labels = "% of the labels", tuple(map(str, SHARES))
    told = [
        ("Zero-shot by simulated patients", patients, PATIENTS, tuple(SIZES.values()), None),
        ("Zero-shot, all leads, by real pairs", real, BELOW, tuple(SHARES.values()), alone),
        ("Linear probe, I and II", probes["linear_probe"], *labels, None),
        ("Fine-tuning, I and II", probes["fine_tune"], *labels, None),
    ]
    return [
        Chart(title, below, "", series, x_ticks=range(len(words)), x_words=words, y_rule=rule)
        for title, series, below, words, rule in told
    ]


def picture(lines: Sequence[Line]) -> str:
    """Four charts, two by two.

    Args:
        lines: docs/simulated/worth.jsonl, as `benchmarks.worth lines` prints it.
    """
    key = html.ENVIRONMENT.get_template("chart.html").module.key
    parts = Markup("")
    for number, chart in enumerate(charts(lines)):
        left, top = 2 + PANEL * (number % 2), TOP + (HEIGHT - TOP) // 2 * (number // 2)
        parts += Markup('<text class="name" x="{}" y="{}">{}</text>').format(
            left + 18, top + 16, chart.title
        )
        x = left + 18
        for one in chart.drawn:
            parts += Markup('<svg x="{}" y="{}" width="34" height="12">{}</svg>').format(
                x, top + 25, key(one)
            )
            parts += Markup('<text x="{}" y="{}">{}</text>').format(x + 38, top + 35, one.name)
            x += 50 + 6 * len(one.name)
        height = (HEIGHT - TOP) // 2 - 48
        place = f'<svg x="{left}" y="{top + 42}" width="{PANEL}" height="{height}" '
        parts += svg.drawn(chart, PANEL, height).replace("<svg ", Markup(place), 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="What simulated hearts are worth">'
        f"<style>{STYLE}{MORE}</style>"
        f'<rect class="sheet" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>'
        '<text class="title" x="20" y="30">What simulated hearts are worth on real PTB-XL</text>'
        '<text x="20" y="50">K-MERL, macro AUROC, mean of the four tasks. Points: mean over '
        "seeds; bands: the least and the most of them.</text>"
        f"{parts}</svg>\n"
    )


if __name__ == "__main__":
    text = (HERE.parent / "simulated" / "worth.jsonl").read_text(encoding="utf-8")
    write_text(HERE / "worth.svg", picture([json.loads(line) for line in text.splitlines()]))
