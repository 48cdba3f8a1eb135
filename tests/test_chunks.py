"""Gradient caching: a batch that is read in chunks trains as it does whole."""

import dataclasses
import subprocess
import sys
from functools import partialmethod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memory import peak
from kmerl import params
from kmerl.distributed import packed, unpacked
from kmerl.models.vit import compile_blocks
from kmerl.training.chunks import in_chunks, pieces
from kmerl.training.model import create, sections_of
from tests.gradients import generator, total
from tests.import_closure import ROOT
from tests.methods import DEMO, ENTITIES, RECORDS, TEXT_WIDTH, batch, config, small
from tests.test_training import curves, steps_that_end, train

NETWORK = {"self_attention": True, "dropout": 0.2, "layers": 2, "mlp": 16, "width": 16}
CASES = {
    "kmerl": ("kmerl", {"query_network": NETWORK}),
    "kmerl, some asked": (
        "kmerl",
        {"query_network": {**NETWORK, "asked": 4, "companies": True, "head": "two_way"}},
    ),
    "kmerl, masks over all leads": ("kmerl", {"mask": {"segments": 0.5, "per_lead": False}}),
    "kmerl, no query": ("kmerl", {"loss": {"query": 0.0}}),
    "merl": ("merl", {"options": {"backbone": "vit", "dropout": 0.3}}),
    "merl, as released": ("merl", {"options": {"backbone": "vit", "fidelity": "faithful"}}),
}


def step(case, chunk, dtype=torch.float64, compiled=False):
    """Loss terms and gradients of a training step, and the state of chance after it."""
    method, changes = CASES[case]
    whole = {**DEMO, "mask": {**DEMO["mask"], "segments": 0.25}}
    whole |= {name: {**whole[name], **section} for name, section in changes.items()}
    told = dataclasses.replace(config(method), sections=sections_of(method, whole))
    torch.manual_seed(0)
    model = create(told, torch.randn(ENTITIES, TEXT_WIDTH)).to(dtype)
    if compiled:
        compile_blocks(model)
    torch.manual_seed(1)
    chance = generator(1)
    terms = in_chunks(model, chunk, RECORDS)(batch(dtype=dtype), chance)
    drawn = chance.get_state()
    total(terms).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {**terms, **gradients, "chance": drawn}


@pytest.fixture(scope="module")
def whole():
    return {case: step(case, 0) for case in CASES}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunk", [1, 3, 4, RECORDS - 1])
def test_a_step_in_chunks_is_the_step_of_the_whole_batch(whole, case, chunk):
    torch.testing.assert_close(step(case, chunk), whole[case], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_in_single_precision_to_rounding(case):
    one, other = (step(case, chunk, torch.float32) for chunk in (0, 3))
    for name, gradient in one.items():
        if "qkv.bias" not in name and "key_value.bias" not in name:  # keys' biases: rounding alone
            torch.testing.assert_close(other[name], gradient, rtol=1e-5, atol=1e-5)


def test_every_case_draws(whole):
    for case in set(CASES) - {"merl", "merl, as released"}:
        assert not torch.equal(whole[case]["chance"], generator(1).get_state()), case


def compiled_step():
    """In a process of its own: what checks shapes in the others cannot be compiled. No C++ is made
    of the graphs: that takes long."""
    torch.nn.Module.compile = partialmethod(torch.nn.Module.compile, backend="eager")
    plain = step("kmerl", 0, torch.float32)
    compiled = step("kmerl", 3, torch.float32, compiled=True)
    torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-5)
    counted = torch._dynamo.utils.counters
    assert counted["stats"]["unique_graphs"] == 1  # of three blocks
    assert not counted["graph_break"]


def test_compiled_blocks_take_the_same_step():
    """Also by the names of what they learn."""
    told = [sys.executable, "-c", "from tests.test_chunks import compiled_step as f; f()"]
    subprocess.run(told, cwd=ROOT, check=True)


@given(st.integers(1, 40), st.integers(0, 9))
def test_flags_are_packed_eight_to_a_byte(count, rows):
    flags = torch.rand(rows, count, generator=generator(count)) > 0.5
    bits = packed(flags)
    assert bits.shape == (rows, -(-count // 8))
    assert torch.equal(unpacked(bits, count), flags)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("merl", {"backbone": "resnet18"}, "the batch norm of this encoder"),
        ("simclr", {"backbone": "vit"}, "this method"),
        ("st_mem", {}, "this method"),
    ],
)
def test_what_cannot_be_read_in_chunks_says_so(name, options, why):
    model = small(name, **options)
    with pytest.raises(params.ParamsError, match=rf"runtime\.chunk=4: {why} reads its batch as a"):
        in_chunks(model, 4, 8)
    assert all(in_chunks(model, chunk, 8) is model for chunk in (0, 8, 9))


def test_chunks_hold_less_and_tensors_without_numbers_tell_how_much():
    whole = peak(DEMO, 4, 0, real=True)
    assert peak(DEMO, 4, 0) == whole
    assert peak(DEMO, 4, 1, real=True) < whole / 2


def test_what_is_not_trained_needs_no_chunks():
    assert list(pieces(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert list(pieces(5, 0)) == [slice(0, 5)]
    model = small("random")
    assert in_chunks(model, 4, 8) is model


# ---------------------------------------------------------------- a training


TRAINED = {"pretrain__epochs": 2, "query_network__dropout": 0.2, "pretrain__clip": 0.5}


def numbers(root):
    rows = [[float(value) for value in row.values()] for row in curves(root)]
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("method", "precision", "tolerance"),
    [
        ("kmerl", "fp32", 1e-4),
        ("merl", "fp32", 1e-4),
        ("merl", "bf16", 0.1),
        ("kmerl", "fp16", 0.1),
    ],
)
def test_a_training_in_chunks_of_any_precision(here, method, precision, tolerance):
    options = {"backbone": "vit"} if method == "merl" else {}
    chosen = {**TRAINED, "method": method, "options": options, "pretrain__precision": precision}
    found = []
    for chunk in (0, 3):
        train(here, **chosen, runtime__chunk=chunk)
        found.append(numbers(here))
    torch.testing.assert_close(*found, rtol=tolerance, atol=tolerance)


def test_a_training_goes_on_in_chunks(here, monkeypatch):
    """How its steps are run is no part of what it is."""
    train(here, **TRAINED)
    whole = numbers(here)
    with monkeypatch.context() as patch:
        steps_that_end(patch, 5)
        with pytest.raises(SystemExit):
            train(here, **TRAINED)
    steps = steps_that_end(monkeypatch, 0)
    train(here, **TRAINED, runtime__chunk=3)
    assert len(steps) == 3
    torch.testing.assert_close(numbers(here), whole, rtol=1e-4, atol=1e-4)
