"""Fresh hearts: each epoch another patient behind every report of the simulated corpora.

A training pair keeps its report and its labels, and its signal is simulated anew, as the corpus's
own recordings are, and brought to the store's form as ingest does it. What is drawn depends on the
seed, the epoch and the record: not on the batch, nor on who draws it.
"""

import csv
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kmerl import seeds
from kmerl.corpora.conform import Ingest, conform
from kmerl.leads import LEADS
from kmerl.params import ParamsError, build, value
from kmerl.recordings.wfdb_files import Channels
from kmerl.signal import LIMIT
from kmerl.store import Index, PairStores, read_index
from kmerl.synthetic.catalogue import CATALOGUE
from kmerl.synthetic.cohort import LAYOUTS
from kmerl.synthetic.noise import SITES, draw_noise
from kmerl.synthetic.patients import POPULATION, Visit, draw_patient, draw_visit, visits
from kmerl.synthetic.recording import RATE, record

SLOW, FAST = 60.0, 100.0  # beats a minute between which no report speaks of the rate
CHECKED, STEP = 4, 10  # rows of the store that are drawn again, and microvolts they may be off


class FreshSignals:
    """Signals of the simulated corpora among those that are trained on; see `FreshHearts`.

    Args:
        rows: the rows of all stores' index that will be asked for.
        values: all of params.yaml.

    Raises:
        ParamsError: none of them is simulated, or a store does not hold what `seed` simulates.
    """

    def __init__(self, stores: PairStores, rows: np.ndarray, values: Mapping[str, Any]) -> None:
        if not stores.simulated:
            raise ParamsError(
                "pretrain.fresh draws new hearts for a simulated corpus, and pretrain.corpus names "
                f"{' and '.join(stores.directories)}: set pretrain.fresh: false"
            )
        self._hearts: list[tuple[int, int, FreshHearts]] = []
        parts, end = [], 0
        for corpus, directory in stores.directories.items():
            index = read_index(directory)
            first, end = end, end + index.groups.rows
            parts.append(np.full(index.groups.rows, corpus in stores.simulated))
            if corpus in stores.simulated:
                here = rows[(rows >= first) & (rows < end)] - first
                self._hearts.append((first, end, FreshHearts(index, here, corpus, values)))
        self.makes = np.concatenate(parts)

    def __call__(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """int16 (rows, 12, samples), microvolt."""
        signal = np.empty((len(rows), len(LEADS), self._hearts[0][-1].samples), np.int16)
        for first, end, hearts in self._hearts:
            here = (rows >= first) & (rows < end)
            signal[here] = hearts(epoch, rows[here] - first)
        return signal


class FreshHearts:
    """Signals of rows of a simulated corpus's store, another patient's in each epoch.

    Args:
        rows: the rows that will be asked for.
        values: all of params.yaml.

    Raises:
        ParamsError: the store does not hold what `seed` simulates, but what another seed or
            another version of the simulator did.
    """

    def __init__(
        self, index: Index, rows: np.ndarray, corpus: str, values: Mapping[str, Any]
    ) -> None:
        self._corpus, self._seed = corpus, value(values, "seed", int)
        self._settings = build(Ingest, values["ingest"], "ingest")
        self.samples = self._settings.samples
        self._planned = self._plan(index, rows)
        if len(self._planned) < len(rows) or not self._same(index, rows[:CHECKED]):
            raise ParamsError(
                f"pretrain.fresh draws new hearts, and {index.directory} does not hold what seed "
                f"{self._seed} simulates: run `dvc repro ingest@{corpus}`, or set pretrain.fresh: "
                "false"
            )

    def _plan(self, index: Index, rows: np.ndarray) -> dict[int, tuple[int, int, int]]:
        """Patient, visit and record of each row that the simulation has."""
        wanted = dict(zip(index.records.take(rows).to_pylist(), rows.tolist(), strict=True))
        with open(index.directory / "rejected.csv", encoding="utf-8", newline="") as file:
            simulated = index.groups.rows + sum(1 for _ in csv.reader(file)) - 1  # all listed
        return {
            wanted[name]: (visit.patient.index, visit.number, visit.record)
            for visit in visits(self._seed, self._corpus, simulated)
            if (name := LAYOUTS[self._corpus].record_id(visit)) in wanted
        }

    def _same(self, index: Index, rows: np.ndarray) -> bool:
        """Whether the store has these rows' own recordings, but for what rounding may do."""
        drawn = [self._stored(self._known(row)) for row in rows.tolist()]
        told = zip(index.low[rows].tolist(), index.high[rows].tolist(), strict=True)
        return all(
            abs(int(signal.min()) - low) <= STEP and abs(int(signal.max()) - high) <= STEP
            for signal, (low, high) in zip(drawn, told, strict=True)
        )

    def __call__(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """int16 (rows, 12, samples), microvolt."""
        out = np.empty((len(rows), len(LEADS), self.samples), np.int16)
        seed = seeds.stream(self._seed, "fresh", epoch)
        for signal, row in zip(out, rows.tolist(), strict=True):
            signal[:] = self._stored(another(self._known(row), seed))
        return out

    def _known(self, row: int) -> Visit:
        patient, number, running = self._planned[row]
        return draw_visit(draw_patient(self._seed, self._corpus, patient), number, running)

    def _stored(self, visit: Visit) -> np.ndarray:
        """int16 (12, samples), as ingest would store the visit's recording."""
        units: int = LAYOUTS[self._corpus].UNITS_PER_MV
        microvolt = record(visit, units).samples.astype(np.int32) * (1000 // units)
        signal = microvolt.clip(-LIMIT, LIMIT).astype(np.int16)
        channels = Channels(LEADS, signal, RATE, saturated=0)
        return conform(channels, self._settings, self._settings.kept_seconds(self._corpus))[0]


def another(visit: Visit, seed: int) -> Visit:
    """The findings of `visit`, and their stages, in a patient whom `seed` and the record draw.

    Body, heart, strength of the findings, electrodes, cart and noise are that patient's; the rate
    stays on its side of what reports call slow and fast, and a poor recording stays poor.
    """
    known = visit.patient
    patient = draw_patient(seed, known.corpus, visit.record)
    patient = replace(patient, chronic=known.chronic, visits=known.visits)
    rng = patient.stream("another")
    rhythm = next(name for name in visit.findings if CATALOGUE[name].group == "rhythm")
    low, high = POPULATION.rates[rhythm]
    if visit.rate < SLOW:
        high = min(high, SLOW)
    elif visit.rate > FAST:
        low = max(low, FAST)
    else:
        low, high = max(low, SLOW), min(high, FAST)
    return replace(
        visit,
        patient=patient,
        rate=float(rng.uniform(low, high)),
        noise=draw_noise(rng, SITES[known.corpus], visit.noise.poor),
    )
