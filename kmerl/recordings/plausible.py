"""Whether a recording can be what its header says: facts that are counted, and noted by `predict`.

No fact proves a recording wrong. Each compares it with what ECGs are like, within limits that few
real recordings leave (docs/log.md has how few, and which share of wrong ones is seen):

- amplitude: the median lead's height in a second. Sees a unit or a gain that is wrong by 1000,
  voltages 10 and mostly those 5 times too high, fewer of those 5 times too low, none by 2.
- noise: neighbouring samples are as far apart as any two, or jump. Sees a file of another byte
  order, offset or content; not a few spoilt samples.
- rate: the width of the QRS complexes (half width of the slopes' autocorrelation) against how many
  there are. With a rate wrong by k the one grows by k and the other falls by k. Sees nearly all
  that are wrong by 4 and about two in three by 2; and true tachycardias of 200 a minute.
- einthoven: I + III = II and Goldberger's aVR, aVL, aVF. Sees limb leads under each other's names;
  not electrodes on each other's places, which keep the law, nor chest leads.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Int16

Fact = Literal["checksum", "uncalibrated", "amplitude", "noise", "rate", "einthoven"]
"""What may be doubtful of a recording; the first two come from `wfdb_files`."""

SAYS: dict[str, str] = {
    "checksum": "the header's checksums or first samples are others than the file's: {}",
    "uncalibrated": "the header gives no gain, 200 steps a millivolt are assumed: {}",
    "saturated": "samples beyond 32.767 mV are clipped: {}",
    "amplitude": "no usual height of an ECG, is the unit or gain another? {}",
    "noise": "more noise than ECG, is the file damaged? {}",
    "rate": "QRS width and heart rate do not go together, is the sampling rate another? {}",
    "einthoven": "the limb leads contradict each other, are their names or units swapped? {}",
}
MILLIVOLTS = (0.2, 4.5)  # height of the median lead within a second
ROUGH = 1.15  # mean step between samples / mean deviation: 1.33 to 1.41 of white noise, ECG 0.1
JUMP, JUMPS = 3000.0, 0.005  # microvolt between samples, and the share of samples that may
LAW = 0.02  # energy of what contradicts the law / energy of the limb leads
SHAPE = (0.9, 3.05)  # log2 of (half width in ms / sqrt(beats a minute))
GRID = 250  # Hz at which beats are looked for: half the least rate
ENOUGH = 4  # leads in which noise and beats are looked for: of twelve I, aVR, V1 and V4
FLAT = 1.0  # microvolt, the mean slope below which a lead says nothing
SHORTEST = 3  # seconds in which they are
SUMS: dict[tuple[str, ...], tuple[float, ...]] = {  # leads that add up to zero, with these weights
    ("I", "II", "III"): (1, -1, 1),
    ("aVR", "I", "II"): (1, 0.5, 0.5),
    ("aVL", "I", "III"): (1, -0.5, 0.5),
    ("aVF", "II", "III"): (1, -0.5, -0.5),
}


def doubts(
    leads: Sequence[str], signal: Int16[np.ndarray, "lead sample"], rate: float
) -> dict[str, str]:
    """The facts that speak against a recording, with figures.

    Args:
        signal: measured samples alone, in microvolt, none of them NaN.
        rate: Hz; below twice `GRID` only amplitude and law are looked at.
    """
    if not signal.size:
        return {}
    found = {"amplitude": _amplitude(signal, rate), "einthoven": law(leads, signal)}
    if rate >= 2 * GRID and signal.shape[1] > 1:
        some = signal[:: max(len(leads) // ENOUGH, 1), : signal.shape[1] // 2 * 2]
        even, odd = some[:, ::2].astype(np.float32), some[:, 1::2].astype(np.float32)
        found["noise"] = _noise(even, odd)
        found["rate"] = _rate(even + odd, rate / 2)
    return {fact: figures for fact, figures in found.items() if figures}


def _amplitude(signal: np.ndarray, rate: float) -> str:
    second = min(round(rate), signal.shape[1])
    blocks = signal[:, : signal.shape[1] // second * second].reshape(len(signal), -1, second)
    heights = blocks.max(axis=2).astype(np.int32) - blocks.min(axis=2)
    height = _middle(_middle(heights)) / 1000
    return "" if MILLIVOLTS[0] <= height <= MILLIVOLTS[1] else f"{height:.3g} mV"


def _middle(values: np.ndarray) -> np.ndarray:
    """The upper median along the last axis."""
    return np.asarray(np.sort(values, axis=-1)[..., values.shape[-1] // 2])


def _noise(even: np.ndarray, odd: np.ndarray) -> str:
    steps = np.abs(odd - even)
    spread = np.abs(even - even.mean(axis=1)[:, None]).mean(axis=1) + 1  # a flat lead has none
    rough = float(_middle(steps.mean(axis=1) / spread))
    jumps = np.count_nonzero(steps > JUMP) / steps.size
    if rough <= ROUGH and jumps <= JUMPS:
        return ""
    return f"steps are {rough:.2g} of the deviation, {jumps:.1%} of them above {JUMP / 1000:g} mV"


def law(leads: Sequence[str], signal: np.ndarray) -> str:
    """The sum that is furthest from zero; from products of leads, so that no lead is added up."""
    limb, sums, weights = _sums(tuple(leads))
    if not sums:
        return ""
    some = signal[limb, ::4].astype(np.float32)
    some -= some.mean(axis=1)[:, None]
    product = some @ some.T / some.shape[1]
    energy = np.abs(np.sign(weights)) @ product.diagonal() + 1  # and a microvolt
    shares = (weights @ product * weights).sum(axis=1) / energy
    worst = int(shares.argmax())
    return f"{', '.join(sums[worst])} by {shares[worst]:.0%}" if shares[worst] > LAW else ""


@cache
def _sums(leads: tuple[str, ...]) -> tuple[list[int], list[tuple[str, ...]], np.ndarray]:
    """Rows of the limb leads, those of `SUMS` that they have, and these' weights of the rows."""
    limb = [row for row, lead in enumerate(leads) if not lead.startswith("V")]
    sums: list[tuple[str, ...]] = [members for members in SUMS if set(members) <= set(leads)]
    weights = [
        [dict(zip(m, SUMS[m], strict=True)).get(leads[row], 0.0) for row in limb] for m in sums
    ]
    return limb, sums, np.array(weights, np.float32)


