"""Fresh hearts: each epoch another patient behind every report of a simulated corpus.

A training pair keeps its report and its labels, and its signal is simulated anew, as the corpus's
own recordings are, and brought to the store's form as ingest does it. What is drawn depends on the
seed, the epoch and the record: not on the batch, nor on who draws it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from kmerl import seeds
from kmerl.corpora.conform import Ingest, conform
from kmerl.leads import LEADS
from kmerl.params import ParamsError, build, value
from kmerl.recordings.wfdb_files import Channels
from kmerl.signal import LIMIT
from kmerl.store import Index
from kmerl.synthetic.catalogue import CATALOGUE
from kmerl.synthetic.cohort import LAYOUTS, Corpus, Synthesize
from kmerl.synthetic.noise import SITES, draw_noise
from kmerl.synthetic.patients import POPULATION, Visit, draw_patient, draw_visit, visits
from kmerl.synthetic.recording import RATE, record
from kmerl.tasks.simulated import simulated

SLOW, FAST = 60.0, 100.0  # beats a minute between which no report speaks of the rate


def check_simulated(corpus: str, values: Mapping[str, Any]) -> None:
    """
    Raises:
        ParamsError: the corpus is not the simulated one.
    """
    if corpus not in simulated(values["corpora"]):
        raise ParamsError(
            f"pretrain.fresh draws new hearts, but corpora.{corpus} is not simulated (its root is "
            f"{values['corpora'][corpus]['root']}): set pretrain.fresh: false"
        )


class FreshHearts:
    """Signals of rows of a simulated corpus's store, another patient's in each epoch.

    Args:
        rows: the rows that will be asked for.
        values: all of params.yaml.

    Raises:
        ValueError: the store has a record that the simulation of these parameters has not.
    """

    def __init__(
        self, index: Index, rows: np.ndarray, corpus: str, values: Mapping[str, Any]
    ) -> None:
        self._corpus, self._seed = corpus, value(values, "seed", int)
        self._settings = build(Ingest, values["ingest"], "ingest")
        wanted = dict(zip(index.records.take(rows).to_pylist(), rows.tolist(), strict=True))
        synthesize = value(values, "synthesize", Synthesize)
        layout, count = LAYOUTS[corpus], synthesize.records[cast(Corpus, corpus)]
        self._units: int = layout.UNITS_PER_MV
        self._planned: dict[int, tuple[int, int, int]] = {}  # row: patient, visit, record
        for visit in visits(self._seed, corpus, count):
            row = wanted.pop(layout.record_id(visit), None)
            if row is not None:
                self._planned[row] = visit.patient.index, visit.number, visit.record
        if wanted:
            raise ValueError(
                f"{index.directory} has {len(wanted)} records that seed and synthesize.records do "
                f"not draw, the first is {next(iter(wanted))}: run `dvc repro` to bring them in "
                "step"
            )

    def __call__(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """int16 (rows, 12, samples), microvolt."""
        out = np.empty((len(rows), len(LEADS), self._settings.samples), np.int16)
        seed = seeds.stream(self._seed, "fresh", epoch)
        for signal, row in zip(out, rows.tolist(), strict=True):
            signal[:] = self._drawn(seed, *self._planned[row])
        return out

    def _drawn(self, seed: int, patient: int, number: int, running: int) -> np.ndarray:
        known = draw_visit(draw_patient(self._seed, self._corpus, patient), number, running)
        samples = record(another(known, seed), self._units).samples
        microvolt = samples.astype(np.int32) * (1000 // self._units)
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
