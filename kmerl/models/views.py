"""Random views of a recording, for methods that learn what two views have in common.

Amplitudes are in units of the record's deviation, and what is blanked becomes the lead's mean, so
that a view does not depend on how signals are normalised. Time runs alike in all leads.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kmerl.distributed import own
from kmerl.params import Factor, PositiveOrZero, ShareAboveZero, ShareBelowOne, checked

Signal = Float[Tensor, "batch lead sample"]


@checked
class ViewOptions:
    """How views are drawn; a method's `Options` may inherit these.

    Time crop and time-out are the best pair of augmentations of Mehari and Strodthoff (2022) for
    contrastive learning of ECGs, with their ranges. Gain and noise are milder than in their code
    (gain up to 2), because the electrical axis lies in the ratios of leads.
    """

    crop: ShareAboveZero = 0.5  # smallest share of the record that a view keeps; 1 keeps all
    stretch: bool = True  # the kept share fills the record, which changes the heart rate
    gain: Factor = 1.25  # each lead times 1/gain to gain; 1 leaves them
    noise: PositiveOrZero = 0.1  # largest deviation of white noise, of the record's own
    time_out_min: ShareBelowOne = 0.2  # share of the record that is blanked in all leads
    time_out_max: ShareBelowOne = 0.4

    def __post_init__(self) -> None:
        if self.time_out_min > self.time_out_max:
            raise ValueError(f"time_out_min must not be above time_out_max={self.time_out_max}")


def two_views(
    signal: Signal, options: ViewOptions, generator: torch.Generator
) -> tuple[Signal, Signal]:
    """Two views of each record, drawn apart."""
    return view(signal, options, generator), view(signal, options, generator)


def view(signal: Signal, options: ViewOptions, generator: torch.Generator) -> Signal:
    """One random view of each record: cropped, scaled, noisy, and blank for a while.

    Args:
        signal: normalised; all leads of a record are cropped and blanked together.
        generator: CPU generator, the only source of randomness on any device.
    """
    level = signal.mean(dim=2, keepdim=True)
    deviation = signal.std(dim=(1, 2), keepdim=True, correction=0)
    changed = crop(signal - level, options.crop, options.stretch, generator)
    changed = scale(changed, options.gain, generator)
    changed = changed + deviation * noise(changed, options.noise, generator)
    changed = time_out(changed, options.time_out_min, options.time_out_max, generator)
    return changed + level


def crop(signal: Signal, smallest: float, stretch: bool, generator: torch.Generator) -> Signal:
    """A random stretch of `smallest` to all of each record, interpolated to its length, or, without
    `stretch`, at its own speed and followed by zeros."""
    batch, _, samples = signal.shape
    share = uniform(signal, (batch, 1), smallest, 1.0, generator)
    start = uniform(signal, (batch, 1), 0.0, 1.0, generator) * (1 - share)
    steps = torch.arange(samples, device=signal.device, dtype=signal.dtype)
    speed = share if stretch else torch.ones_like(share)
    place = start * (samples - 1) + steps * speed
    inside = (steps * speed <= share * (samples - 1)).to(signal.dtype)
    before = place.floor().clamp(max=samples - 1)
    left, right = before.long(), (before.long() + 1).clamp(max=samples - 1)
    weight = (place - before).unsqueeze(1)
    return torch.lerp(_take(signal, left), _take(signal, right), weight) * inside.unsqueeze(1)


def scale(signal: Signal, gain: float, generator: torch.Generator) -> Signal:
    """Each lead times its own factor, log-uniform between 1/gain and gain."""
    exponent = uniform(signal, (*signal.shape[:2], 1), -1.0, 1.0, generator)
    return signal * gain**exponent


def noise(signal: Signal, largest: float, generator: torch.Generator) -> Signal:
    """White noise of the signal's shape, its deviation uniform in 0 to `largest` a record."""
    deviation = uniform(signal, (len(signal), 1, 1), 0.0, largest, generator)
    return deviation * white_noise(signal, generator)


def white_noise(like: Signal, generator: torch.Generator) -> Signal:
    """Unit deviation. Sixty thousand numbers a record are drawn where the signal is, from a seed
    of `generator` for each."""
    seeds = own(lambda rows: torch.randint(2**62, (rows,), generator=generator), len(like))
    noise = torch.empty_like(like)
    for row, seed in zip(noise, seeds.tolist(), strict=True):
        row.normal_(generator=torch.Generator(like.device).manual_seed(seed))
    return noise


def time_out(signal: Signal, least: float, most: float, generator: torch.Generator) -> Signal:
    """Zero in all leads for one span of `least` to `most` of each record."""
    batch, _, samples = signal.shape
    share = uniform(signal, (batch, 1), least, most, generator)
    start = uniform(signal, (batch, 1), 0.0, 1.0, generator) * (1 - share)
    place = (torch.arange(samples, device=signal.device) + 0.5) / samples
    shown = (place < start) | (place >= start + share)
    return signal * shown.to(signal.dtype).unsqueeze(1)


def deviation(signal: Signal) -> Float[Tensor, "batch 1 1"]:
    """Of each record's leads about their means, all leads together; zero becomes one."""
    centred = signal - signal.mean(dim=2, keepdim=True)
    found = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return torch.where(found > 0, found, torch.ones_like(found))


def _take(signal: Signal, place: Tensor) -> Tensor:
    return signal.gather(2, place.unsqueeze(1).expand(-1, signal.shape[1], -1))


def uniform(
    like: Tensor, shape: tuple[int, ...], low: float, high: float, generator: torch.Generator
) -> Tensor:
    """Uniform numbers from a CPU generator, of `like`'s device and type; a row a record."""
    drawn = own(lambda rows: torch.rand(rows, *shape[1:], generator=generator), shape[0])
    return (drawn * (high - low) + low).to(like.device, like.dtype)
