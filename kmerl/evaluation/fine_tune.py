"""Full fine-tuning on the six tasks, and the same network trained from scratch.

The paper has none; its reviewers asked for it. The draws of the training records, the choice of
the epoch on validation and the metrics are those of the linear probe (Sec. 4.2). The reference is
the same network trained from random weights on the same batches ("From Scratch" of Table 1).

Each training is the work of one thread where torch's own threads are set to one, so that how many
run side by side changes no bit of the result.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean as exact_mean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kmerl.evaluation.bootstrap import Statistics
from kmerl.evaluation.fine_tune_fit import Classifier, Examples, FineTune, Start, fit, scores
from kmerl.evaluation.memory_store import MemoryStore, read_into_memory
from kmerl.evaluation.metric_rows import Evaluations, Row, metric_table
from kmerl.evaluation.paired_rows import reference_row
from kmerl.evaluation.pieces import Arrays
from kmerl.evaluation.scores import Scores, scored, unscored
from kmerl.leads import in_standard_order
from kmerl.models.inputs import SignalParams
from kmerl.progress import Meter
from kmerl.runtime import in_order
from kmerl.seeds import generator, stream
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.subsets import subset_size, training_order
from kmerl.training.model import ModelConfig, create


@dataclass(frozen=True)
class Job:
    """One training: a task's records, `train` of them at a ratio, and where its weights start.

    `number` counts the seeds from 0: each draws its own training records, batches and weights.
    """

    train: Cohort
    validation: Cohort
    test: Cohort
    ratio: int
    number: int
    leads: str
    start: Start

    @property
    def name(self) -> str:
        return f"{self.test.task}-{self.ratio}-{self.number}-{self.leads}-{self.start}"


@dataclass(frozen=True)
class Trained:
    """What a training left: scores of the validation and test records at the chosen epoch."""

    job: Job
    epoch: int
    validation: Float[np.ndarray, "validation class"]
    test: Float[np.ndarray, "test class"]

    @classmethod
    def of(cls, job: Job, found: Arrays) -> "Trained":
        """What `arrays` gave."""
        return cls(job, int(found["epoch"]), found["validation"], found["test"])

    @property
    def arrays(self) -> Arrays:
        return {
            "epoch": np.array(self.epoch),
            "validation": self.validation,
            "test": self.test,
        }

    @property
    def train_classes(self) -> int:
        """Classes with a positive training record."""
        return int(self.job.train.truth.any(axis=0).sum())


def plan(cohorts: Sequence[Cohort], settings: FineTune, seed: int) -> list[Job]:
    """Every training, but for tasks without training records; the largest first."""
    found = []
    for cohort in cohorts:
        train, validation, test = (cohort.split(name) for name in ("train", "val", "test"))
        records = len(train.records)
        for number in range(settings.seeds):
            order = training_order(records, cohort.task, seed, number)
            for ratio in settings.ratios if records else ():
                subset = train.take(order[: subset_size(records, ratio)])
                for leads in settings.leads:
                    found += [
                        Job(subset, validation, test, ratio, number, leads, start)
                        for start in settings.starts
                    ]
    return sorted(found, key=lambda job: -size(job, settings))


def size(job: Job, settings: FineTune) -> float:
    """How long a training takes, beside the others."""
    return float(len(job.train.records) * len(settings.lead_sets[job.leads]))


Encoders = Mapping[tuple[Start, int], Any]
"""Where each training starts, by start and number of the seed."""


def encoders(config: ModelConfig, pretrained: Any, settings: FineTune, seed: int) -> Encoders:
    """The pretrained encoder F_E for every seed, and for each one with other random weights."""
    found: dict[tuple[Start, int], Any] = {}
    for number in range(settings.seeds):
        found["pretrained", number] = pretrained
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream(seed, "fine_tune", "random weights", number))
            found["scratch", number] = create(config).encoder
    return found


@dataclass(frozen=True)
class FineTuning:
    """What all trainings share.

    `start_from` is copied, never changed; `store/<corpus>` are the signals; `threads` trainings
    run side by side.
    """

    start_from: Encoders
    store: Path
    signal: SignalParams
    settings: FineTune
    seed: int
    device: str = "cpu"
    threads: int = 1

    def train(self, jobs: Sequence[Job]) -> Iterator[Trained]:
        """Run every job, corpus by corpus; a corpus's signals are held while it lasts.

        Memory: see `MemoryStore`; and each thread's network and activations.
        """
        steps = sum(len(job.train.records) for job in jobs) * self.settings.epochs
        meter = Meter("fine-tuning", steps, "records")
        stop, lock = threading.Event(), threading.Lock()

        def advance(records: int) -> None:
            if stop.is_set():
                raise RuntimeError("another training failed")
            with lock:
                meter.advance(records)

        for corpus in sorted({job.test.corpus for job in jobs}):
            members = [job for job in jobs if job.test.corpus == corpus]
            work = partial(self._train_one, self._read(corpus, members), advance)
            yield from in_order(work, members, self.threads, stop=stop)
        meter.close()

    def _read(self, corpus: str, jobs: Sequence[Job]) -> MemoryStore:
        leads = {lead for leads in self.settings.lead_sets.values() for lead in leads}
        parts = [part.records for job in jobs for part in (job.train, job.validation, job.test)]
        records = np.unique(np.concatenate(parts))
        return read_into_memory(self.store / corpus, in_standard_order(leads), records)

    def _train_one(
        self, recordings: MemoryStore, advance: Callable[[int], None], job: Job
    ) -> Trained:
        """Both starts, and all lead sets, begin with the same head and see the same batches."""
        settings, leads = self.settings, self.settings.lead_sets[job.leads]
        train, validation, test = (
            Examples.of(part, recordings, leads, self.signal)
            for part in (job.train, job.validation, job.test)
        )
        random = generator(self.seed, "fine_tune", job.test.task, job.ratio, job.number)
        encoder = self.start_from[job.start, job.number]
        pretrained = job.start == "pretrained"
        fitted = fit(
            Classifier(encoder, len(job.test.classes), random),
            train,
            validation,
            settings,
            rate=settings.learning_rate if pretrained else settings.scratch_learning_rate,
            random=random,
            device=self.device,
            advance=advance,
        )
        held_out = (scores(fitted.network, p, settings, self.device) for p in (validation, test))
        return Trained(job, fitted.epoch, *held_out)


def by_task(
    cohorts: Sequence[Cohort],
    trained: Sequence[Trained],
    settings: FineTune,
    ratio: int,
    number: int,
    start: Start,
) -> list[Scores]:
    """Scores of each task at one ratio, seed and start; of no record where nothing was trained."""
    wanted, found = (ratio, number, start), []
    here = [o for o in trained if (o.job.ratio, o.job.number, o.job.start) == wanted]
    for cohort in cohorts:
        mine = {one.job.leads: one for one in here if one.job.test.task == cohort.task}
        if not mine:
            found.append(unscored(cohort, settings.lead_sets))
            continue
        validation = {key: mine[key].validation for key in settings.leads}
        test = {key: mine[key].test for key in settings.leads}
        parts = cohort.split("val"), cohort.split("test")
        found.append(scored(*parts, validation, test, settings.lead_sets))
    return found


def table(
    trained: Sequence[Trained],
    found: Mapping[Start, Evaluations],
    statistics: Statistics,
) -> dict[str, dict[str, Row]]:
    """{task: {leads: row}} of one ratio, means over the seeds.

    Further keys: `train_records`, `train_classes` (classes with a positive training record),
    except for task "average" the chosen `epoch`; and of the network trained from scratch
    `scratch_auroc` and, paired, how far fine-tuning is `above_scratch`, each with `_lo`, `_hi`.
    """
    fine_tuned, scratch = found["pretrained"], found.get("scratch")
    of_task: dict[tuple[str, str], list[Trained]] = {}
    for one in trained:
        if one.job.start == "pretrained":
            of_task.setdefault((one.job.test.task, one.job.leads), []).append(one)

    def more(tasks: list[str], leads: str) -> Row:
        seeds = [of_task.get((task, leads), []) for task in tasks]
        row: Row = {
            "train_records": sum(len(one[0].job.train.records) for one in seeds if one),
            "train_classes": sum(exact_mean(o.train_classes for o in one) for one in seeds if one),
        }
        if len(tasks) == 1:
            row["epoch"] = exact_mean(one.epoch for one in seeds[0]) if seeds[0] else None
        if scratch is not None:
            ours = [fine_tuned[task][leads] for task in tasks]
            theirs = [scratch[task][leads] for task in tasks]
            row |= reference_row("scratch", ours, theirs, statistics.level)
        return row

    return metric_table(fine_tuned, statistics, more)
