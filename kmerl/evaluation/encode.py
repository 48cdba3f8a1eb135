"""The frozen encoder, run once over each corpus for each set of leads."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Int, Int16
from pydantic import Field
from safetensors.numpy import save_file
from torch import Tensor

from kmerl import files
from kmerl.evaluation.pieces import Arrays
from kmerl.leads import LEADS, LeadKey, lead_indices, parse_leads
from kmerl.methods import Cosine, Method, Query
from kmerl.models.inputs import SignalParams, normalised
from kmerl.models.vit import Encoder, pool
from kmerl.params import Count, checked
from kmerl.progress import Meter
from kmerl.runtime import in_order
from kmerl.store import read_signals, read_table, whole_range
from kmerl.tasks.classes import ClassName
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.prompts import Asked
from kmerl.training.optimiser import autocast

PIECE = 512
"""Records of a piece of work, or a few less: whole batches."""
ON_GPU = 4
"""Batches that share a GPU: what is prepared for it on the CPU takes as long as its own part."""


@checked
class EncodeParams:
    """The `encode` section of params.yaml."""

    orders: Annotated[tuple[Literal["paper", "mimic", "standard"], ...], Field(min_length=1)]
    sets: tuple[LeadKey, ...]
    random: tuple[str, ...]
    batch: Count
    precision: Literal["fp32", "bf16"]

    def __post_init__(self) -> None:
        for key in self.sets:
            if key.isdigit() or ":" in key:
                raise ValueError(f"sets names {key!r}; counts follow from orders")
        known = lead_sets(self)
        for key in self.random:
            if key not in known:
                raise ValueError(f"random names {key!r}; choose from {', '.join(known)}")


def lead_sets(params: EncodeParams) -> dict[str, tuple[str, ...]]:
    """Key of the metrics to leads: "1".."12" in the first order, the named sets, and "mimic:4"
    where a further order comes to leads that no earlier key names."""
    counts = [str(count) for count in range(1, len(LEADS) + 1)]
    first, *others = params.orders
    found = {key: parse_leads(key, first) for key in [*counts, *params.sets]}
    for key in (f"{order}:{count}" for order in others for count in counts):
        leads = parse_leads(key)
        if leads not in found.values():
            found[key] = leads
    return found


def members(cohorts: Iterable[Cohort]) -> tuple[set[str], set[str]]:
    """The records of some tasks, and of them those that a task keeps for validation or test, which
    are scored."""
    every: set[str] = set()
    scored: set[str] = set()
    for cohort in cohorts:
        every.update(map(str, cohort.records))
        scored.update(map(str, cohort.records[cohort.splits != "train"]))
    return every, scored


def score_kinds(model: Method) -> list[str]:
    """The zero-shot scores that a method gives: none where it never saw a text."""
    given = {"query": isinstance(model, Query), "cosine": isinstance(model, Cosine)}
    return [kind for kind, is_given in given.items() if is_given]


@dataclass(frozen=True)
class Corpus:
    """What is encoded of a corpus's store: `rows` ascending, of which those `asked` are scored for
    the classes of `tasks`."""

    name: str
    directory: Path
    records: list[str]
    rows: Int[np.ndarray, " row"]
    asked: Int[np.ndarray, " asked"]
    whole_range: tuple[np.ndarray, np.ndarray]
    tasks: dict[str, tuple[ClassName, ...]]

    @classmethod
    def read(cls, name: str, directory: Path, cohorts: Sequence[Cohort]) -> "Corpus":
        """
        Args:
            cohorts: of its tasks; their records are encoded, where the store has them.
        """
        wanted, scored = members(cohorts)
        records = read_table(directory, ["record"])["record"].to_pylist()
        rows, asked = (
            np.array([row for row, record in enumerate(records) if record in ids], dtype=np.int64)
            for ids in (wanted, wanted & scored)
        )
        tasks = {cohort.task: cohort.classes for cohort in cohorts}
        return cls(name, directory, records, rows, asked, whole_range(directory), tasks)

    def pieces(self, batch: int) -> "dict[str, Piece]":
        """The records asked about come first, so that their batches are full."""
        step, found = max(1, PIECE // batch) * batch, []
        for rows, asked in ((self.asked, True), (np.setdiff1d(self.rows, self.asked), False)):
            starts = range(0, len(rows), step)
            found += [Piece(self, rows[start : start + step], asked) for start in starts]
        return {f"{self.name}-{number:05d}": piece for number, piece in enumerate(found)}


@dataclass(frozen=True)
class Piece:
    """Some rows of a corpus's store, encoded by one process."""

    corpus: Corpus
    rows: Int[np.ndarray, " row"]
    asked: bool


@dataclass(frozen=True)
class Batch:
    """Some records' signals in microvolt, of all twelve leads, and the piece they are of.

    `vectors` are of the texts asked, by task.
    """

    piece: str
    signal: Int16[np.ndarray, "batch 12 sample"]
    whole_range: tuple[np.ndarray, np.ndarray]
    vectors: dict[str, Tensor]


