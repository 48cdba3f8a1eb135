"""Losses against loops, and two gloo processes against one, in value and gradient."""

import math
import os
import socket
import tempfile
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from kmerl import distributed
from kmerl.losses import LossParams, contrastive_loss, query_loss
from kmerl.methods.kmerl import Method, MethodParams
from kmerl.models.inputs import Batch
from kmerl.models.masking import MaskParams
from kmerl.models.query import QueryParams
from kmerl.models.vit import EncoderParams


def loop_contrast(ecg, text, temperature):
    """Eq. 2 with the positive in the denominator, both directions, one pair at a time."""
    total = 0.0
    for a, b in ((ecg, text), (text, ecg)):
        for i in range(len(a)):
            scores = [
                float(a[i] @ b[j] / a[i].norm() / b[j].norm()) / temperature for j in range(len(b))
            ]
            total += -scores[i] + math.log(sum(math.exp(s) for s in scores))
    return total / (2 * len(ecg))


@pytest.mark.parametrize(("size", "temperature"), [(1, 0.07), (5, 0.07), (8, 1.0)])
def test_contrastive_loss_equals_the_loop(size, temperature):
    generator = torch.Generator().manual_seed(size)
    ecg, text = (torch.randn(size, 6, generator=generator) for _ in range(2))
    expected = loop_contrast(ecg, text, temperature)
    assert float(contrastive_loss(ecg, text, temperature)) == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


def test_contrastive_loss_ignores_scale_and_joint_order():
    generator = torch.Generator().manual_seed(0)
    ecg, text = (torch.randn(6, 4, generator=generator) for _ in range(2))
    order = torch.tensor([2, 5, 0, 1, 4, 3])
    base = contrastive_loss(ecg, text, 0.1)
    torch.testing.assert_close(contrastive_loss(3 * ecg, text, 0.1), base)
    torch.testing.assert_close(contrastive_loss(ecg[order], text[order], 0.1), base)


def test_contrastive_loss_of_matching_pairs_is_small():
    eye = torch.eye(8)
    assert contrastive_loss(eye, eye, 0.07) < 1e-4
    assert contrastive_loss(eye, eye.roll(1, 0), 0.07) > 10


def test_query_loss_equals_the_loop():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, generator=generator)
    labels = (torch.rand(3, 4, generator=generator) > 0.5).float()
    total = 0.0
    for row in range(3):
        for column in range(4):
            p = 1 / (1 + math.exp(-float(logits[row, column])))
            total -= math.log(p if labels[row, column] else 1 - p)
    assert float(query_loss(logits, labels)) == pytest.approx(total / 12, rel=1e-5)


def small_method(**loss):
    torch.manual_seed(0)
    weights = {"contrast": 1.0, "query": 1.0, "temperature": 0.07, **loss}
    params = MethodParams(
        encoder=EncoderParams("nano", 100, True, True),
        mask=MaskParams("dynamic", 9, 11, "group", 0.0, True),
        query_network=QueryParams(16, 1, 4, 16, 0.0, True),
        loss=LossParams(**weights),
    )
    return Method(params, torch.randn(5, 12), record_samples=500)


def batch_of(rows):
    generator = torch.Generator().manual_seed(1)
    whole = Batch(
        signal=torch.randn(8, 2, 500, generator=generator),
        leads=torch.tensor([[0, 6]]).repeat(8, 1),
        text=torch.randn(8, 12, generator=generator),
        labels=(torch.rand(8, 5, generator=generator) > 0.5).float(),
    )
    return Batch(*(getattr(whole, name)[rows] for name in ("signal", "leads", "text", "labels")))


def gradients(model):
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_weights_of_zero_remove_their_term():
    batch = batch_of(slice(0, 4))
    generator = torch.Generator()
    assert set(small_method(contrast=0.0)(batch, generator)) == {"query"}
    assert set(small_method(query=0.0)(batch, generator)) == {"contrast"}
    both, double = small_method()(batch, generator), small_method(query=2.0)(batch, generator)
    torch.testing.assert_close(double["query"], 2 * both["query"])


def train_half(rank, port, folder):
    """One of two processes: half of the batch, gradients averaged by DDP."""
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    distributed.join("cpu")
    model = small_method()
    network = torch.nn.parallel.DistributedDataParallel(model)
    terms = network(batch_of(slice(4 * rank, 4 * rank + 4)), torch.Generator())
    torch.stack(list(terms.values())).sum().backward()
    if distributed.is_main():
        torch.save(gradients(model), Path(folder) / "gradients.pt")
    values = {name: distributed.mean(value) for name, value in terms.items()}
    torch.save(values, Path(folder) / f"values{rank}.pt")
    distributed.leave()


def test_two_processes_equal_one_in_value_and_gradient():
    model = small_method()
    terms = model(batch_of(slice(0, 8)), torch.Generator())
    torch.stack(list(terms.values())).sum().backward()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(train_half, args=(port, folder), nprocs=2)
        theirs = torch.load(Path(folder) / "gradients.pt", weights_only=True)
        values = [torch.load(Path(folder) / f"values{r}.pt", weights_only=True) for r in (0, 1)]
    for name, value in terms.items():
        for rank in (0, 1):
            torch.testing.assert_close(values[rank][name], value.detach(), atol=1e-5, rtol=1e-5)
    ours = gradients(model)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs[name], gradient, atol=2e-5, rtol=1e-3)
        if "bias" not in name:
            assert gradient.abs().max() > 0
