"""From stored microvolts to what the encoder sees."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Int16, Num
from torch import Tensor

from kmerl.leads import LEADS
from kmerl.params import checked
from kmerl.signal import EPSILON, USUAL, Kind, normalise


@checked
class SignalParams:
    """The `signal` section of params.yaml."""

    normalise: Kind
    over: Literal["available", "global12"]


@dataclass(frozen=True)
class Batch:
    """What pretraining shows a method, on its device: the leads that the mask kept."""

    signal: Float[Tensor, "batch lead sample"]  # normalised
    leads: Int[Tensor, "batch lead"]  # indices into kmerl.leads.LEADS
    text: Float[Tensor, "batch text"]  # vector of the report
    labels: Float[Tensor, "batch query"]  # y of Sec. 3.4
    patient: Int[Tensor, " batch"]  # equal numbers: the same patient


def twelve_leads(
    signal: Float[Tensor, "batch lead sample"], leads: Int[Tensor, "batch lead"]
) -> Float[Tensor, "batch 12 sample"]:
    """The normalised signal on all twelve leads in the standard order, zero where none is given.

    For encoders that read a fixed number of leads: a lead is placed by its name, not its row.
    """
    batch, _, samples = signal.shape
    whole = signal.new_zeros(batch, len(LEADS), samples)
    return whole.scatter(1, leads.unsqueeze(-1).expand(-1, -1, samples), signal)


def normalised(
    signal: Num[np.ndarray, "batch lead sample"],
    whole_range: tuple[np.ndarray, np.ndarray] | None,
    params: SignalParams,
) -> Float[np.ndarray, "batch lead sample"]:
    """Float32 of the leads that are there, brought to one scale.

    Args:
        signal: microvolt.
        whole_range: lowest and highest microvolt (batch,) of all twelve leads; only
            `signal.over: global12` needs it, which is MERL's preprocessing and tells the model
            how large the hidden leads are.

    Raises:
        ValueError: `global12` for a recording whose other leads are not known.
    """
    if params.over == "available" or params.normalise != "minmax":
        return normalise(signal, params.normalise)
    if whole_range is None and signal.shape[1] == len(LEADS):
        whole_range = signal.min(axis=(1, 2)), signal.max(axis=(1, 2))
    if whole_range is None:
        raise ValueError(
            "signal.over is global12, which needs the range of all twelve leads; "
            "train with signal.over: available to read recordings with fewer"
        )
    return normalise(signal, params.normalise, *whole_range)


def normalised_there(
    signal: Int16[Tensor, "batch lead sample"],
    whole_range: tuple[Int16[Tensor, " batch"], Int16[Tensor, " batch"]],
    params: SignalParams,
) -> Float[Tensor, "batch lead sample"]:
    """`normalised` on the device of `signal`, the same to float rounding."""
    values = signal.float()
    if params.normalise == "millivolt":
        return values / 1000
    if params.normalise in ("zscore", "root"):
        mean = signal.mean(dim=(1, 2), keepdim=True, dtype=torch.float64)
        whole = mean.round()  # float32 holds it, and its difference from a voltage, to the bit
        centred = (values - whole.float()) - (mean - whole).float()
        square = centred.square().mean(dim=(1, 2), keepdim=True, dtype=torch.float64)
        deviation = (square.sqrt() + EPSILON).float()
        return centred / (deviation if params.normalise == "zscore" else (deviation * USUAL).sqrt())
    own = signal.amin(dim=(1, 2)), signal.amax(dim=(1, 2))
    low, high = own if params.over == "available" else whole_range
    bottom, top = (one.float()[:, None, None] for one in (low, high))
    return (values - bottom) / (top - bottom + EPSILON)
