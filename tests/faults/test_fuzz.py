"""A little of `make fuzz`, always the same: no damage raises what is not ours, hangs or swells."""

import functools
import io
import json
import operator
import os
import re
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.attempts import Campaign, tried
from tests.faults.processes import Death, run
from tests.faults.targets import TARGETS

Mutate = Callable[[bytes], bytes]
EACH = 2  # inputs for each of a target's shares


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_refused_or_read(name):
    campaign = Campaign((name,))
    for files in campaign.whole[name]:  # so that what is refused is the damage
        assert tried(name, -1, files).said == "read"
    outcomes = [campaign.attempt(name, number) for number in range(EACH * TARGETS[name].share)]
    found = [f"{one.number}: {one.fault}" for one in outcomes if one.fault]
    assert not found, f"python -m tests.faults.campaign {name} NUMBER shows {found}"


def swap(old: bytes, new: bytes) -> Mutate:
    return lambda content: content.replace(old, new, 1)


def with_json(**changes: object) -> Mutate:
    return lambda content: json.dumps(json.loads(content) | changes).encode()


def with_column(name: str, values: pa.Array) -> Mutate:
    """A table in which a column holds something else."""

    def change(content: bytes) -> bytes:
        table, out = pq.read_table(io.BytesIO(content)), io.BytesIO()
        values_of = pa.concat_arrays([values] * table.num_rows)
        pq.write_table(table.drop_columns([name]).append_column(name, values_of), out)
        return out.getvalue()

    return change


def no_number(content: bytes) -> bytes:
    return content[:-4] + np.float32(np.nan).tobytes()


CASES = {  # what campaigns found: target, part of the file's name, the damage, what is said of it
    "params without a method": (
        "params", "params", swap(b"\nmethod:", b"\n# method:"), "ParamsError"),
    "more memory than the weights": (
        "sealed-model", "config.json", with_json(samples=10**9), "ParamsError"),
    "weights that are no numbers": ("sealed-model", "safetensors", no_number, "DamagedError"),
    "a config without sections": (
        "sealed-model", "config.json", with_json(sections={}), "DamagedError"),
    "tokens in words": (
        "completion", "body", swap(b'"prompt_tokens": 10', b'"prompt_tokens": "x"'), "LLMError"),
    "an end in half a character": (
        "completion", "body", swap(b'"stop"', b'"\\ud800"'), "LLMError"),
    "an answer without a floor": (
        "answers", "jsonl", lambda whole: b"[" * 200_000 + b"\n" + whole, "MiningError"),
    "choices by name": ("completion", "body", with_json(choices={"x": 1}), "LLMError"),
    "runs that are none": ("runs", "json", lambda _: b"null", "ParamsError"),
    "a run that is a number": ("runs", "json", lambda _: b"[1]", "ParamsError"),
    "a value of two numbers": (
        "runs", "json", lambda _: b'[{"values": {"x": [1, 2]}}]', "ParamsError"),
    "a value that no sum stands": (
        "runs", "json", lambda whole: re.sub(rb"0\.\d+", b"1e307", whole, count=1), "ParamsError"),
    "MERL's file in another encoding": ("merl-splits", "test", swap(b",", b"\xff,"), "MerlError"),
    "a split of nulls": ("cohort", "parquet", with_column("split", pa.nulls(1)), "DamagedError"),
    "a class in words": (
        "cohort", "parquet", with_column("AFIB", pa.array(["x"])), "DamagedError"),
    "vectors out of reach": (
        "pairs", "reports.parquet", with_column("vector", pa.array([99], pa.int32())),
        "DamagedError"),
    "labels in words": ("pairs", "labels.parquet", with_column("normal ecg", pa.array(["yes"])),
                        "DamagedError"),
    "a lead of floats": ("store", "signals", with_column("I", pa.array([[0.5]])), "DamagedError"),
    "an index that tells no rate": (
        "store", "index", swap(b"kmerl.rate", b"kmerl.rat_"), "DamagedError"),
    "no set of leads": ("scores", "a/csn.json", with_json(lead_sets={}), "ValueError"),
    "half a character": ("scores", "csn.json", with_json(corpus="\ud800"), "ValueError"),
    "sets of leads in a list": ("scores", "a/csn.json", with_json(lead_sets=[]), "DamagedError"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_was_found_is_said(name):
    target, part, change, said = CASES[name]
    for files in Campaign((target,)).whole[target]:
        changed = {file: change(content) for file, content in files.items() if part in file}
        assert changed.items() - files.items()
        found = tried(target, -1, files | changed)
        assert (found.said, found.fault) == (said, "")


def test_a_process_that_dies_or_hangs_is_a_result():
    jobs = [functools.partial(abs, -1), os.abort, functools.partial(time.sleep, 60)]
    make = functools.partial(operator.itemgetter(0), (operator.call,))
    found = dict(run(jobs, make, 2, hung=2.0))
    assert [found[job] for job in jobs] == [1, Death("died", -6), Death("hung", -9)]
