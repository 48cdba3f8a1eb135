"""Linear probing (Sec. 4.2, Table 1, Table 4): a linear classifier on a frozen encoder.

The encoder is frozen, so each record's features are computed once, by stage `encode`. Beside the
paper's setting stand probes that tell what it is worth: a weight decay chosen on validation, the
same probe of an untrained encoder, and nearest neighbours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from kmerl.evaluation import probe_fit
from kmerl.evaluation.encoded_corpus import EncodedCorpus, EncoderKind
from kmerl.evaluation.neighbours import neighbour_scores
from kmerl.evaluation.pieces import Arrays
from kmerl.evaluation.probe_fit import LinearProbe, Part, logits, moments
from kmerl.evaluation.scores import Scores, scored, unscored
from kmerl.seeds import generator
from kmerl.tasks.cohort import SPLITS, Cohort
from kmerl.tasks.subsets import subset_size, training_order

TUNED, RANDOM, NEIGHBOURS = "auroc_tuned", "random_auroc", "knn_auroc"
"""The other probes, by the key of their AUROC in a row of metrics."""
_OF_A_FIT = ("epoch", "auroc", "test_auroc")


@dataclass(frozen=True)
class Choice:
    """What validation chose for one lead set and seed: the epoch, and decay and epoch if both."""

    epoch: int
    val_auroc: float
    weight_decay: float
    tuned_epoch: int
    tuned_val_auroc: float
    test_auroc: float


@dataclass(frozen=True)
class ProbedTask:
    """One task at one ratio.

    Attributes:
        scores: of each seed, with the fixed weight decay.
        others: test scores of the other probes, by name and lead set.
        choices: by lead set, one a seed; none where there was nothing to train on.
        train_classes: classes with a positive training record, mean over seeds.
    """

    scores: list[Scores]
    others: dict[str, dict[str, Float[np.ndarray, "seed record class"]]]
    choices: dict[str, list[Choice]]
    train_records: int
    train_classes: float


@dataclass(frozen=True)
class Probing:
    """One task at one ratio, before it is probed: a piece of the stage's work."""

    cohort: Cohort
    encoded: EncodedCorpus
    ratio: int
    settings: LinearProbe
    seed: int

    @property
    def name(self) -> str:
        return f"{self.cohort.task}-{self.ratio}"

    @property
    def train_records(self) -> int:
        """So many of the training records are seen."""
        records = int((self.cohort.splits == "train").sum())
        return subset_size(records, self.ratio) if records else 0

    def fit(self, device: str = "cpu") -> Arrays:
        """Fit on shares of the training records, choose on validation, score the test: see
        `result`; nothing where there are no training records."""
        if not self.train_records:
            return {}
        settings, subsets = self.settings, self._subsets()
        views, truths = Views.of(self.encoded), self._parts()
        seen, held, asked = (
            Part(views.features(self.encoded, part).to(device), part.truth) for part in truths
        )
        purpose = ("linear_probe", "fit", self.cohort.task, self.ratio)
        randoms = [
            generator(self.seed, *purpose, *([number] if number else []))
            for number in range(settings.seeds)
        ]
        watched = asked if settings.merl_max_test else None
        fit = probe_fit.fit(seen, held, subsets, settings, settings.decays, randoms, watched)
        fixed = fit.weight[:, :, 0]
        found = {
            "validation": logits(held.features, fixed).cpu().numpy(),
            "test": logits(asked.features, fixed).cpu().numpy(),
            NEIGHBOURS: _neighbour_scores(seen, subsets, asked, settings),
            **{name: getattr(fit, name) for name in _OF_A_FIT},
        }
        if settings.weight_decays:
            chosen = torch.from_numpy(_best(fit.auroc))[:, :, None, None, None].to(device)
            tuned = fit.weight.take_along_dim(chosen, dim=2)[:, :, 0]
            found[TUNED] = logits(asked.features, tuned).cpu().numpy()
        return found

    def result(self, fitted: Arrays) -> ProbedTask:
        """What `fit` found; a task without training records is scored on none."""
        if not self.train_records:
            return _unprobed(self.cohort, self.encoded, self.settings)
        views, (train, validation, test) = Views.of(self.encoded), self._parts()
        others = {
            NEIGHBOURS: _by(views.trained, fitted[NEIGHBOURS]),
            RANDOM: _by(views.untrained, fitted["test"]),
        }
        if self.settings.weight_decays:
            others[TUNED] = _by(views.trained, fitted[TUNED])
        scores = [
            scored(
                validation,
                test,
                _by(views.trained, fitted["validation"][:, number]),
                _by(views.trained, fitted["test"][:, number]),
                self.encoded.lead_sets,
            )
            for number in range(self.settings.seeds)
        ]
        return ProbedTask(
            scores=scores,
            others=others,
            choices={
                key: _choices(fitted, view, self.settings) for key, view in views.trained.items()
            },
            train_records=self.train_records,
            train_classes=float(train.truth[self._subsets()].any(axis=1).sum(axis=1).mean()),
        )

    def _parts(self) -> tuple[Cohort, Cohort, Cohort]:
        train, validation, test = (self.cohort.split(name) for name in SPLITS)
        return train, validation, test

    def _subsets(self) -> Int[np.ndarray, "seed taken"]:
        records, numbers = int((self.cohort.splits == "train").sum()), range(self.settings.seeds)
        orders = [training_order(records, self.cohort.task, self.seed, n) for n in numbers]
        return np.stack(orders)[:, : self.train_records]


