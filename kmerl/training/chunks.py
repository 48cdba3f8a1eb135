"""A batch larger than the memory: its records are read in chunks, with the whole batch's gradient.

Gradient caching (Gao et al., 2021, arXiv 2101.06983): each chunk is read without keeping what a
gradient needs; the losses see the representations of the whole batch, of all processes; then each
chunk is read again for its share of the gradient. The second reading is torch's activation
checkpointing, of a chunk at a time, so that to the optimiser, the scaler and DDP a step is one
forward and one backward pass.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kmerl.distributed import Parts
from kmerl.methods import Method, RecordByRecord
from kmerl.models.inputs import Batch
from kmerl.models.norm import BatchNorm
from kmerl.params import ParamsError


def in_chunks(model: Method, records: int, batch: int) -> nn.Module:
    """`model`, or where a process's `batch` is of more records, and `records` is not 0, what reads
    it so many at a time.

    Raises:
        ParamsError: what the method makes of a record depends on the others of its batch.
    """
    if model.untrained or not 0 < records < batch:
        return model
    if why := _not_by_itself(model):
        raise ParamsError(
            f"runtime.chunk={records}: {why}; set runtime.chunk: 0, or lower pretrain.batch"
        )
    return InChunks(model, records)


class InChunks(nn.Module):
    """A method's loss terms, reading at most `records` of a batch at a time."""

    def __init__(self, model: Method, records: int) -> None:
        super().__init__()
        self.model, self.records = model, records

    def forward(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """What `model` answers, to rounding, and all that it draws."""
        method = cast(RecordByRecord, self.model)
        parts = Parts(len(batch.signal), generator)

        def represent(rows: slice) -> Mapping[str, Tensor]:
            with parts.part(rows):
                return method.represent(part(batch, rows), generator)

        # What chance there is comes from `parts`, in the second reading too.
        found = [
            checkpoint(represent, rows, use_reentrant=False, preserve_rng_state=False)
            for rows in pieces(len(batch.signal), self.records)
        ]
        whole = {name: torch.cat([one[name] for one in found]) for name in found[0]}
        return method.compare(whole, batch, generator)


def _not_by_itself(model: Method) -> str:
    if not isinstance(model, RecordByRecord):
        return "this method reads its batch as a whole"
    if any(isinstance(module, BatchNorm) for module in model.encoder.modules()):
        return "the batch norm of this encoder reads its batch as a whole"
    return ""


def pieces(count: int, most: int) -> Iterator[slice]:
    """All of so many rows, `most` at a time; 0 is all at a time."""
    step = most or count
    return (slice(start, start + step) for start in range(0, count, step))


def part(batch: Batch, rows: slice) -> Batch:
    """Some of a batch's records."""
    columns = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return Batch(**{name: column[rows] for name, column in columns.items()})
