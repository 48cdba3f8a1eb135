"""What an explanation holds. No torch here."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

How = Literal["attention", "occlusion"]
WAYS: tuple[How, ...] = ("occlusion", "attention")


@dataclass(frozen=True)
class Explanation:
    """Where an answer comes from, a value a lead and token.

    `values` are NaN where nothing was measured. Of `occlusion` they say by how much the name's
    logit falls where that part of that lead is left out: above 0 it speaks for the name, below 0
    against it. Of `attention` they are shares, the mean over F_CQ's layers and heads, and `weights`
    holds each layer's and head's.

    Attributes:
        start: seconds into the recording at which the first token begins.
        token: seconds of a token.
        of_leads: the same for each lead as a whole, of which occlusion leaves the lead out; NaN
            where it is the only one.
        of_times: the same for each token's time in all leads.
    """

    record: str
    name: str
    how: How
    probability: float
    leads: tuple[str, ...]
    start: float
    token: float
    values: Float[np.ndarray, "lead token"]
    of_leads: Float[np.ndarray, " lead"]
    of_times: Float[np.ndarray, " token"]
    weights: Float[np.ndarray, "layer head lead token"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def times(self) -> Float[np.ndarray, " token"]:
        """Seconds into the recording at which each token begins."""
        return self.start + self.token * np.arange(self.values.shape[1])

    def parts(self, row: Float[np.ndarray, " token"]) -> list[tuple[float, float, float]]:
        """(from, to, value) of a row of values, in seconds; equal neighbours are one part, and what
        was not measured is none."""
        ends = np.flatnonzero(np.diff(row, append=np.inf) != 0) + 1
        found = []
        for a, b in zip([0, *ends[:-1]], ends, strict=True):
            if np.isfinite(row[a]):
                begin, end = (round(self.start + self.token * float(k), 6) for k in (a, b))
                found.append((begin, end, float(row[a])))
        return found

    def strongest(self, count: int) -> list[tuple[str, float, float, float]]:
        """(lead, from, to, value) of the parts that speak most for the name, in seconds."""
        every = [
            (lead, *part)
            for lead, row in zip(self.leads, self.values, strict=True)
            for part in self.parts(row)
            if part[2] > 0
        ]
        return sorted(every, key=lambda part: -part[3])[:count]
