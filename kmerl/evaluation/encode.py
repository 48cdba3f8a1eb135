"""The frozen encoder, run once over each corpus for each set of leads."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from safetensors.numpy import save_file
from torch import Tensor

from kmerl import files
from kmerl.corpora.classes import classes, tasks_of
from kmerl.evaluation.prompts import class_key
from kmerl.leads import LEADS, lead_indices, parse_leads
from kmerl.models.inputs import SignalParams, prepare
from kmerl.models.vit import pool
from kmerl.progress import Meter
from kmerl.store import read_signals, read_table


@dataclass(frozen=True)
class EncodeParams:
    """The `encode` section of params.yaml."""

    order: Literal["paper", "mimic", "standard"]
    sets: tuple[str, ...]
    batch: int


_RANGE = tuple(f"{fact}.{lead}" for fact in ("min", "max") for lead in LEADS)


@dataclass(frozen=True)
class Names:
    """Text vectors (names, text width) by what they are asked for, "task/class code"."""

    vectors: Tensor
    place: dict[str, int]

    def of(self, names: Sequence[str]) -> Float[Tensor, "name text"]:
        return self.vectors[[self.place[name] for name in names]]


def lead_sets(params: EncodeParams) -> dict[str, tuple[str, ...]]:
    """Key of the metrics to leads: "1".."12" in the chosen order, then the named sets."""
    keys = [str(count) for count in range(1, len(LEADS) + 1)] + list(params.sets)
    return {key: parse_leads(key, params.order) for key in keys}


def encode_corpus(
    corpus: str,
    directory: Path,
    model: Any,
    params: EncodeParams,
    signal: SignalParams,
    names: Names,
    out: Path,
    device: str,
    threads: int = 1,
) -> None:
    """Write features, F_CQ logits and cosine scores of every record and lead set.

    Sets that name the same leads ("2" and "I+II" in the paper's order) are encoded once.

    Args:
        threads: batches encoded side by side; each is the work of one thread where torch's own
            threads are set to one, so that their number changes no bit of the result.
    """
    tasks = {task: classes(task) for task in tasks_of(corpus)}
    sets = lead_sets(params)
    vectors = {
        task: names.of([class_key(task, c.code) for c in kinds]).to(device)
        for task, kinds in tasks.items()
    }
    tensors: dict[str, np.ndarray] = {}
    distinct = sorted(set(sets.values()), key=lambda leads: (len(leads), leads))
    table = read_table(directory, ["record", *_RANGE])
    records = table["record"].to_pylist()
    low, high = _whole_range(table)
    meter = Meter(f"encoding {corpus}", len(records) * len(distinct), "records")
    with ThreadPoolExecutor(threads) as pool:
        for leads in distinct:
            encode = partial(_encode, leads, model, signal, vectors, device)
            blocks = (
                (block, (low[rows], high[rows]))
                for rows, block in read_signals(directory, leads, params.batch)
            )
            parts: dict[str, list[np.ndarray]] = {}
            for values in _in_order(pool, encode, blocks, 2 * threads):
                for name, value in values.items():
                    parts.setdefault(name, []).append(value)
                meter.advance(len(values["features"]))
            for key in (key for key, wanted in sets.items() if wanted == leads):
                tensors |= {f"{name}/{key}": np.concatenate(part) for name, part in parts.items()}
    meter.close()
    with files.atomic(out / f"{corpus}.safetensors") as unfinished:
        save_file(tensors, unfinished)
    description = {
        "records": records,
        "lead_sets": sets,
        "tasks": {task: [c.code for c in kinds] for task, kinds in tasks.items()},
    }
    files.write_text(out / f"{corpus}.json", json.dumps(description, indent=1) + "\n")


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[..., dict[str, np.ndarray]],
    items: Iterable[tuple[Any, ...]],
    ahead: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Results in the order of `items`, of which at most `ahead` are held."""
    waiting: deque[Future[dict[str, np.ndarray]]] = deque()
    for item in items:
        waiting.append(pool.submit(work, *item))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _whole_range(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest microvolt (records,) over the twelve leads."""
    low, high = (
        np.stack([table[f"{fact}.{lead}"].to_numpy() for lead in LEADS]) for fact in ("min", "max")
    )
    return low.min(axis=0), high.max(axis=0)


@torch.inference_mode()
def _encode(
    leads: Sequence[str],
    model: Any,
    signal: SignalParams,
    vectors: dict[str, Tensor],
    device: str,
    block: np.ndarray,
    whole_range: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    values = torch.from_numpy(prepare(block, whole_range, signal)).to(device)
    index = torch.tensor(lead_indices(leads), device=device).expand(len(block), -1)
    tokens = model.encoder(values, index)
    answer = {"features": pool(tokens)}
    scores = model.score(tokens, *vectors.values())
    for (task, asked), logits in zip(vectors.items(), scores, strict=True):
        answer[f"query/{task}"] = logits
        answer[f"cosine/{task}"] = model.similarity(tokens, asked)
    return {name: value.float().cpu().numpy() for name, value in answer.items()}
