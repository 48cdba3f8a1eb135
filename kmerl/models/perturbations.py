"""Changes of a recording that methods for time series and ECGs make their views with.

Signals are taken about their leads' means. Time runs alike in all leads.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from kmerl.models.views import Signal, uniform, white_noise

WANDER = 0.5  # Hz, highest frequency of baseline wander
MUSCLE = (20.0, 150.0)  # Hz, band of an electromyogram that a recorder lets through
MAINS = (50.0, 60.0)  # Hz
ORDER = 4  # of the band-pass: how steep its flanks are


def permute(signal: Signal, most: int, generator: torch.Generator) -> Signal:
    """Each record cut at random into one to `most` segments, put together in a random order, which
    is the same for all its leads."""
    batch, _, samples = signal.shape
    device = signal.device
    count = torch.randint(1, most + 1, (batch, 1), generator=generator)
    cuts = torch.randint(1, max(samples, 2), (batch, most - 1), generator=generator)
    cuts = cuts.masked_fill(torch.arange(1, most) >= count, samples).to(device)
    order = torch.rand(batch, most, generator=generator).argsort(dim=1).to(device)
    place = torch.arange(samples, device=device)
    segment = (place[None, :, None] >= cuts[:, None, :]).sum(dim=2)
    moved = order.gather(1, segment).argsort(dim=1, stable=True)
    return signal.gather(2, moved.unsqueeze(1).expand_as(signal))


def ecg_noise(
    like: Signal, rate: int, low: float, high: float, generator: torch.Generator
) -> Signal:
    """Noise of recordings: wander of the baseline, muscle, mains and white noise, in proportions of
    each record's own, independent between leads.

    Args:
        like: gives shape, type and device, and with its deviation the unit of the noise.
        rate: Hz; a kind of noise that a record of this rate and length cannot hold is left out.
        low, high: dB, range of the signal-to-noise ratio, drawn for each record.
    """
    batch, _, samples = like.shape
    frequency = torch.fft.rfftfreq(samples, 1 / rate, device=like.device, dtype=like.dtype)
    hertz = rate / samples
    mains = torch.tensor(MAINS)[torch.randint(len(MAINS), (batch, 1, 1), generator=generator)]
    away = (frequency - mains.to(like.device, like.dtype)).abs()
    kinds = torch.stack(
        [
            ((frequency > 0) & (frequency <= WANDER)).expand_as(away),
            ((frequency >= MUSCLE[0]) & (frequency <= MUSCLE[1])).expand_as(away),
            (away <= hertz / 2) & (away == away.amin(dim=2, keepdim=True)),
            (frequency > 0).expand_as(away),
        ]
    ).to(like.dtype)
    kinds = kinds / kinds.sum(dim=3, keepdim=True).clamp(min=1)
    power = (uniform(like, (4, batch, 1, 1), 0.05, 1.0, generator) * kinds).sum(dim=0)
    spectrum = torch.fft.rfft(white_noise(like, generator), dim=2) * power.sqrt()
    noise = torch.fft.irfft(spectrum, n=samples, dim=2)
    ratio = 10 ** (-uniform(like, (batch, 1, 1), low, high, generator) / 20)
    return noise * (ratio * deviation(like) / deviation(noise))


def band_pass(signal: Signal, rate: int, low: float, high: float) -> Signal:
    """Frequencies from `low` to `high` Hz, by a Butterworth's gains and without its delays.

    A record goes on beyond its end as its mirror image, so that its end does not meet its start.
    """
    samples = signal.shape[2]
    mirrored = torch.cat([signal, signal.flip(2)], dim=2)
    frequency = torch.fft.rfftfreq(2 * samples, 1 / rate, device=signal.device, dtype=signal.dtype)
    gain = (1 + (frequency / high) ** (2 * ORDER)).rsqrt()
    rising = (frequency / low) ** ORDER
    gain = gain * rising / (1 + rising.square()).sqrt()
    return torch.fft.irfft(torch.fft.rfft(mirrored, dim=2) * gain, dim=2)[..., :samples]


def deviation(signal: Signal) -> Float[Tensor, "batch 1 1"]:
    """Of each record's leads about their means, all leads together; zero becomes one."""
    centred = signal - signal.mean(dim=2, keepdim=True)
    found = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return torch.where(found > 0, found, torch.ones_like(found))
