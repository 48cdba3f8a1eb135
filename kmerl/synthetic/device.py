"""The cart: wires, filters, converter; from the heart's dipole to twelve leads of integers.

All of it is linear up to the converter, and the same in every lead, so that filters act on the
three components of the dipole and on the noise, not on the leads. What is slow, and what a
high-pass takes away, is computed at 20 points a second.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kmerl.synthetic import noise as noises
from kmerl.synthetic.body import EIGHT, ELECTRODES, twelve
from kmerl.synthetic.draws import pick_weighted
from kmerl.synthetic.noise import RATE, SLOW, Noise, Random, Site
from kmerl.synthetic.waves import Array, Signal

HEART = slice(0, 6)
MUSCLE = slice(6, 15)
LINE = slice(15, 18)
ROWS = 18  # of what is mixed to leads: both dipoles, muscle at each electrode, the power line
_WIRES = {name: number for number, name in enumerate(ELECTRODES)} | {"RL": 2}  # legs are alike


@dataclass(frozen=True)
class Device:
    """One recording's cart.

    Attributes:
        high_pass, low_pass: Hz; `zero_phase` of the first.
        mains: Hz.
        step: microvolts of a step of the converter.
        gains: (8, 1), of the channels.
        wires: (9,) the place on the body at which each of ELECTRODES is.
    """

    high_pass: float
    zero_phase: bool
    low_pass: int
    mains: float
    step: float
    gains: Array
    wires: NDArray[np.int_]

    @property
    def blur(self) -> float:
        """Seconds: the width of the Gaussian that has the low-pass's 3 dB."""
        return float(np.sqrt(np.log(2)) / (2 * np.pi * self.low_pass))


def draw_device(rng: Random, site: Site) -> Device:
    """The cart, and the hands that placed its electrodes, of one recording."""
    wires = np.arange(len(ELECTRODES))
    left = float(rng.random())
    for name, share in site.swaps.items():
        if 0 <= left < share:
            one, other = (_WIRES[each] for each in name.split("-"))
            wires[one] = other
            if not name.endswith("RL"):
                wires[other] = one
        left -= share
    return Device(
        high_pass=pick_weighted(rng, site.high_pass),
        zero_phase=bool(rng.random() < site.zero_phase),
        low_pass=pick_weighted(rng, site.low_pass),
        mains=pick_weighted(rng, site.mains),
        step=pick_weighted(rng, site.step),
        gains=rng.normal(*site.gain, (len(EIGHT), 1)),
        wires=wires,
    )


def recorded(
    rng: Random,
    device: Device,
    site: Site,
    noise: Noise,
    rows: Signal,
    field: Array,
    units_per_mv: int,
) -> NDArray[np.int16]:
    """(12, sample) int16 in LEADS order.

    Args:
        rows: (ROWS, sample), of which HEART are the dipoles in mV; the others are filled here.
        field: (9, 6) potential of ELECTRODES for unit dipoles.
    """
    count = rows.shape[1]
    blocks = -(-count // SLOW)
    sizes = noises.fast(rng, site, noise, device.low_pass, rows[MUSCLE])
    line = noises.hum(rng, site, noise, device.mains, rows[LINE])
    slow = noises.slow(rng, site, noise, blocks + 1)
    scale = device.gains * units_per_mv
    wired = EIGHT * scale
    mixture = np.concatenate([wired @ field[device.wires], wired * sizes, wired @ line], axis=1)
    heart_low, slow_low = _low_passed(device, _means(rows[HEART], blocks), slow)
    level = wired @ (slow - slow_low) - mixture[:, HEART] @ heart_low
    eight = mixture.astype(np.float32) @ rows
    _failing(rng, site, device, (mixture, wired, field), rows, eight)
    _add_slow(eight, level.astype(np.float32))
    step = np.float32(device.step * units_per_mv / 1000)
    if step > 1:
        eight /= step
        np.rint(eight, out=eight)
        eight *= step
    return twelve(eight)


def _failing(
    rng: Random,
    site: Site,
    device: Device,
    parts: tuple[Array, Array, Array],
    rows: Signal,
    eight: Signal,
) -> None:
    """An electrode that is loose for a while, or off: noisier, without the heart when it is off."""
    loose, off = (float(rng.random()) < site.events.get(name, 0) for name in ("loose", "dropped"))
    if not loose and not off:
        return
    mixture, wired, field = parts[0].copy(), parts[1], parts[2][device.wires].copy()
    electrode, count = int(rng.integers(len(ELECTRODES))), rows.shape[1]
    width = int(count * rng.uniform(0.1, 1.0))
    start = int(rng.integers(count - width + 1))
    worse = np.exp(rng.uniform(1.5, 4.0)) * 0.002 * wired[:, electrode]
    mixture[:, MUSCLE.start + electrode] += worse
    if off:
        field[electrode] = 0
        mixture[:, HEART] = wired @ field
    window = slice(start, start + width)
    eight[:, window] = mixture.astype(np.float32) @ rows[:, window]


def _means(rows: Signal, blocks: int) -> Array:
    """(row, `blocks`): means over SLOW samples each."""
    whole = rows.shape[1] // SLOW
    means = rows[:, : whole * SLOW].reshape(len(rows), whole, SLOW) @ _SHARES
    if whole < blocks:
        rest = rows[:, whole * SLOW :].mean(axis=1, keepdims=True)
        means = np.concatenate([means, rest], axis=1)
    return means.astype(np.float64)


def _low_passed(device: Device, heart: Array, slow: Array) -> tuple[Array, Array]:
    """What the high-pass takes away, at each of the points: of the dipole's means over the blocks
    between them, and of `slow`."""
    values = np.concatenate([heart, (slow[:, 1:] + slow[:, :-1]) / 2])
    low = _first_order(values, device.high_pass)
    if device.zero_phase:
        back = ((low[:, 1:] + low[:, :-1]) / 2)[:, ::-1]
        low = _first_order(back, device.high_pass)[:, ::-1]
    return low[: len(heart)], low[len(heart) :]


def _first_order(values: Array, cut_off: float) -> Array:
    """(row, block + 1): a first-order low-pass of (row, block), from its mean on."""
    growth, decay, share = _weights(cut_off, values.shape[1])
    start = values.mean(axis=1, keepdims=True)
    out = np.empty((len(values), values.shape[1] + 1))
    out[:, :1] = start
    np.cumsum(values * growth, axis=1, out=out[:, 1:])
    out[:, 1:] = (start + share * out[:, 1:]) * decay
    return out


@cache
def _weights(cut_off: float, blocks: int) -> tuple[Array, Array, float]:
    """y[k] = a^k (y[0] + (1 - a) sum of x[j] / a^(j+1), j < k), for all k at once."""
    kept = float(np.exp(-2 * np.pi * cut_off * SLOW / RATE))
    decay = np.asarray(kept ** np.arange(1, blocks + 1), np.float64)
    return np.asarray(1 / decay, np.float64), decay, 1 - kept


def _add_slow(eight: Signal, level: Signal) -> None:
    """Add straight lines between the points of `level`, (8, block + 1), to (8, sample)."""
    count, blocks = eight.shape[1], level.shape[1] - 1
    ends = np.stack([level[:, :-1], level[:, 1:]], axis=2)
    lines = (ends.reshape(-1, 2) @ _RAMPS).reshape(len(eight), blocks * SLOW)
    eight += lines[:, :count]


_SHARES = np.full(SLOW, 1 / SLOW, np.float32)
_RAMP = np.arange(SLOW, dtype=np.float32) / np.float32(SLOW)
_RAMPS = np.stack([1 - _RAMP, _RAMP])
