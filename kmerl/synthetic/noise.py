"""What electrodes pick up besides the heart: muscle, breath and movement, mains.

Noise is not drawn sample by sample but cut out of long stretches that are made once a process: a
stretch has the spectrum, a cut its own place and its own size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from kmerl.files import read_yaml
from kmerl.params import Positive, PositiveOrZero, Share, build, checked
from kmerl.synthetic.body import ELECTRODES
from kmerl.synthetic.waves import Array, Signal

Random = np.random.Generator
Spread = tuple[Positive, PositiveOrZero]
Event = Literal["burst", "motion", "step", "loose", "dropped"]
Swap = Literal["RA-LA", "LA-LL", "RA-LL", "V1-V2", "V1-V3", "V4-V5", "RA-RL"]

RATE = 500  # Hz
SLOW = (
    25  # samples between two points of what is slow, joined by straight lines: 20 points a second
)
LIMBS = 3  # of ELECTRODES: arms and leg
FAST_STRETCH, SLOW_STRETCH = 2**17, 2**15  # samples of a stretch (262 s), points of a slow one
COLOURS = 3  # spectra of muscle, from the tremor of a limb to an amplifier's hiss


@checked
class Site:
    """One hospital's recordings (sites.yaml). A pair of microvolts is a median and a spread.

    Attributes:
        mains: Hz of the power line, weighted.
        hum: microvolts of the line at an electrode, after the cart's notch.
        limb, chest: microvolts (rms) of muscle and hiss at an electrode of an arm or leg, of the
            chest.
        uneven: spread of all these between the electrodes of one recording.
        drift: microvolts (rms) of an electrode's slow drift, before the cart's filter.
        breath: microvolts (rms) of what breath does to an electrode.
        events: share of recordings with each: a burst of muscle, a movement, a step of an
            electrode's voltage, an electrode that is loose for a while, or off.
        poor: share of recordings of poor quality.
        high_pass, low_pass: Hz of the cart's filters, weighted.
        zero_phase: share of carts whose high-pass shifts no phase; others are of first order.
        step: microvolts of a step of the converter, weighted.
        gain: mean and deviation of a channel's amplifier, 1 is exact.
        swaps: share of recordings with two wires exchanged; RL is the one that measures nothing.
    """

    mains: dict[Positive, PositiveOrZero]
    hum: Spread
    limb: Spread
    chest: Spread
    uneven: PositiveOrZero
    drift: Spread
    breath: Spread
    events: dict[Event, Share]
    poor: Share
    high_pass: dict[Positive, PositiveOrZero]
    zero_phase: Share
    low_pass: dict[Annotated[int, Field(gt=0, lt=RATE // 2)], PositiveOrZero]
    step: dict[Positive, PositiveOrZero]
    gain: Spread
    swaps: dict[Swap, Share]


SITES = build(
    dict[str, Site],
    read_yaml(resources.files("kmerl.synthetic") / "sites.yaml"),
    "kmerl/synthetic/sites.yaml: ",
)


@dataclass(frozen=True)
class Noise:
    """How noisy one recording is; multipliers of the site's typical values."""

    muscle: float
    wander: float
    hum: float
    poor: bool


def draw_noise(rng: Random, site: Site, poor: bool | None = None) -> Noise:
    """One recording's share of the site's noise; a poor one has three to five times as much.

    Args:
        poor: whether it is; by default the site's share of them is.
    """
    if poor is None:
        poor = bool(rng.random() < site.poor)
    worse = rng.uniform(3, 5) if poor else 1.0
    spreads = [max(site.limb[1], site.chest[1]), site.drift[1], site.hum[1]]
    muscle, wander, hum = np.exp(rng.normal(0, spreads)) * worse
    return Noise(float(muscle), float(wander), float(hum), poor)


def fast(rng: Random, site: Site, noise: Noise, low_pass: int, out: Signal) -> Array:
    """Fill `out` with muscle at each electrode, of unit size; (9,) mV is how large each is."""
    colours, count = rng.integers(COLOURS, size=2).tolist(), out.shape[1]
    starts = rng.integers(FAST_STRETCH - count, size=len(out)).tolist()
    for row, start in enumerate(starts):
        out[row] = _muscle(low_pass, colours[row >= LIMBS])[start : start + count]
    sizes = np.full(len(out), site.chest[0])
    sizes[:LIMBS] = site.limb[0]
    if rng.random() < site.events.get("burst", 0):
        _burst(rng, out[: LIMBS if rng.random() < 0.7 else len(out)], count)
    return sizes * noise.muscle * np.exp(rng.normal(0, site.uneven, len(out))) / 1000


