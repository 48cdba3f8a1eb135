"""The frozen encoder, run once over each corpus for each set of leads."""

import json
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Int16
from pydantic import Field
from safetensors.numpy import save_file
from torch import Tensor

from kmerl import files
from kmerl.leads import LEADS, LeadKey, lead_indices, parse_leads
from kmerl.methods import Cosine, Method, Query
from kmerl.models.inputs import SignalParams, normalised
from kmerl.models.vit import Encoder, pool
from kmerl.params import Count, checked
from kmerl.progress import Meter
from kmerl.runtime import in_order
from kmerl.store import read_signals, read_table, whole_range
from kmerl.tasks.classes import classes, tasks_of
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.prompts import Asked


@checked
class EncodeParams:
    """The `encode` section of params.yaml."""

    orders: Annotated[tuple[Literal["paper", "mimic", "standard"], ...], Field(min_length=1)]
    sets: tuple[LeadKey, ...]
    random: tuple[str, ...]
    batch: Count

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


def held_out(cohorts: Iterable[Cohort]) -> set[str]:
    """The records that some task keeps for validation or test: those that are scored."""
    return {str(one) for cohort in cohorts for one in cohort.records[cohort.splits != "train"]}


def score_kinds(model: Method) -> list[str]:
    """The zero-shot scores that a method gives: none where it never saw a text."""
    given = {"query": isinstance(model, Query), "cosine": isinstance(model, Cosine)}
    return [kind for kind, is_given in given.items() if is_given]


@dataclass(frozen=True)
class Batch:
    """Some records' signals in microvolt, and what is wanted of them.

    `vectors` are of the texts asked, by task; `compared`: the untrained encoder reads them too.
    """

    signal: Int16[np.ndarray, "batch lead sample"]
    whole_range: tuple[np.ndarray, np.ndarray]
    leads: tuple[str, ...]
    vectors: dict[str, Tensor]
    compared: bool


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

    def encode(self, corpus: str, directory: Path, scored: Set[str], out: Path) -> None:
        """Write features of every record and lead set, and the scores of `scored` that the method
        gives (see `score_kinds`).

        Args:
            scored: ids of the records whose scores are wanted (see `held_out`); the others need
                features alone.
        """
        records = read_table(directory, ["record"])["record"].to_pylist()
        asked = np.array([record in scored for record in records], dtype=bool)
        tensors = self._tensors(corpus, directory, asked)
        with files.atomic(out / f"{corpus}.safetensors") as unfinished:
            save_file(tensors, unfinished)
        description = {
            "records": records,
            "scored": [record for record in records if record in scored],
            "lead_sets": lead_sets(self.params),
            "random_sets": self.params.random,
            "score_kinds": score_kinds(self.model),
            "tasks": {task: [c.code for c in classes(task)] for task in tasks_of(corpus)},
        }
        files.write_text(out / f"{corpus}.json", json.dumps(description, indent=1) + "\n")

    def _tensors(self, corpus: str, directory: Path, asked: np.ndarray) -> dict[str, np.ndarray]:
        """What is written, by name and key of the lead set.

        Sets that name the same leads ("2" and "I+II" in the paper's order) are encoded once. The
        records asked about come first, so that their batches are full.
        """
        sets = lead_sets(self.params)
        parts = [(np.flatnonzero(asked), self._vectors(corpus)), (np.flatnonzero(~asked), {})]
        back = np.argsort(np.concatenate([rows for rows, _ in parts]))
        low, high = whole_range(directory)
        distinct = sorted(set(sets.values()), key=lambda leads: (len(leads), leads))
        meter = Meter(f"encoding {corpus}", len(asked) * len(distinct), "records")
        tensors: dict[str, np.ndarray] = {}
        for leads in distinct:
            keys = [key for key, wanted in sets.items() if wanted == leads]
            compared = [key for key in keys if key in self.params.random]
            batches = (
                Batch(block, (low[rows], high[rows]), leads, vectors, bool(compared))
                for chosen, vectors in parts
                for rows, block in read_signals(directory, leads, self.params.batch, chosen)
            )
            blocks = in_order(self._encode, batches, self.threads, ahead=2 * self.threads)
            for name, value in _together(blocks, back, meter).items():
                written = compared if name == "random" else keys
                tensors |= {f"{name}/{key}": value for key in written}
        meter.close()
        return tensors

    def _vectors(self, corpus: str) -> dict[str, Tensor]:
        """Of what each task's classes are asked as, on the device."""
        tasks = tasks_of(corpus)
        return {task: torch.from_numpy(self.asked.of(task)).to(self.device) for task in tasks}

    @torch.inference_mode()
    def _encode(self, batch: Batch) -> dict[str, np.ndarray]:
        prepared = normalised(batch.signal, batch.whole_range, self.signal)
        signal, vectors = torch.from_numpy(prepared).to(self.device), batch.vectors
        index = torch.tensor(lead_indices(batch.leads), device=self.device)
        index = index.expand(len(signal), -1)
        tokens = self.model.encoder(signal, index)
        answer = {"features": pool(tokens)}
        if batch.compared:
            answer["random"] = pool(self.untrained(signal, index))
        if vectors and isinstance(self.model, Query):
            scores = self.model.score(tokens, *vectors.values())
            answer |= {
                f"query/{task}": logits for task, logits in zip(vectors, scores, strict=True)
            }
        if vectors and isinstance(self.model, Cosine):
            for task, asked in vectors.items():
                answer[f"cosine/{task}"] = self.model.similarity(tokens, asked)
        return {name: value.float().cpu().numpy() for name, value in answer.items()}


def _together(
    blocks: Iterable[dict[str, np.ndarray]], back: np.ndarray, meter: Meter
) -> dict[str, np.ndarray]:
    """Blocks end to end; what every record has comes back to the order of the store's rows."""
    found: dict[str, list[np.ndarray]] = {}
    for values in blocks:
        for name, value in values.items():
            found.setdefault(name, []).append(value)
        meter.advance(len(values["features"]))
    whole = {name: np.concatenate(values) for name, values in found.items()}
    return whole | {name: whole[name][back] for name in ("features", "random") if name in whole}
