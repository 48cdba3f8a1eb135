"""One definition of the world, a gather that keeps the gradient, and chance that no split moves."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from torch import Tensor

_by_itself = ContextVar("by itself", default=False)
_parts: ContextVar["Parts | None"] = ContextVar("parts", default=None)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() and not _by_itself.get() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() and not _by_itself.get() else 1


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process is the whole world: for batches that processes deal out whole."""
    before = _by_itself.set(True)
    try:
        yield
    finally:
        _by_itself.reset(before)


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


def leads_node() -> bool:
    """Whether this process keeps the checkpoint of its node, whose disk may be its own."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def on_node() -> int:
    """How many processes this node has."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def join(device: str, patience: timedelta | None = None) -> None:
    """Join the process group that torchrun's environment describes; alone, do nothing.

    Args:
        patience: how long a process may wait for another one; None is torch's default.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=patience)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums what every rank owes this rank's slice."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(world_size())[rank()]


def gather(tensor: Shaped[Tensor, "local ..."]) -> Shaped[Tensor, "whole ..."]:
    """The rows of every rank, in rank order, with gradient to each of them.

    Every rank must hold the same number of rows. With DDP's averaging of gradients, a loss that
    is the mean over *local* rows then has the gradient of the mean over the global batch.
    """
    return _Gather.apply(tensor) if world_size() > 1 else tensor


class _Sum(torch.autograd.Function):
    """All-reduce whose backward adds up what every rank's loss owes the sum."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


def average(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mean over ranks, with gradient to each of them; see `gather` for what that means."""
    return _Sum.apply(tensor) / world_size() if world_size() > 1 else tensor


def own(draw: Callable[[int], Tensor], rows: int) -> Shaped[Tensor, "rows ..."]:
    """This rank's rows of `draw(rows of all ranks)`.

    Every rank draws from a generator in the same state, so that what a record gets, and what the
    next draw gives, does not depend on how many ranks there are; nor, inside `Parts.part`, on how
    many parts they take their records in.
    """
    parts = _parts.get()
    return _own(draw, rows) if parts is None else parts.own(draw)


def shared(draw: Callable[[], Tensor]) -> Tensor:
    """What `draw` gives, the same for all records, from torch's own generator."""
    parts = _parts.get()
    return draw() if parts is None else parts.shared(draw)


def _own(draw: Callable[[int], Tensor], rows: int) -> Tensor:
    return draw(rows * world_size())[rank() * rows :][:rows]


class Parts:
    """A step whose `records` of this rank are read in parts, each any number of times, and get
    what they would together.

    The first part draws for all records; the others have their rows of what it drew, which is held,
    a yes or no as a bit. `generator` passes through each part as it would through the whole.
    """

    def __init__(self, records: int, generator: torch.Generator) -> None:
        self.records, self.generator = records, generator
        self.start = generator.get_state()
        self.drawn: list[tuple[Callable[[slice], Tensor], Tensor]] = []

    @contextmanager
    def part(self, rows: slice) -> Iterator[None]:
        """Inside, `own` answers for these rows alone."""
        self.rows, self.place = rows, 0
        self.generator.set_state(self.start)
        before = _parts.set(self)
        try:
            yield
        finally:
            _parts.reset(before)

    def own(self, draw: Callable[[int], Tensor]) -> Shaped[Tensor, "rows ..."]:
        return self._next(lambda: _own(draw, self.records))(self.rows)

    def shared(self, draw: Callable[[], Tensor]) -> Tensor:
        return self._next(draw)(slice(None))

    def _next(self, draw: Callable[[], Tensor]) -> Callable[[slice], Tensor]:
        if self.place == len(self.drawn):
            self.drawn.append((_held(draw()), self.generator.get_state()))
        held, state = self.drawn[self.place]
        self.place += 1
        self.generator.set_state(state)
        return held


def _held(drawn: Tensor) -> Callable[[slice], Tensor]:
    """What answers with rows of `drawn`, and holds no more than these."""
    if drawn.dtype != torch.bool:
        whole = drawn.clone()
        return lambda rows: whole[rows]
    bits, shape = packed(drawn.flatten(1)), drawn.shape[1:]
    return lambda rows: unpacked(bits[rows], shape.numel()).unflatten(1, shape)


def packed(flags: Bool[Tensor, "row flag"]) -> UInt8[Tensor, "row byte"]:
    """Eight to a byte."""
    whole = F.pad(flags.view(torch.uint8), (0, -flags.shape[1] % 8)).unflatten(1, (-1, 8))
    return (whole << _bits(flags)).sum(dim=2, dtype=torch.uint8)


def unpacked(bits: UInt8[Tensor, "row byte"], count: int) -> Bool[Tensor, "row flag"]:
    """The first `count` flags of each row that `packed` packed."""
    return ((bits.unsqueeze(2) >> _bits(bits)) & 1).bool().flatten(1)[:, :count]


def _bits(like: Tensor) -> Tensor:
    return torch.arange(8, dtype=torch.uint8, device=like.device)


def of_first(data: bytes, device: str) -> bytes:
    """Rank 0's `data` on every rank."""
    if world_size() == 1:
        return data
    size = torch.tensor([len(data)], device=device)
    dist.broadcast(size, 0)
    sent = torch.empty(int(size), dtype=torch.uint8, device=device)
    if is_main() and data:
        sent.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    dist.broadcast(sent, 0)
    return sent.cpu().numpy().tobytes()


def check_same(text: str, device: str, what: str) -> None:
    """
    Raises:
        ValueError: on every rank, if any has another `text` than rank 0; it names those ranks.
    """
    differs = torch.tensor([text.encode() != of_first(text.encode(), device)], device=device)
    others = gather_rows(differs).nonzero().flatten().tolist()
    if others:
        raise ValueError(f"{what} of rank {', '.join(map(str, others))} differ from rank 0's")


def gather_rows(tensor: Shaped[Tensor, "local ..."]) -> Shaped[Tensor, "whole ..."]:
    """The rows of every rank, in rank order, without gradient; ranks may hold different numbers."""
    if world_size() == 1:
        return tensor
    sizes = [torch.zeros(1, dtype=torch.int64, device=tensor.device) for _ in range(world_size())]
    dist.all_gather(sizes, sizes[0].new_tensor([len(tensor)]))
    counts = [int(size) for size in sizes]
    filled = tensor.new_zeros(max(counts), *tensor.shape[1:])
    filled[: len(tensor)] = tensor
    parts = [torch.empty_like(filled) for _ in counts]
    dist.all_gather(parts, filled)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def of_each(value: Any) -> list[Any]:
    """Every rank's `value`, in rank order, on every rank: for names and counts."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found


def to_first(values: Sequence[Any]) -> Iterator[Any]:
    """The values of every rank, on rank 0 alone; one of each rank is on its way at a time."""
    if world_size() == 1:
        yield from values
        return
    for number in range(max(of_each(len(values)))):
        found: list[Any] | None = [None] * world_size() if is_main() else None
        dist.gather_object(values[number : number + 1], found)
        for one in found or ():
            yield from one


def wait() -> None:
    """Until every rank is here."""
    if world_size() > 1:
        dist.barrier()


def total(values: Tensor) -> Tensor:
    """The sum over ranks, without gradient: for logging."""
    return _Sum.apply(values.detach()) if world_size() > 1 else values.detach()
