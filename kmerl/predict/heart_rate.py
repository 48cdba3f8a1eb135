"""The heart rate of a recording, from its QRS complexes; whether it can be relied on is said."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int16

from kmerl import signal

BAND = (8.0, 25.0)  # Hz: QRS complexes, and little of P and T waves
SMOOTH = 0.1  # seconds, about a QRS complex
APART = 0.25  # seconds between two beats at least
BLOCK = 1.5  # seconds, of which each has a beat, unless the heart is slower than 40
LEVELS = (0.2, 0.35, 0.5)  # of the usual beat's height, what counts as one
FEWEST = 4  # beats that a rate is told from
DIFFER = 0.15  # share by which the rate moves with the level, and is unsure


@dataclass(frozen=True)
class HeartRate:
    """Beats a minute, None where none can be told; `doubt` is why it is unsure, or empty."""

    beats: float | None
    doubt: str = ""

    def __str__(self) -> str:
        if self.beats is None:
            return f"heart rate not told: {self.doubt}"
        unsure = f" (unsure: {self.doubt})" if self.doubt else ""
        return f"heart rate {self.beats:.0f}/min{unsure}"


def heart_rate(values: Int16[np.ndarray, "lead sample"], rate: float) -> HeartRate:
    """Mean rate over the recording, from all leads together.

    Args:
        values: microvolt, `signal.NAN` where nothing was measured.
    """
    energy = _energy(values, rate)
    if energy is None:
        return HeartRate(None, "the recording is too short or flat")
    rates = [_rate(energy, rate, level) for level in LEVELS]
    beats = rates[1]
    if beats is None:
        return HeartRate(None, f"fewer than {FEWEST} beats")
    told = [one for one in rates if one is not None]
    if len(told) < len(rates) or max(told) - min(told) > DIFFER * beats:
        return HeartRate(beats, "beats differ much in height")
    if not 25 < beats < 220:
        return HeartRate(beats, "few hearts beat so")
    return HeartRate(beats)


def _energy(values: np.ndarray, rate: float) -> Float[np.ndarray, " sample"] | None:
    """How much of a QRS complex there is at each time: the leads' filtered squares, each lead to
    its own scale."""
    from scipy.signal import butter, sosfiltfilt

    whole = signal.repair(values).astype(np.float64)
    whole = whole[whole.max(axis=1) > whole.min(axis=1)]
    if not len(whole) or whole.shape[1] < 2 * rate or rate < 2.5 * BAND[1]:
        return None
    band = sosfiltfilt(butter(2, BAND, "bandpass", fs=rate, output="sos"), whole, axis=1)
    scale = np.percentile(np.abs(band), 98, axis=1, keepdims=True)
    squares = (band / np.maximum(scale, 1e-9)) ** 2
    width = max(1, round(SMOOTH * rate))
    # of all leads the median, so that a spike in one of them is no beat
    middle = np.median(squares, axis=0) if len(squares) > 2 else squares.mean(axis=0)
    return np.convolve(middle, np.full(width, 1 / width), "same")


def _rate(energy: np.ndarray, rate: float, level: float) -> float | None:
    from scipy.signal import find_peaks

    size = round(BLOCK * rate)
    blocks = [energy[k : k + size].max() for k in range(0, len(energy) - size // 2, size)]
    height = level * float(np.median(blocks))
    beats, _ = find_peaks(energy, height=height, distance=max(1, round(APART * rate)))
    if len(beats) < FEWEST:
        return None
    return float(60 * rate * (len(beats) - 1) / (beats[-1] - beats[0]))
