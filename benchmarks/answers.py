"""How well a model answers, and whether company changes an answer: configurations over seeds.

    python -m benchmarks.answers FOLDER --seed 0 --seed 1 --run "ours:" \\
        --run "paper: query_network.self_attention=true mask.min_leads=9"
    python -m benchmarks.answers_tables FOLDER

Reads data/ and params.yaml as `dvc repro embed_text splits` leaves them. Each run, a name and keys
of params.yaml that it changes, is trained in a temporary directory and asked zero-shot about the
validation and the test records; the scores are kept in FOLDER/<run>-s<seed>.npz, and a run that is
there is not trained again. Only the seed of training changes, not the cohort.

Ways of asking: `task` (a task's classes together, as the paper asks), `alone` (each name), `beside`
(with the model's entities), `shuffled`, `foreign` (with twenty names that no heart has); and
`context`, each name beside the entities and unseen by the others, whatever the model's
`query_network.context` says.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from kmerl import params, seeds
from kmerl.evaluation.encode import members
from kmerl.files import parse_yaml
from kmerl.leads import LEADS, lead_indices, parse_leads
from kmerl.methods import Cosine, Method, kmerl
from kmerl.models.inputs import SignalParams, normalised
from kmerl.store import read_signals, read_table, whole_range
from kmerl.tasks import of_run
from kmerl.tasks.classes import Task
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.tasks.prompts import read_asked
from kmerl.text import TextTower
from kmerl.training.model import ModelConfig, load
from kmerl.training.session import Session

DATA = Path("data")
COUNTS = ("1", "2", "3", "6", "9", "12")
WAYS = ("task", "alone", "beside", "shuffled", "foreign", "context")
WAYS_ON = ("1", "2", "12")
FOREIGN = (
    "broken femur", "acute appendicitis", "migraine", "asthma", "cataract", "eczema", "tonsillitis",
    "kidney stone", "iron deficiency", "sprained ankle", "hay fever", "gout", "psoriasis",
    "hearing loss", "carpal tunnel syndrome", "gallstones", "lyme disease", "sinusitis", "anorexia",
    "dental caries",
)  # fmt: skip

Scores = dict[str, Any]


def main(
    folder: Annotated[Path, typer.Argument(help="Where the scores go.")],
    run: Annotated[list[str], typer.Option(help="name: key=value key=value")],
    seed: Annotated[list[int], typer.Option(help="Seeds of training.")],
    threads: Annotated[int, typer.Option(help="Torch threads.")] = 1,
    company: Annotated[bool, typer.Option("--company", help="Ask in every way.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="On 1, 2 and 12 leads alone.")] = False,
) -> None:
    """Train each run with each seed, ask, and keep the scores."""
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    for number in seed:
        for name, _, changes in (one.partition(":") for one in run):
            out = folder / f"{name}-s{number}.npz"
            if out.exists():
                continue
            start = time.process_time()
            config, model, shown = trained(changes.split(), number)
            seconds = time.process_time() - start
            known = {"changes": np.array(changes), "seconds": np.array(seconds), "shown": shown}
            kept: Scores = known | answers(config, model, company, quick)
            np.savez_compressed(out, **kept)
            print(f"{name}, seed {number}: {seconds:.0f} s of CPU", file=sys.stderr, flush=True)


def trained(changes: list[str], seed: int) -> tuple[ModelConfig, Method, np.ndarray]:
    """A model of params.yaml with `changes`, and the mean number of leads that it was shown."""
    values: dict[str, Any] = params.read()
    for change in changes:
        key, _, text = change.partition("=")
        section, _, field = key.rpartition(".")
        (values[section] if section else values)[field] = parse_yaml(text.encode(), change)
    values["seed"] = seed
    session = Session.from_params(values, DATA.absolute())
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        session.train(Path(), "cpu")  # apart from others, whose live/ and checkpoints may be here
        return *load(Path("models")), np.array(len(LEADS) - np.mean(session.mask.masked_range))


@torch.inference_mode()
def answers(config: ModelConfig, model: Method, company: bool, quick: bool) -> Scores:
    """Logits (record, class) by "split/task/leads/way", with truth and patients; the leads
    "singles" are the mean over the twelve, each asked on its own (not if `quick`). With `company`,
    every way."""
    foreign = torch.from_numpy(TextTower(config.text_encoder).embed(list(FOREIGN)))
    found: Scores = {}
    known = of_run.read(DATA / "tasks.json")
    for corpus in of_run.corpora_of(known):
        tasks = [task for task in known if task.corpus == corpus]
        cohorts = [read_cohort(DATA / "splits", task) for task in tasks]
        every, first = (_ask(model, foreign, tasks, ways) for ways in (WAYS, WAYS[:1]))
        records = sorted(members(cohorts)[1])
        if not records:
            continue
        scores: Scores = {}
        for key in WAYS_ON if quick else COUNTS:
            ask = every if company and key in WAYS_ON else first
            here = _of_leads(model, config.signal, corpus, records, parse_leads(key), ask)
            scores |= {f"{key}/{way}": values for way, values in here.items()}
        single = [
            _of_leads(model, config.signal, corpus, records, (lead,), first)
            for lead in ([] if quick else LEADS)
        ]
        for name in single[0] if single else ():
            scores[f"singles/{name}"] = np.mean([one[name] for one in single], axis=0)
        for cohort in cohorts:
            found |= _of_task(cohort, records, scores)
    return found


def _of_task(cohort: Cohort, records: list[str], scores: Scores) -> Scores:
    found: Scores = {}
    for split in ("val", "test"):
        part, here = cohort.split(split), f"{split}/{cohort.task}"
        rows = np.searchsorted(records, part.records)
        found |= {f"{here}/truth": part.truth, f"{here}/patients": part.patients.astype(str)}
        for name, values in scores.items():
            leads, way, task = name.split("/")
            if task == cohort.task:
                found[f"{here}/{leads}/{way}"] = values[rows]
    return found


Ask = Callable[[Tensor], dict[str, Tensor]]


def _ask(model: Method, foreign: Tensor, tasks: Sequence[Task], ways: Sequence[str]) -> Ask:
    """Tokens of some records to logits (record, class) by "way/task"."""
    names = read_asked(DATA / "asked", "names", tasks)
    classes = {one.name: torch.from_numpy(names.of(one.name, one.classes)) for one in tasks}
    if isinstance(model, kmerl.Method):
        asked = {
            f"{way}/{task}": _sets(model, names, foreign)[way]
            for task, names in classes.items()
            for way in ways
        }
        return lambda tokens: _query(model, tokens, asked)
    assert isinstance(model, Cosine)
    return lambda tokens: {f"task/{t}": model.similarity(tokens, a) for t, a in classes.items()}


@dataclass(frozen=True)
class Sets:
    """Names asked, each set on its own; `back` are the columns of their logits that are wanted."""

    names: Sequence[Tensor]
    back: Tensor | slice = field(default_factory=lambda: slice(None))
    context: Tensor | None = None


def _sets(model: kmerl.Method, names: Tensor, foreign: Tensor) -> dict[str, Sets]:
    count, entities = len(names), model.entities
    order = torch.from_numpy(seeds.generator(0, "shuffled", count).permutation(count))
    return {
        "task": Sets([names]),
        "alone": Sets(names.split(1)),
        "beside": Sets([torch.cat([names, entities])], slice(count)),
        "shuffled": Sets([names[order]], order.argsort()),
        "foreign": Sets([torch.cat([names, foreign])], slice(count)),
        "context": Sets([names], context=entities if model.query_network.self_attention else None),
    }


def _query(model: kmerl.Method, tokens: Tensor, asked: Mapping[str, Sets]) -> dict[str, Tensor]:
    network = model.query_network
    memory = network.read(tokens)
    return {
        key: torch.cat([network.answer(n, memory, one.context) for n in one.names], 1)[:, one.back]
        for key, one in asked.items()
    }


def _of_leads(
    model: Method,
    signal: SignalParams,
    corpus: str,
    records: list[str],
    leads: tuple[str, ...],
    ask: Ask,
) -> Scores:
    store = DATA / "ecg" / corpus
    place = {r: i for i, r in enumerate(read_table(store, ["record"])["record"].to_pylist())}
    rows = np.array([place[record] for record in records])
    low, high = whole_range(store)
    order = np.argsort(rows)
    parts: dict[str, list[np.ndarray]] = {}
    for chosen, block in read_signals(store, leads, 8, rows[order]):
        index = torch.tensor(lead_indices(leads)).expand(len(block), -1)
        prepared = normalised(block, (low[chosen], high[chosen]), signal)
        tokens = model.encoder(torch.from_numpy(prepared), index)
        for name, logits in ask(tokens).items():
            parts.setdefault(name, []).append(logits.numpy())
    return {name: np.concatenate(blocks)[np.argsort(order)] for name, blocks in parts.items()}


if __name__ == "__main__":
    typer.run(main)
