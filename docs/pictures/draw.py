"""docs/pictures/lead-curve.svg from plots/partial_leads.csv: python docs/pictures/draw.py"""

import csv
from pathlib import Path

from markupsafe import Markup

from kmerl.files import write_text
from kmerl.leads import LEADS
from kmerl.report import figures

HERE = Path(__file__).parent
WIDTH, HEIGHT, TOP = 800, 400, 62
CURVES = {"zero_shot": "Zero-shot", "linear_probe": "Linear probe"}
STYLE = """
:root{--ground:#fff;--edge:#d1d9e0;--text:#1f2328;--soft:#59636e;--line:#e6eaef;
--rule:#8c959f;--s0:#1c62b0;--s1:#b4540a}
@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--edge:#3d444d;--text:#e6edf3;
--soft:#9198a1;--line:#262c36;--rule:#656c76;--s0:#74b0f4;--s1:#f2a25c}}
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:var(--soft)}
.title{font-size:16px;font-weight:600;fill:var(--text)}.name{fill:var(--text)}
.key{font-size:13px;fill:var(--text)}.sheet{fill:var(--ground);stroke:var(--edge)}
.grid{stroke:var(--line)}.axis{stroke:var(--rule)}.rule{stroke:var(--rule);stroke-dasharray:5 4}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.band{fill:var(--c);opacity:.16}
.curve{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}
.mark *{fill:var(--c);stroke:var(--ground)}
"""


def picture(rows: list[dict[str, str]]) -> str:
    """The curve of Fig. 6, mean over the tasks: macro AUROC and its interval by number of leads.

    Args:
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
    """
    kept = [row for row in rows if row["task"] == "average" and row["key"].isdigit()]
    series = [
        figures.Series(
            name,
            [float(row["count"]) for row in kept if row["protocol"] == protocol],
            *(
                [float(row[column]) for row in kept if row["protocol"] == protocol]
                for column in ("auroc", "auroc_lo", "auroc_hi")
            ),
            style=style,
        )
        for style, (protocol, name) in enumerate(CURVES.items())
    ]
    axes = figures.Axes(
        title="Macro AUROC by number of leads",
        x_label="Leads, and the lead that each step adds",
        y_label="",
        x_ticks=range(1, len(LEADS) + 1),
        x_names=_added(kept),
        y_limits=(0.49, 0.81),
        y_rule=0.5,
    )
    chart = figures.line_chart(axes, series, WIDTH - 20, HEIGHT - TOP)
    place = Markup('<svg x="6" y="{}" width="{}" height="{}" ').format(
        TOP - 6, WIDTH - 20, HEIGHT - TOP
    )
    keys = Markup("").join(
        Markup('<svg x="{}" y="19" width="34" height="12">{}</svg>').format(x, figures.key(one))
        + Markup('<text class="key" x="{}" y="30">{}</text>').format(x + 42, one.name)
        for x, one in zip((538, 658), series, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<style>{STYLE}</style>"
        f'<rect class="sheet" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>'
        '<text class="title" x="20" y="30">Macro AUROC from one lead to twelve</text>'
        '<text x="20" y="50">The demo: simulated hearts, mean of six tasks; the probe on all '
        "training records. Bands: 95 % intervals over patients.</text>"
        f"{keys}{chart.replace('<svg ', place, 1)}</svg>\n"
    )


def _added(rows: list[dict[str, str]]) -> list[str]:
    """The lead that each count adds to the one before it."""
    sets = {int(row["count"]): set(row["leads"].split("+")) for row in rows}
    return ["+".join(sets[k] - sets.get(k - 1, set())) for k in sorted(sets)]


if __name__ == "__main__":
    with (HERE.parents[1] / "plots" / "partial_leads.csv").open(newline="") as file:
        write_text(HERE / "lead-curve.svg", picture(list(csv.DictReader(file))))