@dataclass(frozen=True)
class CorpusEncoder:
    """What does alike with every corpus: a trained model, and its encoder before any training.

    `threads` batches are encoded side by side; each is the work of one thread where torch's own
    threads are set to one, so that their number changes no bit of the result.
    """

    model: Method
    untrained: Encoder
    params: EncodeParams
    signal: SignalParams
    asked: Asked
    device: str
    threads: int = 1

    def encode(
        self, pieces: Mapping[str, Piece], names: Sequence[str]
    ) -> Iterator[tuple[str, Arrays]]:
        """Of each named piece the features for every set of leads, and the scores that the method
        gives (see `score_kinds`); sets that name the same leads are encoded once, under one key."""
        meter = Meter("encoding", sum(len(pieces[name].rows) for name in names), "records")
        batches = (
            Batch(name, block, tuple(ends[rows] for ends in piece.corpus.whole_range), vectors)
            for name in names
            for piece in (pieces[name],)
            for vectors in (self._vectors(piece.corpus) if piece.asked else {},)
            for rows, block in read_signals(
                piece.corpus.directory, LEADS, self.params.batch, piece.rows
            )
        )
        done = in_order(self._encode, batches, self.threads, ahead=2 * self.threads)
        for name, blocks in groupby(done, key=lambda one: one[0]):
            parts = []
            for _, block in blocks:
                parts.append(block)
                meter.advance(len(next(iter(block.values()))))
            yield name, {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        meter.close()

    def write(self, corpus: Corpus, made: Sequence[Arrays], out: Path) -> None:
        """Write what `corpus.pieces` came to, in their order; rows are in the store's order."""
        back = np.argsort(np.concatenate([corpus.asked, np.setdiff1d(corpus.rows, corpus.asked)]))
        sets = lead_sets(self.params)
        tensors: Arrays = {}
        for name in dict.fromkeys(name for piece in made for name in piece):
            whole = np.concatenate([piece[name] for piece in made if name in piece])
            kind, _, first = name.rpartition("/")
            of_all = kind in ("features", "random")
            keys = [key for key, leads in sets.items() if leads == sets[first]]
            written = [k for k in keys if kind != "random" or k in self.params.random]
            tensors |= dict.fromkeys(
                (f"{kind}/{key}" for key in written), whole[back] if of_all else whole
            )
        with files.atomic(out / f"{corpus.name}.safetensors") as unfinished:
            save_file(tensors, unfinished)
        description = {
            "records": [corpus.records[row] for row in corpus.rows],
            "scored": [corpus.records[row] for row in corpus.asked],
            "lead_sets": sets,
            "random_sets": self.params.random,
            "score_kinds": score_kinds(self.model),
            "tasks": {task: [c.code for c in kinds] for task, kinds in corpus.tasks.items()},
        }
        files.write_text(out / f"{corpus.name}.json", json.dumps(description, indent=1) + "\n")

    @cached_property
    def _distinct(self) -> dict[str, tuple[tuple[str, ...], bool]]:
        """By the first key of each different set of leads: these, the fewest first, and whether
        the untrained encoder reads them, too."""
        found: dict[tuple[str, ...], list[str]] = {}
        for key, leads in lead_sets(self.params).items():
            found.setdefault(leads, []).append(key)
        ordered = sorted(found.items(), key=lambda one: (len(one[0]), one[0]))
        return {k[0]: (leads, not {*k}.isdisjoint(self.params.random)) for leads, k in ordered}

    def _vectors(self, corpus: Corpus) -> dict[str, Tensor]:
        """Of what each task's classes are asked as, on the device."""
        found = {task: self.asked.of(task, kinds) for task, kinds in corpus.tasks.items()}
        return {task: torch.from_numpy(values).to(self.device) for task, values in found.items()}

    @torch.inference_mode()
    def _encode(self, batch: Batch) -> tuple[str, Arrays]:
        found: Arrays = {}
        for key, (leads, compared) in self._distinct.items():
            index = lead_indices(leads)
            prepared = normalised(batch.signal[:, index], batch.whole_range, self.signal)
            signal = torch.from_numpy(prepared).to(self.device)
            given = signal, torch.tensor(index, device=self.device).expand(len(signal), -1)
            with autocast(self.params.precision, self.device):
                tokens = self.model.encoder(*given).float()
                untrained = self.untrained(*given).float() if compared else None
            answers = {"features": pool(tokens), **self._scores(tokens, batch.vectors)}
            if untrained is not None:
                answers["random"] = pool(untrained)
            found |= {f"{name}/{key}": v.float().cpu().numpy() for name, v in answers.items()}
        return batch.piece, found

    def _scores(self, tokens: Tensor, vectors: dict[str, Tensor]) -> dict[str, Tensor]:
        """In float32, whatever the encoder's precision: rounded scores would tie."""
        found: dict[str, Tensor] = {}
        if vectors and isinstance(self.model, Query):
            scores = self.model.score(tokens, *vectors.values())
            found |= {f"query/{task}": one for task, one in zip(vectors, scores, strict=True)}
        if vectors and isinstance(self.model, Cosine):
            for task, asked in vectors.items():
                found[f"cosine/{task}"] = self.model.similarity(tokens, asked)
        return found
