"""What a training step holds at its peak, whole and in chunks (`runtime.chunk`).

    python -m benchmarks.memory [--params params/paper.yaml] [--method kmerl] [--records 4096]
                                [--chunks 0 512 64] [--real]

Every storage that an operation makes is counted from its birth to its end: weights, gradients, the
batch, what the backward pass needs, results on their way; not AdamW's two numbers a weight, nor
what a kernel takes for itself. Tensors are torch's fake ones, which have shapes and lifetimes and
no numbers, so that the paper's batch is counted on any machine; `--real` has numbers, for as many
records as this machine holds. One device, the section `pretrain.precision`, as many leads as the
mask shows at most. One JSON document.
"""

import argparse
import contextlib
import json
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kmerl import params
from kmerl.cost.steps import Step, leads_shown
from kmerl.models.inputs import Batch
from kmerl.training.chunks import in_chunks
from kmerl.training.optimiser import autocast
from kmerl.training.session import described

NAMES, TEXT_WIDTH = 277, 768  # of the paper's entities, and of MedCPT's vectors


class Held(TorchDispatchMode):
    """Bytes of all storages that operations made and that are still there; `peak`, the most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, torch.Tensor):
                self._add(leaf.untyped_storage())
        return found

    def _add(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self.known:
            return
        size = storage.nbytes()
        self.known.add(id(storage))
        weakref.finalize(storage, self._end, id(storage), size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _end(self, known: int, size: int) -> None:
        self.known.discard(known)
        self.now -= size


def peak(values: Mapping[str, Any], records: int, chunk: int, real: bool = False) -> int:
    """Bytes that a step of so many records holds at most.

    Args:
        values: all of params.yaml.
        real: compute it too.
    """
    config = described(values, ("entity",) * NAMES, TEXT_WIDTH)
    precision = values["pretrain"]["precision"]
    step = Step("train", config, records, leads_shown(config)[-1:], precision)
    model, (batch,) = step.ready("cpu" if real else "meta", records)
    fake = contextlib.nullcontext() if real else FakeTensorMode(allow_non_fake_inputs=True)
    with fake, Held() as held:
        model.to_empty(device="cpu")
        columns = vars(batch)
        batch = Batch(**{name: torch.zeros_like(c, device="cpu") for name, c in columns.items()})
        network = in_chunks(model, chunk, records)
        with autocast(precision, "cpu"):
            terms = network(batch, torch.Generator().manual_seed(0))
        torch.stack(list(terms.values())).sum().backward()
    return held.peak


def main() -> None:
    """Count, and print the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", type=Path, default=Path("params/paper.yaml"))
    parser.add_argument("--method", default="kmerl", help="merl: with its ViT")
    parser.add_argument("--records", type=int, default=4096)
    parser.add_argument("--chunks", type=int, nargs="+", default=[0, 512, 64])
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    values = params.read(given.params)
    options = {"backbone": "vit"} if given.method == "merl" else {}
    values |= {"method": given.method, "options": options}
    found = {
        f"chunk {chunk}": round(peak(values, given.records, chunk, given.real) / 2**30, 2)
        for chunk in given.chunks
    }
    print(json.dumps({"method": given.method, "records": given.records, "GiB": found}, indent=1))


if __name__ == "__main__":
    main()
