"""What must not depend on the number of processes: two gloo processes run every case and are
compared with one, in values, in gradients and in what a step leaves."""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed
from kmerl.evaluation.pieces import Arrays, dealt
from kmerl.runtime import in_order
from kmerl.training.chunks import in_chunks
from kmerl.training.session import Session
from tests.cohorts import read_rows, write_cohort
from tests.gradients import generator, pairs_of_views, total
from tests.methods import RECORDS, TRAINED_NAMES, batch, small
from tests.test_losses import LOSSES
from tests.test_training import CHECKPOINTS, steps_that_end, values

PATIENTS = torch.tensor([3, 8, 3, 1, 8, 3])  # a patient's records on both sides
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in TRAINED_NAMES}
CASES["clocs of leads"] = "clocs", {"views": "cmlc", "leads": 2}
CHUNKED: dict[str, tuple[dict[str, Any], int]] = {
    "kmerl": ({}, 3),
    "merl": ({"backbone": "vit"}, 3),
}


def share(whole: int, rank: int, processes: int) -> slice:
    return slice(rank * whole // processes, (rank + 1) * whole // processes)


def losses(rank: int, processes: int) -> dict[str, list[Tensor]]:
    """Each loss of this process's rows, its mean over processes, and DDP's mean of gradients."""
    rows, found = share(len(PATIENTS), rank, processes), {}
    for name, loss in LOSSES.items():
        views = pairs_of_views(len(PATIENTS))
        value = loss(*(view[rows] for view in views), PATIENTS[rows])
        value.backward()
        owed = [torch.zeros_like(v) if v.grad is None else v.grad for v in views]
        means = [distributed.average(one.detach()) for one in (value, *owed)]
        found[name] = [value.detach(), *means]
    return found


def two_steps(
    rank: int, processes: int, name: str, options: dict[str, Any], chunk: int = 0
) -> dict[str, dict[str, Tensor]]:
    """Loss terms, gradients and state after two steps on this process's rows, in float64."""
    model = small(name, **options).double()
    network = in_chunks(model, chunk, RECORDS // processes)
    if processes > 1:
        unused = {"static_graph": True} if chunk else {"find_unused_parameters": True}
        network = DistributedDataParallel(network, **unused)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    values = {}
    for step in (0, 1):
        with torch.no_grad():
            model.advance(step / 2)
        shown = batch(share(RECORDS, rank, processes), torch.float64)
        terms = network(shown, generator())
        optimiser.zero_grad()
        total(terms).backward()
        optimiser.step()
        values |= {f"{term}{step}": distributed.average(v.detach()) for term, v in terms.items()}
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {"values": values, "gradients": gradients, "state": dict(model.state_dict())}


def seen_as_released(rank: int, processes: int) -> Tensor:
    """By the batch norm of MERL's projector after a step."""
    model = small("merl", backbone="vit", fidelity="faithful")
    model(batch(share(RECORDS, rank, processes)), generator())
    return model.project_ecg[1].running_mean


def trained(root: Path, stop_after: int = 0, chunk: int = 0) -> dict[str, Any]:
    """Weights and curves of a training in `root`, a folder that no other process has; nothing where
    it was asked to end after so many steps."""
    changes = {"query_network__dropout": 0.2, "pretrain__batch": 4, "pretrain__epochs": 2}
    changes["runtime__chunk"] = chunk
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kmerl.training.session._live", lambda: None)
        patch.chdir(root)
        steps = steps_that_end(patch, stop_after)
        try:
            Session.from_params(values(**changes), Path("data")).train(root, "cpu")
        except SystemExit:
            return {}
    if not distributed.is_main():
        return {}
    curves = [[float(v) for v in row.values()] for row in read_rows(root / "plots/pretrain.csv")]
    weights = load_file(root / "models/model.safetensors")
    return {"weights": weights, "curves": torch.tensor(curves), "steps": len(steps)}


def two_nodes(rank: int, folder: Path) -> dict[str, Any]:
    """A training of two processes with a disk each; and one that is asked to end amid its second
    epoch and goes on when the second node's disk, whose state is left in "left", is a new one."""
    here, left = folder / f"node {rank}", folder / "left"
    write_cohort(here)
    whole = trained(here)
    trained(here, stop_after=11)
    if rank == 1:
        shutil.copytree(here, left)
        shutil.rmtree(here / CHECKPOINTS)
    return {"trained": whole, "gone on": trained(here), "in chunks": trained(here, chunk=1)}


def in_pieces(rank: int, folder: Path) -> dict[str, Any]:
    """Of two processes with a disk each the second fails; then both go on. What the first gets (of
    each piece by whom, and whether alone, also in other threads), and what each made."""
    here, made = folder / f"pieces of {rank}", []
    here.mkdir()
    sizes = dict.fromkeys("abcde", 1.0)

    def failing(_: Any) -> None:
        raise OSError

    def work(fail: bool, names: Sequence[str]) -> Iterator[tuple[str, Arrays]]:
        for name in names:
            made.append(name)
            (alone,) = in_order(lambda _: distributed.world_size() == 1, [0], 1)
            yield name, {"by": np.array([rank, alone])}
            if fail and rank == 1:
                raise OSError

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for fail in (True, False):
            made.append("|")
            with patch.context() as ended:
                if fail:  # who made all of its pieces waits for the other, and torchrun ends it
                    ended.setattr(distributed, "to_first", failing)
                with suppress(OSError), dealt("stage", 0, [], sizes, partial(work, fail)) as found:
                    whole = found
        left = len([*here.glob(".checkpoints/*/*")])
    first = {name: value["by"].tolist() for name, value in (whole or {}).items()}
    return {"first": first, "made": "".join(made), "left": left}


def _run(rank: int, port: int, folder: Path) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    distributed.join("cpu")
    found = {
        "steps": {key: two_steps(rank, 2, *case) for key, case in CASES.items()},
        "steps in chunks": {key: two_steps(rank, 2, key, *case) for key, case in CHUNKED.items()},
        "losses": losses(rank, 2),
        "seen as released": seen_as_released(rank, 2),
        **two_nodes(rank, folder),
        "pieces": in_pieces(rank, folder),
    }
    torch.save(found, folder / f"{rank}.pt")
    distributed.leave()


@pytest.fixture(scope="module")
def in_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found, and the folder that they leave."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("processes")
    set_forkserver_preload([__name__, "torch._dynamo"])  # one import for both
    multiprocessing.start_processes(_run, (port, folder), 2, start_method="forkserver")
    found = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    return [one | {"folder": folder} for one in found]


@pytest.mark.parametrize("case", CASES)
def test_two_steps_of_a_method_equal_those_of_one_process(in_two, case):
    alone = two_steps(0, 1, *CASES[case])
    for both in in_two:
        torch.testing.assert_close(both["steps"][case], alone, rtol=1e-7, atol=1e-10)
    for key, gradient in alone["gradients"].items():
        assert "bias" in key or gradient.abs().max() > 0, key


@pytest.mark.parametrize("name", CHUNKED)
def test_two_steps_of_two_processes_in_chunks_equal_those_of_one_whole(in_two, name):
    alone = two_steps(0, 1, name, CHUNKED[name][0])
    for both in in_two:
        torch.testing.assert_close(both["steps in chunks"][name], alone, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_mean_over_processes_and_merls_as_released_has_half_the_gradient(
    in_two, name
):
    _, value, *owed = losses(0, 1)[name]
    for own, mean, *averaged in (both["losses"][name] for both in in_two):
        torch.testing.assert_close(mean, value)
        if name == "as released":
            torch.testing.assert_close(own, value)  # each computes the whole loss
        factor = 2 if name == "as released" else 1
        torch.testing.assert_close([factor * gradient for gradient in averaged], owed)


def test_as_released_merls_batch_norm_sees_the_records_of_its_own_process(in_two):
    zero, one = (both["seen as released"] for both in in_two)
    assert not torch.allclose(zero, one, rtol=0.1)
    torch.testing.assert_close((zero + one) / 2, seen_as_released(0, 1))


def test_pieces_are_made_once_each_and_the_first_process_gets_all(in_two):
    """Also those that each kept on a disk of its own."""
    zero, one = (both["pieces"] for both in in_two)
    assert (zero["made"], one["made"]) == ("|ace|d", "|b|")
    alone = {name: [rank, 1] for name, rank in zip("abcde", (0, 1, 0, 0, 0), strict=True)}
    assert (zero["first"], one["first"]) == (alone, {})
    assert (zero["left"], one["left"]) == (0, 0)


def same_training(one: dict[str, Any], other: dict[str, Any]) -> None:
    """To rounding. What attention adds to every key alike has a gradient of rounding alone, which
    Adam makes as large as any other."""
    torch.testing.assert_close(one["curves"], other["curves"], rtol=1e-4, atol=1e-5)
    for name, value in one["weights"].items():
        if "key_value.bias" not in name and "qkv.bias" not in name:
            torch.testing.assert_close(value, other["weights"][name], rtol=1e-3, atol=1e-5)


def test_the_number_of_processes_changes_no_training(in_two, tmp_path):
    """With dropout, two validation batches, masks of leads and of segments."""
    write_cohort(tmp_path)
    alone = trained(tmp_path)
    assert in_two[1]["trained"] == {}
    same_training(in_two[0]["trained"], alone)
    assert alone["steps"] == 16
    same_training(in_two[0]["in chunks"], alone)


def test_a_node_that_comes_anew_takes_up_what_the_others_have(in_two):
    gone_on, whole = in_two[0]["gone on"], in_two[0]["trained"]
    assert gone_on["steps"] == 16 - 11
    torch.testing.assert_close(gone_on["weights"], whole["weights"], rtol=0, atol=0)


def test_a_node_that_is_left_alone_goes_on_where_both_were(in_two):
    alone = trained(in_two[0]["folder"] / "left")
    assert alone["steps"] == 16 - 11
    same_training(alone, in_two[0]["trained"])
