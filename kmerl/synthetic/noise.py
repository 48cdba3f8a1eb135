"""What electrodes pick up besides the heart: muscle, breath and movement, mains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kmerl.synthetic.body import ELECTRODES
from kmerl.synthetic.waves import Array

Random = np.random.Generator
Potentials = NDArray[np.float32]


@dataclass(frozen=True)
class Site:
    """One hospital's recordings.

    Attributes:
        mains: Hz of the power line.
        hum: mV, typical amplitude of the line at an electrode, after the cart's filter.
        muscle: mV, typical standard deviation of muscle noise at an electrode.
        wander: mV, typical standard deviation of the slow drift of an electrode.
        gain: amplifier gain, 1 is exact.
        poor: share of recordings of poor quality.
    """

    mains: float
    hum: float
    muscle: float
    wander: float
    gain: float
    poor: float


SITES: dict[str, Site] = {
    "mimic-iv-ecg": Site(60.0, 0.0015, 0.006, 0.020, 1.00, 0.04),
    "ptb-xl": Site(50.0, 0.004, 0.008, 0.045, 0.96, 0.05),
    "cpsc2018": Site(50.0, 0.003, 0.009, 0.040, 1.03, 0.03),
    "csn": Site(50.0, 0.002, 0.007, 0.025, 1.02, 0.03),
}


@dataclass(frozen=True)
class Noise:
    """How noisy one recording is; multipliers of the site's typical values."""

    muscle: float
    wander: float
    hum: float
    poor: bool


def draw_noise(rng: Random, site: Site) -> Noise:
    """One recording's share of the site's noise; a poor one has three to five times as much."""
    poor = bool(rng.random() < site.poor)
    worse = rng.uniform(3, 5) if poor else 1.0
    muscle, wander, hum = np.exp(rng.normal(0, [0.45, 0.5, 0.7])) * worse
    return Noise(float(muscle), float(wander), float(hum), poor)


def at_electrodes(rng: Random, site: Site, noise: Noise, samples: int, rate: int) -> Potentials:
    """(9, samples) mV at ELECTRODES, float32."""
    out = _muscle(rng, site.muscle * noise.muscle, samples)
    out += _wander(rng, site.wander * noise.wander, samples, rate)
    out += _hum(rng, site.hum * noise.hum, site.mains, samples, rate)
    return out


def _muscle(rng: Random, size: float, samples: int) -> Potentials:
    """Noise above some 20 Hz, each electrode with its own share, in bursts that come and go."""
    white = rng.standard_normal((len(ELECTRODES), samples + 1), dtype=np.float32)
    coloured = white[:, 1:] - np.float32(0.4) * white[:, :-1]
    share = np.exp(rng.normal(0, 0.3, (len(ELECTRODES), 1))) * size / np.sqrt(1.16)
    envelope = _stretched(np.exp(rng.normal(0, 0.25, (1, 12))), samples)
    coloured *= share.astype(np.float32)
    coloured *= envelope
    return coloured


def _wander(rng: Random, size: float, samples: int, rate: int) -> Potentials:
    """Breath (0.15-0.35 Hz) and slow drift, each electrode with its own mixture.

    Drawn at 25 points a second and joined by straight lines.
    """
    points = samples * 25 // rate + 1
    frequencies = np.concatenate([rng.uniform(0.15, 0.35, 1), rng.uniform(0.03, 0.6, 5)])
    angle = 2 * np.pi * frequencies[:, None] * np.arange(points) / 25
    basis = np.concatenate([np.sin(angle), np.cos(angle)])
    weight = np.tile(1 / (0.4 + frequencies), 2)
    mixture = rng.normal(0, 1, (len(ELECTRODES), len(basis))) * weight
    scale = size / np.sqrt((weight**2).sum() / 2)
    return _stretched((mixture * scale) @ basis, samples)


def _hum(rng: Random, size: float, mains: float, samples: int, rate: int) -> Potentials:
    """The power line, a little off its frequency, with its own phase at each electrode."""
    turns = mains * (1 + rng.normal(0, 2e-4)) / rate * np.arange(samples)
    angle = (2 * np.pi * (turns % 1)).astype(np.float32)
    basis = np.stack([np.sin(angle), np.cos(angle)])
    mixture = rng.normal(0, size / np.sqrt(2), (len(ELECTRODES), 2)).astype(np.float32)
    return np.asarray(mixture @ basis)


def _stretched(points: Array, samples: int) -> Potentials:
    """(row, point) -> (row, samples): straight lines between evenly spaced points."""
    count = points.shape[1]
    place = np.linspace(0, count - 1, samples)
    left = np.minimum(place.astype(int), count - 2)
    share = (place - left).astype(np.float32)
    rows = points.astype(np.float32)
    steps = np.diff(rows, axis=1)
    return np.asarray(rows[:, left] + share * steps[:, left])
