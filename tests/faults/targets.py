"""What reads files that others wrote: how each reader is asked, and the laws of what it gives."""

import contextlib
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kmerl import params, recordings
from kmerl.corpora import shards
from kmerl.corpora.listing import read_listing
from kmerl.corpora.records import Entry, Scheme
from kmerl.evaluation import compare, encoded_corpus
from kmerl.experiments import catalogue, runs, sections
from kmerl.knowledge import overrides
from kmerl.knowledge.vllm import answers, client, lists, replies
from kmerl.leads import LEADS
from kmerl.predict import preparing
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.report import results
from kmerl.signal import NAN
from kmerl.store import read_index, read_signals, read_table, row_groups, schema, whole_range
from kmerl.tasks import cohort, merl_splits
from kmerl.tasks.classes import official
from kmerl.training import data, model
from kmerl.training.checkpoint import Checkpoint
from tests.faults import inputs
from tests.import_closure import ROOT
from tests.official_layouts import REAL, SETTINGS
from tests.recordings_written import WRITTEN


@dataclass(frozen=True)
class Target:
    """A reader of files.

    `write` makes whole inputs, each a folder below the path that it gets; `read` is asked for a
    folder in which a file that `damaged` (globs) names was changed. It raises what a person would
    see, and AssertionError where what was read breaks a law. `share` is this target's part of a
    campaign's inputs, beside the others'.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], object]
    damaged: tuple[str, ...]
    share: int


def ingested(path: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        entry = Entry("r", "p", "train", path, [], [] if path.endswith(".mat") else None)
        return _row(entry, _form("csn", folder, Scheme({})))

    return read


def _form(corpus: str, root: Path, scheme: Scheme) -> shards.Form:
    layout = schema(SETTINGS.rate, SETTINGS.samples)
    return shards.Form(corpus, root, scheme, layout, SETTINGS)


def _row(entry: Entry, form: shards.Form) -> object:
    row, stored, _ = shards.read_record(entry, form)
    assert stored.dtype == np.int16, stored.dtype
    assert stored.shape == (len(LEADS), SETTINGS.samples), stored.shape
    assert not (stored == NAN).any(), "a gap is stored"
    assert all(not isinstance(value, int) or abs(value) < 2**31 for value in row.values()), row
    return row


def predicted(name: str, rate: float | None) -> Callable[[Path], object]:
    told = {"rate": rate, "unit": "mV"} if rate else {}
    return lambda folder: _prepared(folder / name, told)


def device_file(folder: Path) -> object:
    """A file of one of `inputs.DEVICES`, whose name is its number there."""
    path = next(folder.glob("*.bin"))
    return _prepared(path, WRITTEN[inputs.DEVICES[int(path.stem)]].told)


def _prepared(path: Path, told: dict[str, Any]) -> object:
    recording = preparing.choose(recordings.read(path, **told), None)
    assert 0 < recording.rate < math.inf, recording.rate
    prepared = preparing.prepare(recording, 100, 1000)
    assert prepared.signal.shape == (len(prepared.leads), 1000), prepared.signal.shape
    assert not (prepared.signal == NAN).any(), "a gap is shown"
    return prepared


def both_ways(folder: Path) -> object:
    """Into the store, and into a prediction; a record of any name."""
    name = next(folder.glob("*.hea")).stem
    return ingested(name)(folder), predicted(name, None)(folder)


def listed(corpus: str) -> Callable[[Path], object]:
    """A corpus and all its records; one of them may be rejected, with its reason."""

    def read(folder: Path) -> object:
        listing = read_listing(corpus, folder, SETTINGS)
        form = _form(corpus, folder, listing.scheme)
        for row in listing.table.to_pylist():
            try:
                _row(Entry(**row), form)
            except RejectedRecord as rejected:
                assert rejected.reason, row
        return listing

    return read


def parameters(folder: Path) -> object:
    values = params.read(folder / "params.yaml")
    sections.check_values(values, [name for name in sections.CLASSES if name in values])
    return _finite(values)


def _finite(value: Any) -> Any:
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            _finite(inner)
        assert not isinstance(inner, float) or math.isfinite(inner), f"{inner} is allowed"
    return value


def overridden(folder: Path) -> object:
    found = overrides.read(folder / "overrides.yaml")
    entity = overrides.merged({name: name for name in inputs.ASKED}, found)
    return overrides.hierarchy({"block": ["lbbb"]}, sorted(set(entity.values())), found)


def experiments(folder: Path) -> object:
    found = catalogue.read(folder / "experiments.yaml", folder / "params.yaml")
    sections.check(found, folder / "params.yaml")
    return found.metrics()


@cache
def _catalogue() -> catalogue.Catalogue:
    return catalogue.read(ROOT / "experiments.yaml", ROOT / "params/demo.yaml")


def collected(folder: Path) -> object:
    return results.results(_catalogue(), runs.read(folder / "experiments.json"))


def reply(folder: Path) -> object:
    """By every reader; what one of them takes goes through the lists too."""
    text = (folder / "reply.json").read_bytes().decode("utf-8", "replace")
    said, asked, found = replies.Reply(text, "stop", 1, 1), inputs.ASKED, {}
    readers: dict[str, Callable[[], Any]] = {
        "entities": lambda: replies.entities(said),
        "verdict": lambda: replies.verdict(said),
        "mapping": lambda: lists.resolved(replies.mapping(said, asked), Counter()),
        "hierarchy": lambda: lists.flattened(replies.hierarchy(said, asked), asked, Counter()),
    }
    fault: Exception = AssertionError("no reader")
    for name, read in readers.items():
        try:
            found[name] = read()
        except replies.MalformedError as malformed:
            fault = malformed
    if not found:
        raise fault
    merged = found.get("mapping", {})
    assert {*merged, *merged.values()} <= set(asked), merged
    json.dumps(found, ensure_ascii=False).encode()
    return found


def completion(folder: Path) -> object:
    """What the client makes of a body that came with status 200; a passing fault is tried again."""
    sent = (folder / "body.json").read_bytes()
    try:
        found = replies.completion(sent)
    except replies.UnreadableError as fault:
        raise client.LLMError(type(fault).__name__) from None
    assert isinstance(found.text, str), found
    assert isinstance(found.prompt_tokens, int), found
    json.dumps(dataclasses.asdict(found), ensure_ascii=False).encode()
    return found


def kept(folder: Path) -> object:
    found = answers.Answers(folder)
    found.close()
    for one in found.known.values():
        assert isinstance(one.text, str), one
        assert isinstance(one.prompt_tokens, int), one
    return found.known


def network(folder: Path) -> object:
    _, found = model.load(folder)
    assert all(bool(torch.isfinite(value).all()) for value in found.state_dict().values())
    return found


def sealed_network(folder: Path) -> object:
    """As an ill-meaning sender would: the digests fit what was changed."""
    with contextlib.suppress(ValueError, LookupError, AttributeError, TypeError):
        values = json.loads((folder / model.CONFIG).read_bytes())
        values.pop(model._SEAL)
        values[model._WEIGHTS_SEAL] = model._file_digest(folder / model.WEIGHTS)
        values[model._SEAL] = model._digest(values)
        (folder / model.CONFIG).write_text(json.dumps(values))
    return network(folder)


def checkpoint(folder: Path) -> object:
    """A damaged one is passed over, and said."""
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
        found = Checkpoint("c").load("cpu")
    assert found is None or found["epoch"] in (1, 2), found
    return found


def store(folder: Path) -> object:
    directory = folder / "data/ecg/mimic-iv-ecg"
    groups = row_groups(directory)
    read_table(directory, ["record", "patient", "split", "report", "codes"])
    whole_range(directory)
    for rows, block in read_signals(directory, LEADS[:3], 5):
        assert block.shape == (len(rows), 3, groups.samples), block.shape
    return groups


def pairs(folder: Path) -> object:
    below = folder / "data"
    return data.load_pairs(read_index(below / "ecg/mimic-iv-ecg"), below / "labels", below / "text")


def encoded(folder: Path) -> object:
    found = encoded_corpus.open_encoded(folder / "data/encode", "csn")
    found.rows(np.array(list(found.row_of)[:3]))
    return [(found.features(key), found.scores("query", "csn", key)) for key in found.lead_sets]


def compared(folder: Path) -> object:
    sides = [compare.read_folder(folder / side) for side in "ab"]
    return compare.as_text(compare.compare(*sides, None, 5, 0.9, 0), 0.9)


def members(folder: Path) -> object:
    return cohort.read_cohort(folder / "data/splits", official("csn"))


def merl(folder: Path) -> object:
    return merl_splits.read(folder / "raw/merl", "csn")


_SPLITS = [f"raw/merl/data_split/chapman/chapman_{split}.csv" for split in cohort.SPLITS]
_ENCODED = ("data/encode/csn.json", "data/encode/csn.safetensors")
TARGETS: dict[str, Target] = {
    "header": Target(inputs.recordings, ingested("r"), ("*.hea",), 12),
    "signals": Target(inputs.recordings, ingested("r"), ("*.dat", "*.mat"), 6),
    "struct": Target(inputs.structs, ingested("r.mat"), ("*.mat",), 12),
    "predict": Target(inputs.recordings, predicted("r", None), ("*.hea",), 8),
    "predict-signals": Target(inputs.recordings, predicted("r", None), ("*.dat", "*.mat"), 2),
    "predict-csv": Target(inputs.csv_recordings, predicted("r.csv", 250.0), ("*.csv",), 4),
    "predict-formats": Target(inputs.device_files, device_file, ("*.bin",), 5),
    "mimic-iv-ecg": Target(inputs.mimic, listed("mimic-iv-ecg"), ("*.csv",), 5),
    "ptb-xl": Target(inputs.ptbxl, listed("ptb-xl"), ("*.csv",), 5),
    "cpsc2018": Target(inputs.cpsc2018, listed("cpsc2018"), ("*.csv",), 3),
    "csn": Target(inputs.csn, listed("csn"), ("*.csv",), 3),
    "merl-splits": Target(inputs.part(*_SPLITS), merl, ("*.csv",), 2),
    "params": Target(inputs.beside_params(), parameters, ("*.yaml",), 6),
    "overrides": Target(inputs.beside_params("overrides.yaml"), overridden, ("overrides.*",), 3),
    "experiments": Target(inputs.beside_params("experiments.yaml"), experiments, ("exp*",), 2),
    "runs": Target(inputs.runs, collected, ("*.json",), 4),
    "replies": Target(inputs.replies, reply, ("*.json",), 8),
    "completion": Target(inputs.completion, completion, ("*.json",), 2),
    "answers": Target(inputs.kept_answers, kept, ("*.jsonl",), 3),
    "model": Target(inputs.models, network, ("*.json", "*.safetensors"), 3),
    "sealed-model": Target(inputs.models, sealed_network, ("*.json", "*.safetensors"), 3),
    "checkpoint": Target(inputs.checkpoints, checkpoint, ("*.pt",), 2),
    "store": Target(inputs.cohort, store, ("mimic-iv-ecg/*.parquet",), 3),
    "pairs": Target(inputs.cohort, pairs, ("labels/*", "text/*"), 3),
    "encoded": Target(inputs.part(*_ENCODED), encoded, ("csn.*",), 2),
    "scores": Target(inputs.scores, compared, ("csn.*",), 2),
    "cohort": Target(inputs.part("data/splits/csn.parquet"), members, ("*.parquet",), 2),
}
if REAL.is_dir():
    TARGETS["real"] = Target(inputs.real, both_ways, ("*.hea", "*.dat", "*.mat"), 4)
