"""What must not depend on the number of processes: two gloo processes run every case and are
compared with one, in values, in gradients and in what a step leaves."""

import os
import socket
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from kmerl import distributed
from kmerl.training.session import Session
from tests.cohorts import read_rows, write_cohort
from tests.gradients import generator, pairs_of_views, total
from tests.methods import RECORDS, TRAINED_NAMES, batch, small
from tests.test_losses import LOSSES
from tests.test_training import values

PATIENTS = torch.tensor([3, 8, 3, 1, 8, 3])  # a patient's records on both sides
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in TRAINED_NAMES}
CASES["clocs of leads"] = "clocs", {"views": "cmlc", "leads": 2}


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
    rank: int, processes: int, name: str, options: dict[str, Any]
) -> dict[str, dict[str, Tensor]]:
    """Loss terms, gradients and state after two steps on this process's rows, in float64."""
    model = small(name, **options).double()
    network: nn.Module = model
    if processes > 1:
        network = DistributedDataParallel(model, find_unused_parameters=True)
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


def trained(root: Path) -> dict[str, Any]:
    """Weights and curves of a training in `root`, a folder that no other process has."""
    changes = {"query_network__dropout": 0.2, "pretrain__batch": 4, "pretrain__epochs": 2}
    write_cohort(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kmerl.training.session._live", lambda: None)
        patch.chdir(root)
        Session.from_params(values(**changes), Path("data")).train(root, "cpu")
    if not distributed.is_main():
        return {}
    curves = [[float(v) for v in row.values()] for row in read_rows(root / "plots/pretrain.csv")]
    return {"weights": load_file(root / "models/model.safetensors"), "curves": torch.tensor(curves)}


def _run(rank: int, port: int, folder: Path) -> None:
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    distributed.join("cpu")
    found = {
        "steps": {key: two_steps(rank, 2, *case) for key, case in CASES.items()},
        "losses": losses(rank, 2),
        "seen as released": seen_as_released(rank, 2),
        "trained": trained(folder / f"of {rank}"),
    }
    torch.save(found, folder / f"{rank}.pt")
    distributed.leave()


@pytest.fixture(scope="module")
def in_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("processes")
    set_forkserver_preload([__name__, "torch._dynamo"])  # one import for both
    multiprocessing.start_processes(_run, (port, folder), 2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("case", CASES)
def test_two_steps_of_a_method_equal_those_of_one_process(in_two, case):
    alone = two_steps(0, 1, *CASES[case])
    for both in in_two:
        torch.testing.assert_close(both["steps"][case], alone, rtol=1e-7, atol=1e-10)
    for key, gradient in alone["gradients"].items():
        assert "bias" in key or gradient.abs().max() > 0, key


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


def test_a_training_is_the_same_in_two_processes_to_rounding(in_two, tmp_path):
    """With dropout, two validation batches, masks of leads and of segments. What attention adds to
    every key alike has a gradient of rounding alone, which Adam makes as large as any other."""
    both, alone = in_two[0]["trained"], trained(tmp_path)
    assert not in_two[1]["trained"]
    torch.testing.assert_close(both["curves"], alone["curves"], rtol=1e-4, atol=1e-5)
    for found in (both, alone):
        for name, tensor in found["weights"].items():
            if "key_value.bias" in name or "qkv.bias" in name:
                tensor.zero_()
    torch.testing.assert_close(both["weights"], alone["weights"], rtol=1e-3, atol=1e-5)