def _best(auroc: Float[np.ndarray, "view seed decay"]) -> Int[np.ndarray, "view seed"]:
    """The weight decay that validation likes best; of equals the fixed one."""
    return np.argmax(np.nan_to_num(auroc, nan=-1.0), axis=2)


@dataclass(frozen=True)
class Views:
    """What is probed: different leads through the trained encoder, then through the untrained.

    Keys that name the same leads share a view.
    """

    sources: tuple[tuple[str, EncoderKind], ...]
    trained: dict[str, int]
    untrained: dict[str, int]

    @classmethod
    def of(cls, encoded: EncodedCorpus) -> "Views":
        keys: dict[EncoderKind, Iterable[str]]
        keys = {"trained": encoded.lead_sets, "random": encoded.random_sets}
        sources: dict[tuple[EncoderKind, tuple[str, ...]], tuple[str, EncoderKind]] = {}
        for encoder, given in keys.items():
            for key in given:
                sources.setdefault((encoder, encoded.lead_sets[key]), (key, encoder))
        place = {source: number for number, source in enumerate(sources)}
        trained, untrained = (
            {key: place[encoder, encoded.lead_sets[key]] for key in given}
            for encoder, given in keys.items()
        )
        return cls(tuple(sources.values()), trained, untrained)

    def features(self, encoded: EncodedCorpus, part: Cohort) -> Float[Tensor, "view record width"]:
        rows = encoded.rows(part.records)
        every = [encoded.features(key, encoder)[rows] for key, encoder in self.sources]
        return torch.from_numpy(np.stack(every)).float()


def _by(views: dict[str, int], values: Shaped[np.ndarray, "view ..."]) -> dict[str, np.ndarray]:
    return {key: values[view] for key, view in views.items()}


def _neighbour_scores(
    train: Part, subsets: Int[np.ndarray, "seed taken"], test: Part, settings: LinearProbe
) -> Float[np.ndarray, "view seed record class"]:
    """Seeds with the same records, as all have at 100 %, are searched once."""
    different, place = np.unique(np.sort(subsets, axis=1), axis=0, return_inverse=True)
    found = []
    for rows in different:
        known, asked = train.features[:, rows], test.features
        if settings.standardise:
            mean, deviation = (part[:, :, :-1] for part in moments(train.features, rows[None]))
            known, asked = (known - mean) / deviation, (asked - mean) / deviation
        found.append(neighbour_scores(known, train.truth[rows], asked, settings.neighbours))
    return np.stack(found, axis=1)[:, place.ravel()]


def _choices(fitted: Arrays, view: int, settings: LinearProbe) -> list[Choice]:
    best = _best(fitted["auroc"])[view]
    return [
        Choice(
            epoch=int(epoch[0]),
            val_auroc=float(auroc[0]),
            weight_decay=settings.decays[decay],
            tuned_epoch=int(epoch[decay]),
            tuned_val_auroc=float(auroc[decay]),
            test_auroc=float(test[0]),
        )
        for epoch, auroc, test, decay in zip(
            *(fitted[name][view] for name in _OF_A_FIT), best, strict=True
        )
    ]


def _unprobed(cohort: Cohort, encoded: EncodedCorpus, settings: LinearProbe) -> ProbedTask:
    nothing = np.empty((settings.seeds, 0, len(cohort.classes)), np.float32)
    others = {
        NEIGHBOURS: dict.fromkeys(encoded.lead_sets, nothing),
        RANDOM: dict.fromkeys(encoded.random_sets, nothing),
    }
    if settings.weight_decays:
        others[TUNED] = others[NEIGHBOURS]
    scores = [unscored(cohort, encoded.lead_sets)] * settings.seeds
    return ProbedTask(scores, others, {key: [] for key in encoded.lead_sets}, 0, 0.0)
