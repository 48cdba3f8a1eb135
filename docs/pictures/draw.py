"""docs/pictures/lead-curve.svg from plots/partial_leads.csv: python docs/pictures/draw.py"""

import csv
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from kmerl.files import write_text
from kmerl.report import run_charts
from kmerl.report.writers import html, svg

HERE = Path(__file__).parent
WIDTH, HEIGHT, TOP = 800, 400, 62
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
.mark{fill:var(--c);stroke:var(--ground)}
"""


def picture(rows: run_charts.Rows) -> str:
    """The curve of Fig. 6, mean over the tasks: macro AUROC and its interval by number of leads.

    Args:
        rows: plots/partial_leads.csv. Drawn are the counts of the first order.
    """
    chart = run_charts.partial_leads(rows, 100, {})
    names = run_charts.PROTOCOLS.values()
    curves = [replace(one, name=name) for one, name in zip(chart.series, names, strict=False)]
    chart = replace(chart, series=curves, y_label="", y_limits=(0.49, 0.81))
    drawn = svg.drawn(chart, WIDTH - 20, HEIGHT - TOP)
    place = f'<svg x="6" y="{TOP - 6}" width="{WIDTH - 20}" height="{HEIGHT - TOP}" '
    key = html.ENVIRONMENT.get_template("chart.html").module.key
    keys = Markup("").join(
        Markup('<svg x="{}" y="19" width="34" height="12">{}</svg>').format(x, key(one))
        + Markup('<text class="key" x="{}" y="30">{}</text>').format(x + 42, one.name)
        for x, one in zip((538, 658), curves, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<style>{STYLE}</style>"
        f'<rect class="sheet" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>'
        '<text class="title" x="20" y="30">Macro AUROC from one lead to twelve</text>'
        '<text x="20" y="50">The demo: simulated hearts, mean of six tasks; the probe on all '
        "training records. Bands: 95 % intervals over patients.</text>"
        f"{keys}{drawn.replace('<svg ', Markup(place), 1)}</svg>\n"
    )


if __name__ == "__main__":
    with (HERE.parents[1] / "plots" / "partial_leads.csv").open(newline="") as file:
        write_text(HERE / "lead-curve.svg", picture(list(csv.DictReader(file))))
