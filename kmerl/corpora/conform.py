"""One recording, whatever its rate and length, as the store holds it: the `ingest` parameters."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kmerl.corpora.records import CORPORA, RejectedRecord
from kmerl.corpora.wfdb_files import TwelveLeads
from kmerl.leads import LEADS
from kmerl.params import ParamsError
from kmerl.signal import NAN, Crop, crop, pad, repair, resample


@dataclass(frozen=True)
class Ingest:
    """The `ingest` section of params.yaml."""

    rate: int
    seconds: int
    crop: Crop
    first_seconds: dict[str, int]
    pad: Literal["end", "reject"]
    resample: Literal["polyphase", "reject"]
    repair_nan: float
    flat_leads: int
    require_report: tuple[str, ...]
    group: int
    shard: int

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "group", "shard"):
            if getattr(self, name) < 1:
                raise ParamsError(f"ingest.{name} is {getattr(self, name)}; at least 1")
        unknown = sorted(set(self.require_report) - set(CORPORA))
        if unknown:
            raise ParamsError(
                f"ingest.require_report names {unknown[0]!r}; choose from {', '.join(CORPORA)}"
            )

        for corpus, seconds in self.first_seconds.items():
            if corpus not in CORPORA:
                raise ParamsError(
                    f"ingest.first_seconds names {corpus!r}; choose from {', '.join(CORPORA)}"
                )
            if not 1 <= seconds <= self.seconds:
                raise ParamsError(
                    f"ingest.first_seconds.{corpus} is {seconds}; 1 to ingest.seconds "
                    f"({self.seconds})"
                )

    def kept_seconds(self, corpus: str) -> int:
        """Seconds of a corpus's records that are kept; zeros follow up to `seconds`."""
        return self.first_seconds.get(corpus, self.seconds)

    @property
    def samples(self) -> int:
        """Samples of a stored lead."""
        return self.rate * self.seconds


def conform(
    recording: TwelveLeads, settings: Ingest, seconds: int
) -> tuple[np.ndarray, np.ndarray]:
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
    nan = np.count_nonzero(signal == NAN, axis=1)
    _check(signal, nan, settings)
    if nan.any():
        signal = repair(signal)
    resampled = resample(signal, recording.rate, settings.rate)
    signal = crop(resampled, settings.rate * seconds, "start")
    return pad(signal, settings.samples), nan


def _check(signal: np.ndarray, nan: np.ndarray, settings: Ingest) -> None:
    if nan.sum() == signal.size:
        raise RejectedRecord("all_nan", "every sample of every lead")
    share = nan / signal.shape[1]
    if (share > settings.repair_nan).any():
        worst = int(share.argmax())
        raise RejectedRecord("nan_lead", f"{LEADS[worst]}: {nan[worst]} NaN samples")
    low = signal.min(axis=1, where=signal != NAN, initial=np.iinfo(np.int16).max)
    flat = int(np.count_nonzero(signal.max(axis=1) <= low))
    if flat > settings.flat_leads:
        raise RejectedRecord("flat", f"{flat} constant leads")
