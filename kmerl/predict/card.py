"""A model's card: what it is, what it saw, what was measured with which intervals, its limits."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kmerl import files, params
from kmerl.download.sources import sources
from kmerl.predict.printing import NOTICE
from kmerl.report.run_tables import corpus_title
from kmerl.store.pairs import corpora_of
from kmerl.tasks.simulated import simulated
from kmerl.training.model import ModelConfig

LEADS = {"1": "I", "I+II": "I, II", "12": "all twelve"}
INTERVAL = ("auroc", "auroc_lo", "auroc_hi")
LIMITS = """\
- Research alone. No probability here may guide the care of a patient.
- Probabilities are the model's own and not calibrated: they order recordings, they are no risks.
- It answers any words, also those that it was never trained on; `kmerl` then warns, and the answer
  is worth what the text encoder knows of the word.
- It reads {seconds:g} s at {rate} Hz; other rates are resampled, longer recordings are cut, or read
  in windows.
- It was measured on the records below and on nothing else: not on other devices, populations or
  leads that are no part of the standard twelve.
"""


def card(config: ModelConfig, run: Path, licence: str) -> str:
    """The README.md of a model's folder.

    Args:
        run: folder of the run that made it, with params.yaml, metrics and plots.

    Raises:
        FileNotFoundError: a run's metrics or parameters are not there.
    """
    values, metrics = params.read(run / "params.yaml"), run / "metrics"
    lines = [
        "---",
        "library_name: kmerl",
        f"license: {licence}",
        "pipeline_tag: zero-shot-classification",
        "tags: [ecg, electrocardiogram, zero-shot, safetensors]",
        "---",
        "# K-MERL: an ECG by any leads, any class names",
        "",
        f"Method `{config.method}`, pretrained on ECGs, their reports and {len(config.entities)} "
        "entities mined from these. It answers any class name for any subset of the twelve leads.",
        "",
        "    import kmerl",
        '    model = kmerl.load("ORGANISATION/NAME", revision="COMMIT")',
        '    model.predict(["a.edf", "b.dcm"], ["atrial fibrillation"], "I,II")',
        "",
        "## Data",
        *_data(files.read_json(metrics / "ingest.json"), values),
        "",
        "## What was measured",
        *_numbers(metrics, values["zero_shot"]["test"]),
        *_classes(run / "plots/zero_shot_classes.csv"),
        "",
        "## Limits",
        LIMITS.format(seconds=config.samples / config.rate, rate=config.rate).strip(),
        "",
        "## Licence",
        f"Weights: {licence}. Code: MIT. The data are under licences of their own. {NOTICE}",
        "",
        "## Names that travel with the weights",
        f"{', '.join(config.entities)}; and the class names of the tasks.",
    ]
    return "\n".join(lines) + "\n"


def _data(ingested: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    trained = {*corpora_of(values["pretrain"]["corpus"])}
    known = sources()
    yield "| corpus | its licence | used for | records | patients | train | validation | test |"
    yield "|---|---|---|---|---|---|---|---|"
    not_real = simulated(values["corpora"])
    made = [corpus_title(corpus) for corpus in ingested if corpus in not_real]
    for corpus, counts in ingested.items():
        title = corpus_title(corpus)
        parts = [counts[f"records_{split}"] for split in ("train", "val", "test")]
        licence = known[corpus].licence if corpus in known else "its own"
        licence = "none, simulated" if corpus in not_real else licence
        use = "pretraining" if corpus in trained else "evaluation"
        cells = [title, licence, use, counts["records"], counts["patients"], *parts]
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    crossing = sum(counts["patients_crossing_splits"] for counts in ingested.values())
    yield f"Patients who are in more than one split of a corpus: {crossing}."
    if made:
        yield (
            f"\n**Of these, {', '.join(made)} are simulated hearts in the corpora's official "
            "layouts: numbers measured on them say that the chain works, and nothing about "
            "patients.**"
        )
    if trained <= not_real:
        yield (
            "\nThe weights have seen simulated hearts alone: no patient is in them. Of real "
            "recordings, population figures went into the simulator (docs/simulator.md)."
        )


def _numbers(metrics: Path, splits: Sequence[str]) -> Iterator[str]:
    yield (
        f"Macro AUROC of the tasks' records in {' and '.join(splits)}, with 95 % intervals over "
        "patients."
    )
    yield ""
    yield f"| task | {' | '.join(f'zero-shot, {leads}' for leads in LEADS.values())} |"
    yield f"|---|{'---|' * len(LEADS)}"
    scores = files.read_json(metrics / "zero_shot.json")
    for task in [*(name for name in scores if name != "average"), "average"]:
        cells = [_cell(scores.get(task, {}).get(key)) for key in LEADS]
        yield f"| {task} | {' | '.join(cells)} |"


def _classes(table: Path) -> Iterator[str]:
    """Class by class, those with positive test records; nothing where the run has no such table."""
    if not table.exists():
        return
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["leads"] in LEADS and row["auroc"]]
    found: dict[tuple[str, str], dict[str, Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault((row["task"], row["name"]), {})[row["leads"]] = row
    yield "\nClass by class; of few positives an interval says little.\n"
    yield f"| task | class | positives | {' | '.join(LEADS.values())} |"
    yield f"|---|---|---|{'---|' * len(LEADS)}"
    for (task, name), by_leads in found.items():
        cells = [
            _cell({k: float(row[k]) if row[k] else None for k in INTERVAL}) if row else _cell(None)
            for row in (by_leads.get(key) for key in LEADS)
        ]
        positives = next(iter(by_leads.values()))["positives"]
        yield f"| {task} | {name} | {positives} | {' | '.join(cells)} |"


def _cell(row: Mapping[str, float | None] | None) -> str:
    values: Sequence[float | None] = [(row or {}).get(key) for key in INTERVAL]
    if values[0] is None:
        return "not measured"
    low, high = (f"{value:.3f}" if value is not None else "?" for value in values[1:])
    return f"{values[0]:.3f} ({low} to {high})"
