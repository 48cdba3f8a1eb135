"""One recording, whatever its rate and length, as the store holds it: the `ingest` parameters."""

from typing import Literal, cast

import numpy as np

from kmerl.corpora.records import Corpus
from kmerl.leads import LEADS
from kmerl.params import Count, CountOrZero, Share, checked
from kmerl.recordings import plausible
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.wfdb_files import Channels
from kmerl.signal import NAN, Crop, crop, pad, repair, resample


@checked
class Ingest:
    """The `ingest` section of params.yaml."""

    rate: Count
    seconds: Count
    crop: Crop
    first_seconds: dict[Corpus, Count]
    pad: Literal["end", "reject"]
    resample: Literal["polyphase", "reject"]
    repair_nan: Share
    flat_leads: CountOrZero
    implausible: tuple[plausible.Fact, ...]
    require_report: tuple[Corpus, ...]
    group: Count
    shard: Count

    def __post_init__(self) -> None:
        for corpus, first in self.first_seconds.items():
            if first > self.seconds:
                raise ValueError(f"first_seconds.{corpus}={first} is above seconds={self.seconds}")

    def kept_seconds(self, corpus: str) -> int:
        """Seconds of a corpus's records that are kept; zeros follow up to `seconds`."""
        return self.first_seconds.get(cast(Corpus, corpus), self.seconds)

    @property
    def samples(self) -> int:
        """Samples of a stored lead."""
        return self.rate * self.seconds


def conform(recording: Channels, settings: Ingest, seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """int16 (12, samples) as stored, and the NaN samples of each lead that were repaired.

    Cropped at the source's rate, then repaired, resampled and padded.

    Args:
        seconds: how much is kept; fewer than `settings.seconds` are always the first ones.

    Raises:
        RejectedRecord: all NaN, a lead with too many NaNs, flat, another rate or too short where
            the settings say so.
    """
    same, plausible = recording.rate == settings.rate, 0.05 < recording.rate / settings.rate < 20
    if not same and (settings.resample == "reject" or not plausible):
        raise RejectedRecord("wrong_rate", f"{recording.rate:g} Hz")
    wanted = round(seconds * recording.rate)
    if recording.signal.shape[1] == 0:
        raise RejectedRecord("wrong_length", "no samples")
    if recording.signal.shape[1] < wanted and settings.pad == "reject":
        raise RejectedRecord("wrong_length", f"{recording.signal.shape[1]} of {wanted} samples")
    where = settings.crop if seconds == settings.seconds else "start"
    signal = crop(recording.signal, wanted, where)
    low = signal.min(axis=1)
    nan = np.zeros(len(signal), int)
    if NAN in low:  # rare: the next two passes cost more than all others
        nan = np.count_nonzero(signal == NAN, axis=1)
        low = signal.min(axis=1, where=signal != NAN, initial=np.iinfo(np.int16).max)
    _check(signal, low, nan, settings)
    if nan.any():
        signal = repair(signal)
    resampled = resample(signal, recording.rate, settings.rate)
    signal = crop(resampled, settings.rate * seconds, "start")
    return pad(signal, settings.samples), nan


def doubts(
    recording: Channels, stored: np.ndarray, settings: Ingest, seconds: int
) -> dict[str, str]:
    """The facts against a recording, by what its header says and what is stored of it.

    Raises:
        RejectedRecord: one of them is in `settings.implausible`.
    """
    measured = round(recording.signal.shape[1] / recording.rate * settings.rate)
    signal = crop(stored, min(measured, seconds * settings.rate), "start")
    found = recording.doubts | plausible.doubts(LEADS, signal, settings.rate)
    for fact in settings.implausible:
        if fact in found:
            raise RejectedRecord("implausible", f"{fact}: {found[fact]}")
    return found


def _check(signal: np.ndarray, low: np.ndarray, nan: np.ndarray, settings: Ingest) -> None:
    if nan.sum() == signal.size:
        raise RejectedRecord("all_nan", "every sample of every lead")
    share = nan / signal.shape[1]
    if (share > settings.repair_nan).any():
        worst = int(share.argmax())
        raise RejectedRecord("nan_lead", f"{LEADS[worst]}: {nan[worst]} NaN samples")
    flat = int(np.count_nonzero(signal.max(axis=1) <= low))
    if flat > settings.flat_leads:
        raise RejectedRecord("flat", f"{flat} constant leads")
