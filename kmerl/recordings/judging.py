"""Whether single leads can be ECG at all, and which limb leads may be exchanged: notes alone.

Each limit is one that few real leads of PTB-XL pass (docs/recordings.md has how few).
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Int16

from kmerl.recordings import plausible

STEPS = 50  # microvolt, of which a lead must have more than a few to rest at one of them
RAIL = 0.05  # share of samples at one end of the range: an ECG rests in its middle
MAINS = (50.0, 60.0)  # Hz
HUM, WIDTH = 0.8, 1.5  # share of the power within so many Hz of the mains
SPIKE, SPAN = 0.9, 0.1  # share of the energy within so many seconds
LONG = 3.0  # seconds, below which one beat may be all there is
ARMS = -0.5  # correlation of lead I with V6 or V5


def complaints(
    leads: Sequence[str], signal: Int16[np.ndarray, "lead sample"], rate: float
) -> list[str]:
    """What is said of leads that are clipped, hum or a spike, and of electrodes on each other's
    places.

    Args:
        signal: measured samples alone, in microvolt; rate in Hz.
    """
    found = []
    for lead, values in zip(leads, signal.astype(np.float64), strict=True):
        if len(values) < 2 or values.max() == values.min():
            continue  # flat, which is said elsewhere
        shape = _shape(lead, values - np.median(values), rate)
        share = max(float((values == end).mean()) for end in (values.min(), values.max()))
        height = int(values.max() - values.min())
        if not shape and height > STEPS and share > RAIL and share * len(values) > 2:
            shape = [f"lead {lead} rests at its limit for {share:.0%}: is it saturated?"]
        found += shape
    return found + _arms(leads, signal)


def exchanged(leads: Sequence[str], signal: np.ndarray) -> list[str]:
    """Which two limb leads must change names so that they no longer contradict each other."""
    limb = [row for row, lead in enumerate(leads) if not lead.startswith("V")]
    fits = []
    for one, two in combinations(limb, 2):
        names = list(leads)
        names[one], names[two] = names[two], names[one]
        if not plausible.law(names, signal):
            fits.append(f"{leads[one]} and {leads[two]}")
    if not 0 < len(fits) < 4:
        return []
    return [f"they agree once {' or '.join(fits)} change names"]


def _shape(lead: str, values: np.ndarray, rate: float) -> list[str]:
    if len(values) < LONG * rate:
        return []
    energy = values**2
    block = max(round(SPAN * rate), 1)
    sums = np.add.reduceat(energy, np.arange(0, len(energy), block))
    both = sums[:-1] + sums[1:]
    if both.max(initial=0) > SPIKE * energy.sum():
        return [f"lead {lead} is a single spike, and otherwise silent"]
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2
    frequency = np.fft.rfftfreq(len(values), 1 / rate)
    for mains in MAINS:
        share = power[np.abs(frequency - mains) <= WIDTH].sum() / power.sum()
        if share > HUM:
            return [f"lead {lead} is {share:.0%} mains hum of {mains:g} Hz: was its electrode off?"]
    return []


def _arms(leads: Sequence[str], signal: np.ndarray) -> list[str]:
    """Lead I against the chest leads that look the same way."""
    side = next((lead for lead in ("V6", "V5") if lead in leads), None)
    if side is None or "I" not in leads or signal.shape[1] < 2:
        return []
    pair = signal[[leads.index("I"), leads.index(side)]].astype(np.float64)
    if not pair.std(axis=1).all():
        return []
    one, two = pair - pair.mean(axis=1)[:, None]
    alike = float(one @ two / np.sqrt((one @ one) * (two @ two)))
    if alike > ARMS:
        return []
    return [
        f"lead I runs against {side} ({alike:.2f}): were the arms' electrodes (RA, LA) swapped?"
    ]