def _rate(sums: np.ndarray, rate: float) -> str:
    if sums.shape[1] < SHORTEST * rate:
        return ""
    slopes = np.abs(sums[:, 2:] - sums[:, :-2])
    weights = 1 / (slopes.mean(axis=1) + FLAT)
    slope = np.convolve(weights @ slopes, np.full(7, 1 / 7, np.float32), "same")
    beats, width = _beats(slope, rate), _half_width(slope, rate)
    if SHAPE[0] <= np.log2(width / np.sqrt(beats)) <= SHAPE[1]:
        return ""
    return f"QRS half width {width:.0f} ms at {beats:.0f} a minute"


def _beats(slope: np.ndarray, rate: float) -> float:
    """Stretches above half the steepest slopes, a minute; those less than 60 ms apart are one."""
    place = int(0.99 * len(slope))
    high = slope > np.partition(slope, place)[place] / 2
    starts = np.flatnonzero(high[1:] & ~high[:-1])
    beats = 1 + int(np.count_nonzero(np.diff(starts) > 0.1 * rate))
    return 60 * beats / (len(slope) / rate)


def _half_width(slope: np.ndarray, rate: float) -> float:
    """Milliseconds after which the autocorrelation of the slopes has fallen to a half."""
    steep = slope - slope.mean()
    whole = float(steep @ steep)
    for lag in range(1, len(steep)):
        if float(steep[lag:] @ steep[:-lag]) < whole / 2:
            return 1000 * lag / rate
    return 1000 * len(steep) / rate
