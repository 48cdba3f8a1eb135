"""The frozen encoder, run once over each corpus for each set of leads."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from safetensors.numpy import save_file
from torch import Tensor

from kmerl import files
from kmerl.evaluation.encodings import ScoreKind
from kmerl.leads import LEADS, LeadKey, lead_indices, parse_leads
from kmerl.methods import Cosine, Method, Query
from kmerl.models.inputs import SignalParams, prepare
from kmerl.models.vit import Encoder, pool
from kmerl.params import Count, checked
from kmerl.progress import Meter
from kmerl.store import read_signals, read_table, whole_range
from kmerl.tasks.classes import classes, tasks_of
from kmerl.tasks.cohort import Cohort
from kmerl.tasks.prompts import class_key


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


@dataclass(frozen=True)
class Names:
    """Text vectors (names, text width) by what they are asked for, "task/class code"."""

    vectors: Tensor
    place: dict[str, int]

    def of(self, names: Sequence[str]) -> Float[Tensor, "name text"]:
        return self.vectors[[self.place[name] for name in names]]


@dataclass(frozen=True)
class Encoders:
    """The trained model, and the untrained encoder that is its reference."""

    model: Method
    untrained: Encoder


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


def score_kinds(model: Method) -> list[ScoreKind]:
    """The zero-shot scores that a method gives: none where it never saw a text."""
    given: dict[ScoreKind, bool] = {
        "query": isinstance(model, Query),
        "cosine": isinstance(model, Cosine),
    }
    return [kind for kind, is_given in given.items() if is_given]


@dataclass(frozen=True)
class Encoding:
    """What is done alike with every corpus.

    `threads` batches are encoded side by side; each is the work of one thread where torch's own
    threads are set to one, so that their number changes no bit of the result.
    """

    encoders: Encoders
    params: EncodeParams
    signal: SignalParams
    names: Names
    device: str
    threads: int = 1


def encode_corpus(
    corpus: str, directory: Path, encoding: Encoding, scored: Set[str], out: Path
) -> None:
    """Write features of every record and lead set, and the scores of `scored` that the method
    gives (see `score_kinds`).

    Args:
        scored: ids of the records whose scores are wanted (see `held_out`); the others need
            features alone.
    """
    records = read_table(directory, ["record"])["record"].to_pylist()
    asked = np.array([record in scored for record in records], dtype=bool)
    tensors = _tensors(corpus, directory, encoding, asked)
    with files.atomic(out / f"{corpus}.safetensors") as unfinished:
        save_file(tensors, unfinished)
    description = {
        "records": records,
        "scored": [record for record in records if record in scored],
        "lead_sets": lead_sets(encoding.params),
        "random_sets": encoding.params.random,
        "score_kinds": score_kinds(encoding.encoders.model),
        "tasks": {task: [c.code for c in classes(task)] for task in tasks_of(corpus)},
    }
    files.write_text(out / f"{corpus}.json", json.dumps(description, indent=1) + "\n")


def _tensors(
    corpus: str, directory: Path, encoding: Encoding, asked: np.ndarray
) -> dict[str, np.ndarray]:
    """What is written, by name and key of the lead set.

    Sets that name the same leads ("2" and "I+II" in the paper's order) are encoded once. The
    records asked about come first, so that their batches are full.
    """
    params, sets = encoding.params, lead_sets(encoding.params)
    parts = [(np.flatnonzero(asked), _vectors(corpus, encoding)), (np.flatnonzero(~asked), {})]
    back = np.argsort(np.concatenate([rows for rows, _ in parts]))
    low, high = whole_range(directory)
    distinct = sorted(set(sets.values()), key=lambda leads: (len(leads), leads))
    meter = Meter(f"encoding {corpus}", len(asked) * len(distinct), "records")
    tensors: dict[str, np.ndarray] = {}
    with ThreadPoolExecutor(encoding.threads) as workers:
        for leads in distinct:
            keys = [key for key, wanted in sets.items() if wanted == leads]
            compared = [key for key in keys if key in params.random]
            encode = partial(_encode, leads, encoding, bool(compared))
            blocks = (
                (wanted, block, (low[rows], high[rows]))
                for chosen, wanted in parts
                for rows, block in read_signals(directory, leads, params.batch, chosen)
            )
            ahead = 2 * encoding.threads
            found = _together(_in_order(workers, encode, blocks, ahead), back, meter)
            for name, value in found.items():
                written = compared if name == "random" else keys
                tensors |= {f"{name}/{key}": value for key in written}
    meter.close()
    return tensors


def _vectors(corpus: str, encoding: Encoding) -> dict[str, Tensor]:
    """Of what each task's classes are asked as, on the device."""
    return {
        task: encoding.names.of([class_key(task, c.code) for c in classes(task)]).to(
            encoding.device
        )
        for task in tasks_of(corpus)
    }


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


@torch.inference_mode()
def _encode(
    leads: Sequence[str],
    encoding: Encoding,
    compared: bool,
    vectors: dict[str, Tensor],
    block: np.ndarray,
    microvolts: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    model, device = encoding.encoders.model, encoding.device
    values = torch.from_numpy(prepare(block, microvolts, encoding.signal)).to(device)
    index = torch.tensor(lead_indices(leads), device=device).expand(len(block), -1)
    tokens = model.encoder(values, index)
    answer = {"features": pool(tokens)}
    if compared:
        answer["random"] = pool(encoding.encoders.untrained(values, index))
    if vectors and isinstance(model, Query):
        scores = model.score(tokens, *vectors.values())
        answer |= {f"query/{task}": logits for task, logits in zip(vectors, scores, strict=True)}
    if isinstance(model, Cosine):
        answer |= {f"cosine/{task}": model.similarity(tokens, v) for task, v in vectors.items()}
    return {name: value.float().cpu().numpy() for name, value in answer.items()}
