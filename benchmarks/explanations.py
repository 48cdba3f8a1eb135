"""How faithful explanations are: deletion curves of occlusion and attention beside random masking.

    python -m benchmarks.explanations FOLDER --model models --records 60 --out FILE.json

Of recordings drawn from the WFDB records below FOLDER, the likeliest class of a task is explained
in each way. Then parts of leads (`kmerl.predict.explaining.PART_SECONDS`) are masked as in
training, the most important ones first, and the name's logit is asked again. The more it falls,
the more faithful the order. The score is the fall, mean over the shares that are masked; intervals
are over recordings, by bootstrap. Beside FILE.json a chart of the curves is written as .svg and
.pdf.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Float, Int

from kmerl import recordings
from kmerl.predict import asking, explaining, preparing
from kmerl.predict.explanation import WAYS, Explanation
from kmerl.predict.model import Model, load
from kmerl.progress import track
from kmerl.report.charts import Chart, Point, Series
from kmerl.report.writers import manuscript

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
DRAWS = 3  # random orders a recording
RESAMPLES = 2000
PAIRS = (("occlusion", "random"), ("attention", "random"), ("occlusion", "attention"))

Curves = dict[str, list[list[float]]]


def main(
    folder: Annotated[Path, typer.Argument(help="Of WFDB records, at any depth.")],
    model: Annotated[Path, typer.Option(help="A model of method kmerl.")] = Path("models"),
    records: Annotated[int, typer.Option(help="How many recordings are drawn.")] = 60,
    task: Annotated[str, typer.Option(help="Whose likeliest class is explained.")] = (
        "ptbxl_super"
    ),
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the numbers go.")] = Path("explanations.json"),
) -> None:
    """Explain, mask, ask again; write the curves and their scores."""
    generator = np.random.default_rng(seed)
    paths = sorted(folder.rglob("*.hea"))
    drawn = generator.permutation(len(paths))[:records]
    asked, names = load(model), asking.class_names(None, task, ())
    falls: Curves = {name: [] for name in (*WAYS, "random")}
    explained: list[str] = []
    for place in track(drawn, "recordings", len(drawn)):
        name, found = _falls(asked, paths[place], names, generator)
        explained.append(name)
        for way, fall in found.items():
            falls[way].append([float(value) for value in fall])
    document = summary({way: np.array(rows) for way, rows in falls.items()}, generator)
    document |= {"explained": {name: explained.count(name) for name in sorted(set(explained))}}
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    chart = _chart({way: np.array(rows) for way, rows in falls.items()}, generator)
    manuscript.write([chart], f"{len(drawn)} recordings", out.parent, out.stem)
    typer.echo(json.dumps({**document, "curves": None}, indent=1))


def _falls(
    model: Model, path: Path, names: tuple[str, ...], generator: np.random.Generator
) -> tuple[str, dict[str, Float[np.ndarray, " share"]]]:
    """The likeliest name, and the fall of its logit at each share, by the order of masking."""
    recording = preparing.choose(recordings.read(path), None)
    prepared = preparing.prepare(recording, model.config.rate, model.config.samples)
    name = asking.ranked(names, model.score(prepared.signal, prepared.leads, names))[0][0]
    explanations = [model.explain(recording, name, how=how) for how in WAYS]
    vector = model.vocabulary.vectors([name])[0]
    asked = explaining.Asked(model.network, model.config.signal, vector, model.device)
    cells = _cells(explanations[0])
    orders: dict[str, np.ndarray] = {
        one.how: np.argsort(-np.array([one.values[c].mean() for c in cells]), kind="stable")
        for one in explanations
    }
    orders |= {f"random {k}": generator.permutation(len(cells)) for k in range(DRAWS)}
    kept = [asked.every(len(prepared.leads))]
    for order in orders.values():
        kept += _masked(kept[0], cells, order)
    logits = asked.logits(prepared.signal, prepared.leads, kept)
    falls = (logits[0] - logits[1:]).reshape(len(orders), len(SHARES))
    by_way = dict(zip(orders, falls, strict=True))
    found = {how: by_way[how] for how in WAYS}
    return name, found | {"random": falls[-DRAWS:].mean(axis=0)}


def _cells(explanation: Explanation) -> list[tuple[int, slice]]:
    """Parts of single leads: the unit of every order."""
    measured = int(np.isfinite(explanation.values[0]).sum())
    parts = explaining.parts_of(measured, explanation.token)
    return [(lead, part) for lead in range(len(explanation.leads)) for part in parts]


def _masked(
    whole: np.ndarray, cells: list[tuple[int, slice]], order: Int[np.ndarray, " cell"]
) -> list[np.ndarray]:
    """What is kept where each share of the cells is masked, in their order."""
    found = []
    for share in SHARES:
        found.append(whole.copy())
        for cell in order[: round(share * len(cells))]:
            found[-1][cells[cell]] = False
    return found


def summary(
    falls: dict[str, Float[np.ndarray, "record share"]], generator: np.random.Generator
) -> dict[str, object]:
    """Means and 95 % intervals of the scores, of their differences, and of the curves."""
    scores = {way: rows.mean(axis=1) for way, rows in falls.items()}
    return {
        "recordings": len(scores["random"]),
        "shares": SHARES,
        "score": {way: interval(values, generator) for way, values in scores.items()},
        "difference": {
            f"{one} - {two}": interval(scores[one] - scores[two], generator) for one, two in PAIRS
        },
        "better": {
            f"{one} > {two}": float((scores[one] > scores[two]).mean()) for one, two in PAIRS
        },
        "curves": {way: rows.mean(axis=0).tolist() for way, rows in falls.items()},
    }


def interval(values: Float[np.ndarray, " record"], generator: np.random.Generator) -> list[float]:
    """Mean, and the ends of its 95 % interval."""
    rows = generator.integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[rows].mean(axis=1), [2.5, 97.5])
    return [round(float(value), 4) for value in (values.mean(), low, high)]


def _chart(
    falls: dict[str, Float[np.ndarray, "record share"]], generator: np.random.Generator
) -> Chart:
    series = [
        Series(
            way,
            [Point(0.0, 0.0, 0.0, 0.0)]
            + [
                Point(100 * share, *interval(rows[:, column], generator))
                for column, share in enumerate(SHARES)
            ],
            style,
        )
        for style, (way, rows) in enumerate(falls.items())
    ]
    return Chart("", "masked, %", "fall of the logit", series)


if __name__ == "__main__":
    typer.run(main)
