"""`kmerl fine-tune`: from a folder of recordings and a table of labels to a model of one's own."""

from pathlib import Path

import numpy as np

from kmerl.corpora.folders import MERL_TRAIN, MERL_VAL
from kmerl.corpora.records import hashed_split
from kmerl.evaluation import own_fine_tune
from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.fine_tune_fit import FineTune
from kmerl.evaluation.memory_store import MemoryStore
from kmerl.evaluation.probe_file import Probe, ProbeConfig, write_probe
from kmerl.files import rounded, write_csv, write_text
from kmerl.predict.model import load
from kmerl.predict.own_labels import OwnLabels, read_signals
from kmerl.predict.printing import NOTICE
from kmerl.training.model import save

CARD = """\
# A {method} model fine-tuned on {classes}

All weights of the encoder, trained on {train} records and given leads {leads}; the epoch ({epoch})
is the best of {validation} others, and the numbers are of {test} more. No patient is in two parts.
{notice}

{rows}

`kmerl predict RECORDING --leads {leads} --model {folder}` answers these classes. Class names in
plain words are not for this model: its query network was trained with other weights of the encoder.
"""


def fine_tune(
    source: Path,
    table: OwnLabels,
    model: str,
    out: Path,
    settings: FineTune,
    statistics: Statistics,
    seed: int,
    threads: int,
    device: str,
) -> str:
    """Write the model, its probe (the linear head), numbers and card; answers with the numbers.

    Raises:
        FileNotFoundError, ValueError: a file is not as it must be, or there are too few records.
    """
    loaded = load(model, device=device)
    config, ((key, leads),) = loaded.config, settings.lead_sets.items()
    records, signals = list[str](), list[np.ndarray]()
    why: dict[str, str] = {}
    grid = config.rate, config.samples
    for one in read_signals(source, table, settings.lead_sets, *grid, threads):
        why |= {one.record: one.missing[key]} if key in one.missing else {}
        if one.found:
            records.append(one.record)
            signals.append(one.found[key])
    row_of = {record: row for row, record in enumerate(records)}
    cohort, left_out = own_fine_tune.cohort_of(table.labels, _splits(table), row_of)
    held = np.stack(signals)
    store = MemoryStore(leads, row_of, held, held.min((1, 2)), held.max((1, 2)))
    found = own_fine_tune.fine_tune(
        loaded.network.encoder, config.signal, cohort, store, leads, settings, statistics, seed,
        loaded.device,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    tuned = found.fitted.network
    loaded.network.encoder.load_state_dict(tuned.encoder.state_dict())
    save(out, config, loaded.network)
    head = tuned.head.cpu()
    classes = {key: tuple(kind.code for kind in cohort.classes)}
    weight, bias = ({key: p.detach().double().numpy()} for p in (head.weight, head.bias))
    write_probe(out, Probe(ProbeConfig(load(out).digest, {key: leads}, classes), weight, bias))
    write_csv(out / "metrics.csv", own_fine_tune.COLUMNS, found.rows)
    told = [(record, why.get(record, reason)) for record, reason in left_out]
    write_csv(out / "left_out.csv", ("record", "reason"), [*told, *table.rejected])
    rows = _as_table(found.rows)
    sizes = {name: int((cohort.splits == part).sum()) for name, part in _PARTS.items()}
    words = {"method": config.method, "classes": ", ".join(classes[key]), "leads": key}
    card = CARD.format(
        **words, **sizes, epoch=found.fitted.epoch, notice=NOTICE, rows=rows, folder=out
    )
    write_text(out / "README.md", card)
    return rows


_PARTS = {"train": "train", "validation": "val", "test": "test"}


def _splits(table: OwnLabels) -> dict[str, str]:
    """The table's own, or by a hash of the patient."""
    labels, found = table.labels, dict[str, str]()
    for record, patient, split in zip(labels.records, labels.patients, table.splits, strict=True):
        if split and split not in _PARTS.values():
            raise ValueError(f"record {record!r}: split is {split!r}, not train, val or test")
        found[record] = split or hashed_split("own", patient, MERL_TRAIN, MERL_VAL)
    of: dict[str, set[str]] = {}
    for record, patient in zip(labels.records, labels.patients, strict=True):
        of.setdefault(patient, set()).add(found[record])
    crossing = sum(len(splits) > 1 for splits in of.values())
    if crossing:
        raise ValueError(f"{crossing} patients are in two splits; correct the column split")
    return found


def _as_table(rows: list[list[object]]) -> str:
    shown = ("name", "records", "positives", "auroc", "auroc_lo", "auroc_hi", "auprc", "f1")
    places = [own_fine_tune.COLUMNS.index(name) for name in shown]
    lines = [list(shown), ["---"] * len(shown)]
    for row in rows:
        cells = rounded([row[place] for place in places], 3)
        lines.append(["" if cell is None else str(cell) for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
