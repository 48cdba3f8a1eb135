"""When the atria and the ventricles fire: one generator a rhythm, and what ectopy does to it.

All times are seconds; a rhythm starts before 0 and ends after the recording, so that nothing
begins at its edge.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kmerl.synthetic.waves import Array

Random = np.random.Generator

BEFORE = 2.5
"""Seconds a rhythm runs before the recording begins."""
AFTER = 1.0

CONDUCTED, ECTOPIC, PACED, ESCAPE = range(4)
"""Kinds of ventricular beat."""
SINUS, ATRIAL_ECTOPIC, RETROGRADE = range(3)
"""Kinds of P wave."""


@dataclass(frozen=True)
class Beats:
    """Onsets of P and QRS with their kinds, and what the atria do between P waves.

    Attributes:
        p: (atrial,) onsets; p_kind: (atrial,) SINUS, ATRIAL_ECTOPIC or RETROGRADE.
        qrs: (beat,) onsets, rising; kind: (beat,) CONDUCTED, ECTOPIC, PACED or ESCAPE.
        atria: "p", "fibrillation" or "flutter".
        atrial_rate: Hz of fibrillation or flutter; 0 where there are P waves.
    """

    p: Array
    p_kind: Array
    qrs: Array
    kind: Array
    atria: str = "p"
    atrial_rate: float = 0.0

    @property
    def rr(self) -> Array:
        """(beat,) seconds since the beat before; the first is told the second's interval."""
        gaps = np.diff(self.qrs)
        return np.concatenate([gaps[:1], gaps]) if len(gaps) else np.ones(len(self.qrs))


def _beats(p: Array, qrs: Array, kind: int = CONDUCTED) -> Beats:
    return Beats(p, np.full(len(p), SINUS), qrs, np.full(len(qrs), kind))


def _series(rng: Random, interval: float, seconds: float, jitter: float) -> Array:
    """Onsets `interval` apart, from -BEFORE to the end, each interval varied by `jitter`."""
    count = int((seconds + BEFORE + AFTER) / interval) + 3
    gaps = interval * (1 + rng.normal(0, jitter, count).clip(-3 * jitter, 3 * jitter))
    return -BEFORE - interval * rng.random() + np.cumsum(gaps)