def hum(rng: Random, site: Site, noise: Noise, mains: float, out: Signal) -> Array:
    """Fill `out`, (3, sample), with the line and its harmonics; (9, 3) mV is what each electrode
    has of them."""
    count = out.shape[1]
    start = int(rng.integers(FAST_STRETCH - count - 3))
    line = _line(mains)
    for row, later in enumerate((0, 3, 0)):  # a third of a turn later: any phase is a mixture
        out[row] = line[row // 2, start + later : start + later + count]
    mixture = rng.normal(0, site.hum[0] * noise.hum / 1000, (len(ELECTRODES), 3))
    mixture[:, 2] *= rng.uniform(0, 0.5)
    return mixture


def slow(rng: Random, site: Site, noise: Noise, points: int) -> Array:
    """(9, `points`) mV of drift, breath and movement at ELECTRODES, SLOW samples apart."""
    rows = len(ELECTRODES)
    starts = rng.integers(SLOW_STRETCH - points, size=rows + 1)
    cuts = _drift()[starts[:rows, None] + np.arange(points)]
    uneven = np.exp(rng.normal(0, site.uneven, (rows, 2)))
    breath = _breath()[starts[-1] : starts[-1] + points]
    sizes = uneven * [site.drift[0], site.breath[0]] * noise.wander / 1000
    sizes[:, 1] *= np.sign(rng.random(rows) - 0.5)
    out = sizes[:, :1] * cuts + sizes[:, 1:] * breath
    seconds = np.arange(points) * (SLOW / RATE)
    if rng.random() < site.events.get("step", 0):
        moment, size = rng.uniform(0, seconds[-1]), 0.2 * np.exp(rng.normal(0, 0.8))
        out[rng.integers(rows)] += size / (1 + np.exp(np.clip((moment - seconds) / 0.03, -50, 50)))
    if rng.random() < site.events.get("motion", 0):
        for _ in range(int(rng.integers(1, 4))):
            place = (seconds - rng.uniform(0, seconds[-1])) / rng.uniform(0.06, 0.5)
            shape = np.exp(-0.5 * place**2) * (place if rng.random() < 0.5 else 1)
            out[rng.integers(rows)] += 0.25 * np.exp(rng.normal(0, 0.8)) * shape
    return np.asarray(out)


def _burst(rng: Random, rows: Signal, count: int) -> None:
    """For a while, some electrodes have several times the noise."""
    chosen = rng.random(len(rows)) < 0.6
    for _ in range(int(rng.integers(1, 4))):
        width = int(min(rng.uniform(0.2, 3.0) * RATE, count))
        start = int(rng.integers(count - width + 1))
        more = 1 + rng.uniform(2, 10) * np.hanning(width)
        rows[chosen, start : start + width] *= more.astype(np.float32)


def _shaped(count: int, rate: float, name: int, response: Callable[[Array], Array]) -> Signal:
    """White noise behind a filter: a ring of `count` samples, of unit size before the filter."""
    white = np.random.default_rng([19, name]).standard_normal(count)
    frequency = np.asarray(np.fft.rfftfreq(count, 1 / rate), np.float64)
    filtered = np.fft.rfft(white) * response(frequency)
    return np.asarray(np.fft.irfft(filtered, count), np.float32)


@cache
def _muscle(low_pass: int, colour: int) -> Signal:
    """Noise from 10 Hz up that falls slowly, or hardly (colour 0, 1, 2), and comes and goes."""

    def response(frequency: Array) -> Array:
        rise = (frequency / 12) ** 2 / (1 + (frequency / 12) ** 2)
        return rise / (1 + (frequency / 35) ** (2.0, 1.3, 0.3)[colour])

    def behind_cart(frequency: Array) -> Array:
        return response(frequency) / np.sqrt(1 + (frequency / low_pass) ** 6)

    size = float(_shaped(FAST_STRETCH, RATE, colour, response).std())
    envelope = np.exp(_shaped(FAST_STRETCH, RATE, 10, lambda f: 8.0 / (1 + (f / 0.3) ** 2)))
    return (_shaped(FAST_STRETCH, RATE, colour, behind_cart) * envelope / size).astype(np.float32)


@cache
def _line(mains: float) -> Signal:
    """(2, sample): the power line, a little off its frequency, and its third harmonic."""
    slip = np.cumsum(np.random.default_rng([19, 20]).normal(0, 2e-4, FAST_STRETCH))
    turns = 2 * np.pi * (mains / RATE * np.arange(FAST_STRETCH) + slip)
    return np.stack([np.sin(turns), np.sin(3 * turns)]).astype(np.float32)


@cache
def _drift() -> Signal:
    """Slow drift of unit size: the slower the larger, down to 0.03 Hz."""
    return _unit(_shaped(SLOW_STRETCH, RATE / SLOW, 30, lambda f: 1 / (0.03 + f) ** 1.3))


@cache
def _breath() -> Signal:
    """Breath of unit size, 0.15 to 0.4 Hz, never twice the same."""
    return _unit(
        _shaped(SLOW_STRETCH, RATE / SLOW, 31, lambda f: np.exp(-0.5 * ((f - 0.26) / 0.07) ** 2))
    )


def _unit(signal: Signal) -> Signal:
    return np.asarray(signal / signal.std())