def supraventricular_arrhythmia(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """Irregular, narrow, each P from one of several places, PR of many lengths."""
    qrs = _series(rng, 60 / rate, seconds, rng.uniform(0.08, 0.16))
    p = qrs - np.clip(pr + rng.normal(0, 0.025, len(qrs)), 0.09, 0.22)
    kind = rng.choice([SINUS, ATRIAL_ECTOPIC, RETROGRADE], size=len(p), p=[0.35, 0.45, 0.2])
    return replace(_beats(p, qrs), p_kind=kind)


def paroxysm(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """Supraventricular tachycardia that begins or ends within the recording, else sinus rhythm."""
    fast = supraventricular_tachycardia(rng, rate, pr, seconds)
    slow = sinus(rng, rng.uniform(62, 95), pr, seconds)
    turn, begins = rng.uniform(0.25, 0.6) * seconds, rng.random() < 0.5
    first, then = (slow, fast) if begins else (fast, slow)
    gap = float(rng.uniform(0.35, 0.5) if begins else rng.uniform(0.8, 1.3))
    before = first.qrs < turn
    last = float(first.qrs[before][-1])
    start = last + gap - float(then.qrs[0])
    p = np.concatenate([first.p[first.p < last], (then.p + start)[then.p + start > last + 0.05]])
    kinds = [first.p_kind[first.p < last], then.p_kind[then.p + start > last + 0.05]]
    return replace(
        _beats(p, np.concatenate([first.qrs[before], then.qrs + start])),
        p_kind=np.concatenate(kinds),
    )


def sinus(rng: Random, rate: float, pr: float, seconds: float, swing: float = 0.02) -> Beats:
    """Sinus rhythm; `swing` is the breath's share of the interval (0.1 and more: arrhythmia)."""
    own = float(np.clip(np.exp(rng.normal(-4.3, 0.6)), 0.005, 0.035))
    qrs = _series(rng, 60 / rate, seconds, own)
    breath = np.sin(2 * np.pi * (rng.uniform(0.17, 0.30) * qrs + rng.random()))
    gaps = np.diff(qrs, prepend=qrs[0] - 60 / rate) * (1 + swing * breath)
    qrs = qrs[0] + np.cumsum(gaps)
    return _beats(qrs - pr, qrs)


def atrial_fibrillation(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """No P; intervals without order, never shorter than the AV node allows."""
    count = int((seconds + BEFORE + AFTER) * rate / 60 * 1.6) + 8
    spread = rng.uniform(0.15, 0.26)
    gaps = 60 / rate * rng.gamma(1 / spread**2, spread**2, count)
    floor = 0.30 if rate > 100 else 0.40
    qrs = -BEFORE + np.cumsum(np.maximum(gaps, floor))
    return replace(
        _beats(np.empty(0), qrs), atria="fibrillation", atrial_rate=rng.uniform(5.2, 7.8)
    )


def atrial_flutter(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """Sawtooth at 240-330/min, conducted 2:1, 3:1, 4:1, or now one, now the other."""
    flutter = rng.uniform(4.1, 5.4)
    count = int((seconds + BEFORE + AFTER) * flutter) + 6
    waves = -BEFORE - 1 + np.arange(count) / flutter
    ratio = int(rng.choice([2, 3, 4], p=[0.4, 0.2, 0.4]))
    steps = np.full(count, ratio)
    if rng.random() < 0.35:
        steps = rng.choice([2, 3, 4], size=count)
    reached = np.cumsum(steps)
    qrs = waves[reached[reached < count]] + 0.11
    return replace(_beats(np.empty(0), qrs), atria="flutter", atrial_rate=flutter)


def supraventricular_tachycardia(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """150-210/min, narrow, regular; P hidden or just behind QRS, upside down."""
    qrs = _series(rng, 60 / rate, seconds, 0.004)
    p = qrs + 0.085 if rng.random() < 0.5 else np.empty(0)
    return replace(_beats(p, qrs), p_kind=np.full(len(p), RETROGRADE))


def junctional(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """40-60/min, narrow, regular; no P, or one upside down close to QRS."""
    qrs = _series(rng, 60 / rate, seconds, 0.008)
    place = rng.choice([-0.075, 0.09, np.nan], p=[0.35, 0.15, 0.5])
    p = np.empty(0) if np.isnan(place) else qrs + place
    return replace(_beats(p, qrs), p_kind=np.full(len(p), RETROGRADE))


def mobitz_one(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """Wenckebach: PR grows beat by beat until one P stays without QRS."""
    p = _series(rng, 60 / rate, seconds, 0.006)
    cycle = int(rng.integers(3, 6))
    place = (np.arange(len(p)) + int(rng.integers(cycle))) % cycle
    delay = rng.uniform(0.07, 0.11) * np.sqrt(place)
    conducted = place < cycle - 1
    return _beats(p, (p + pr + 0.02 + delay)[conducted])


def mobitz_two(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """PR constant, then a P without QRS: every second, third or fourth."""
    p = _series(rng, 60 / rate, seconds, 0.006)
    cycle = int(rng.choice([2, 3, 4], p=[0.3, 0.4, 0.3]))
    place = (np.arange(len(p)) + int(rng.integers(cycle))) % cycle
    return _beats(p, (p + pr)[place < cycle - 1])


def complete_block(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """Third degree: P at its rate, ventricles at theirs (30-45/min), no relation."""
    p = _series(rng, 60 / rate, seconds, 0.01)
    qrs = _series(rng, 60 / rng.uniform(31, 45), seconds, 0.006)
    return _beats(p, qrs, ESCAPE)


def paced(rng: Random, rate: float, pr: float, seconds: float) -> Beats:
    """A ventricular pacemaker over a slow sinus node, after each P, or over fibrillation.

    On demand it lets the heart's own early beats through, and waits for the next.
    """
    qrs = _series(rng, 60 / rate, seconds, 0.0005)
    if rng.random() < 0.3:
        without = replace(_beats(np.empty(0), qrs, PACED), atria="fibrillation")
        return _on_demand(replace(without, atrial_rate=rng.uniform(5.2, 7.8)), rng)
    if rng.random() < 0.6:
        qrs = _series(rng, 60 / rate, seconds, 0.012)
        return _beats(qrs - rng.uniform(0.13, 0.20), qrs, PACED)
    return _on_demand(_beats(_series(rng, rng.uniform(0.9, 1.4), seconds, 0.01), qrs, PACED), rng)


def _on_demand(beats: Beats, rng: Random) -> Beats:
    """Half of them pace each beat; in the others some beats are the heart's own, and early."""
    share = rng.choice([0.0, rng.uniform(0.15, 0.6)])
    own = rng.random(len(beats.qrs)) < share
    early = own * rng.uniform(0.05, 0.3, len(own)) * beats.rr
    gaps = np.diff(beats.qrs, prepend=beats.qrs[0]) - early
    kind = np.where(own, CONDUCTED, beats.kind)
    return replace(beats, qrs=beats.qrs[0] + np.cumsum(gaps), kind=kind)


Rhythm = Callable[[Random, float, float, float], Beats]

RHYTHMS: dict[str, Rhythm] = {
    "atrial fibrillation": atrial_fibrillation,
    "atrial flutter": atrial_flutter,
    "supraventricular tachycardia": supraventricular_tachycardia,
    "paroxysmal supraventricular tachycardia": paroxysm,
    "supraventricular arrhythmia": supraventricular_arrhythmia,
    "junctional rhythm": junctional,
    "second degree av block type one": mobitz_one,
    "second degree av block type two": mobitz_two,
    "third degree av block": complete_block,
    "ventricular pacing": paced,
}
"""Rhythms that are not sinus with one P before each QRS, by the finding's name."""


def with_atrial_ectopy(beats: Beats, rng: Random, seconds: float) -> Beats:
    """One to four early P waves of another form, each followed by a QRS and a pause."""
    for moment in _moments(rng, seconds, int(rng.integers(1, 5))):
        beats = _early_beat(beats, moment, rng.uniform(0.54, 0.74))
    return beats


def with_ventricular_ectopy(beats: Beats, rng: Random, seconds: float, every: int = 0) -> Beats:
    """Early wide beats: one to four at random, or one `every` second or third beat."""
    kind, qrs = beats.kind.copy(), beats.qrs.copy()
    inside = np.flatnonzero((qrs > 0.4) & (qrs < seconds - 0.5))
    if every:
        start = int(rng.integers(every))
        chosen = np.arange(len(qrs))[1:][start::every]
    else:
        count = min(int(rng.integers(1, 5)), max(len(inside) // 3, 1))
        chosen = np.sort(rng.choice(inside, size=count, replace=False))
    coupling = rng.uniform(0.56, 0.70)
    for index in chosen:
        gap = min(qrs[index] - qrs[index - 1], 1.1)
        early = max(qrs[index - 1] + coupling * gap, qrs[index - 1] + 0.34)
        if kind[index - 1] != ECTOPIC:
            qrs[index], kind[index] = min(early, qrs[index]), ECTOPIC
    return replace(_without_p_in(beats, qrs[kind == ECTOPIC]), qrs=qrs, kind=kind)


def with_pause(beats: Beats, rng: Random, seconds: float) -> Beats:
    """The sinus node silent for 2.0-3.2 s once."""
    after = rng.uniform(0.25, 0.6) * seconds
    index = int(np.searchsorted(beats.qrs, after))
    gap = beats.qrs[index] - beats.qrs[index - 1]
    shift = max(rng.uniform(2.05, 3.1) - gap, 0.6)
    qrs = np.where(np.arange(len(beats.qrs)) >= index, beats.qrs + shift, beats.qrs)
    p = np.where(beats.p > beats.qrs[index - 1], beats.p + shift, beats.p)
    return replace(beats, qrs=qrs, p=p)


def _moments(rng: Random, seconds: float, count: int) -> Array:
    """`count` moments spread over the recording, no two close together."""
    edges = np.linspace(0.6, seconds - 1.2, count + 1)
    return edges[:-1] + rng.uniform(0.1, 0.7, count) * np.diff(edges)


PAUSE = 0.2
"""Of an interval: how much longer than usual the one after an early atrial beat is."""


def _early_beat(beats: Beats, moment: float, coupling: float) -> Beats:
    """The beat after `moment` comes early, and all later beats move with it."""
    index = int(np.searchsorted(beats.qrs, moment))
    gap = beats.qrs[index] - beats.qrs[index - 1]
    shift = (1 - coupling) * gap
    later = np.arange(len(beats.qrs)) >= index
    qrs = np.where(later, beats.qrs - shift, beats.qrs)
    qrs[index + 1 :] += PAUSE * gap
    p_later = beats.p > beats.qrs[index - 1]
    p = np.where(p_later, beats.p - shift, beats.p)
    p_kind = beats.p_kind.copy()
    own = int(np.argmax(p_later))
    p[own + 1 :] += PAUSE * gap
    p_kind[own] = ATRIAL_ECTOPIC
    return replace(beats, qrs=qrs, p=p, p_kind=p_kind)


def _without_p_in(beats: Beats, ectopic: Array) -> Beats:
    """Sinus P waves that would come before an early ventricular beat's own time are not seen."""
    if not len(ectopic) or not len(beats.p):
        return beats
    distance = beats.p[:, None] - ectopic[None, :]
    hidden = ((distance > -0.22) & (distance < 0.10)).any(axis=1)
    return replace(beats, p=beats.p[~hidden], p_kind=beats.p_kind[~hidden])
