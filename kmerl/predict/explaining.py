"""Why an answer: F_CQ's attention over leads and time, and occlusion beside it.

Attention says where the query network reads, not what speaks for a name, and the tokens that it
reads have already seen one another (Sec. 3.2). Occlusion asks again without a part: tokens are
gathered away, as segment masking does in training (Sec. 3.3), and a lead is left out as if it had
never been recorded.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Num
from torch import Tensor

from kmerl.leads import lead_indices
from kmerl.methods import Method, kmerl
from kmerl.models.inputs import SignalParams, normalised
from kmerl.models.tokens import LeadTokenizer
from kmerl.predict import batching
from kmerl.predict.explanation import WAYS, Explanation, How
from kmerl.predict.preparing import Prepared
from kmerl.runtime import in_order

PART_SECONDS = 0.5
"""Of a part that occlusion leaves out, in whole tokens: three of 0.2 s."""
AT_ONCE = 8  # recordings with a part left out that pass the model together


class Asked:
    """A network asked for one name, given as its text vector.

    Raises:
        ValueError: the network has no token for a lead and a time.
    """

    def __init__(
        self, network: Method, signal: SignalParams, vector: Float[Tensor, " text"], device: str
    ) -> None:
        if not isinstance(network, kmerl.Method) or not isinstance(
            network.encoder.tokenizer, LeadTokenizer
        ):
            raise ValueError(
                "only a model of method kmerl with encoder.tokens: lead can be explained: another "
                "has no token for a lead and a time that an answer could be traced to"
            )
        self.network = network
        self.signal = signal
        self.vector = vector[None].to(device)
        self.device = device
        self.token_samples = network.encoder.tokenizer.token_samples
        self.tokens = network.encoder.segments

    def every(self, leads: int) -> Bool[np.ndarray, "lead token"]:
        """The tokens kept of a recording of which nothing is left out."""
        return np.ones((leads, self.tokens), bool)

    def logits(
        self,
        signal: Num[np.ndarray, "lead sample"],
        leads: Sequence[str],
        kept: Sequence[Bool[np.ndarray, "lead token"]],
    ) -> Float[np.ndarray, " part"]:
        """The name's logit for each choice of tokens that are kept; NaN where none is.

        Args:
            signal: microvolt at the model's rate and length; leads in the standard order.
        """
        shown = torch.from_numpy(normalised(signal[None], None, self.signal)).to(self.device)
        index = torch.tensor([lead_indices(leads)], device=self.device)
        chosen = [np.flatnonzero(part) for part in kept]
        order = sorted(
            (k for k, one in enumerate(chosen) if len(one)), key=lambda k: len(chosen[k])
        )

        def work(batch: list[int]) -> Float[np.ndarray, " part"]:
            places = torch.from_numpy(np.stack([chosen[k] for k in batch])).to(self.device)
            with torch.inference_mode():
                same = shown.expand(len(batch), -1, -1), index.expand(len(batch), -1)
                tokens = self.network.encoder(*same, places)
                logits: np.ndarray = self.network.score(tokens, self.vector)[0][:, 0].cpu().numpy()
            return logits

        batches = [
            some
            for _, alike in groupby(order, key=lambda k: len(chosen[k]))
            for some in _batched(alike)
        ]
        found = np.full(len(chosen), np.nan)
        with batching.side_by_side(self.device) as threads:
            answers = in_order(work, batches, threads, ahead=2 * threads)
            for batch, logits in zip(batches, answers, strict=True):
                found[batch] = logits
        return found

    def weights(
        self, signal: Num[np.ndarray, "lead sample"], leads: Sequence[str]
    ) -> Float[np.ndarray, "layer head lead token"]:
        """Cross-attention of F_CQ from the name to each token; a head's sum is 1."""
        found: list[Tensor] = []

        def keep(attention: Any, given: tuple[Any, ...]) -> None:
            queries, (key, _) = given[:2]
            query = attention.query(queries[:, -1:])  # its context's, if any, stand before it
            query = query.unflatten(-1, (attention.heads, -1)).transpose(1, 2)
            scores = query @ key.transpose(-1, -2) / math.sqrt(key.shape[-1])
            found.append(scores.softmax(-1)[0, :, 0])

        network = self.network.query_network
        hooks = [
            module.register_forward_pre_hook(keep)
            for name, module in network.named_modules()
            if name.endswith("attend_tokens")
        ]
        try:
            self.logits(signal, leads, [self.every(len(leads))])
        finally:
            for hook in hooks:
                hook.remove()
        weights = torch.stack(found).unflatten(-1, (len(leads), self.tokens))
        return np.asarray(weights.float().cpu().numpy())


def explain(asked: Asked, prepared: Prepared, name: str, how: How, rate: int) -> Explanation:
    """The explanation of one answer.

    Raises:
        ValueError: `how` is none of `WAYS`.
    """
    if how not in WAYS:
        raise ValueError(f"how={how!r}: choose {' or '.join(WAYS)}")
    token = asked.token_samples / rate
    measured = min(asked.tokens, math.ceil(prepared.seconds / token - 1e-9))
    signal, leads = prepared.signal, prepared.leads
    whole = asked.logits(signal, leads, [asked.every(len(leads))])[0]
    weights, notes = None, prepared.notes
    if how == "attention":
        weights = asked.weights(signal, leads)
        values = weights.mean(axis=(0, 1))
        of_leads, of_times = values[:, :measured].sum(axis=1), values.sum(axis=0)
        if measured < asked.tokens:
            share = values[:, measured:].sum()
            notes = (*notes, f"{share:.0%} of the attention is on what was not measured")
    else:
        values, of_leads, of_times = _left_out(asked, signal, leads, whole, measured, token)
    values[:, measured:] = of_times[measured:] = np.nan
    return Explanation(
        record=prepared.record,
        name=name,
        how=how,
        probability=float(1 / (1 + np.exp(-whole))),
        leads=leads,
        start=prepared.start,
        token=token,
        values=values,
        of_leads=of_leads,
        of_times=of_times,
        weights=weights,
        notes=notes,
    )


def parts_of(tokens: int, token: float) -> list[slice]:
    """Parts of so many tokens, one after the other, of `PART_SECONDS` in whole tokens or more."""
    size = max(1, math.ceil(PART_SECONDS / token - 1e-9))
    return [slice(first, min(first + size, tokens)) for first in range(0, tokens, size)]


def _left_out(
    asked: Asked,
    signal: np.ndarray,
    leads: tuple[str, ...],
    whole: float,
    measured: int,
    token: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much less the logit is than `whole` without each part of a lead, each lead, and each
    part of all leads: (lead, token), (lead,), (token,)."""
    parts, rows = parts_of(measured, token), range(len(leads))
    kept = []
    for rows_out in [*([row] for row in rows), list(rows)]:
        for part in parts:
            kept.append(asked.every(len(leads)))
            kept[-1][rows_out, part] = False
    falls = (whole - asked.logits(signal, leads, kept)).reshape(len(leads) + 1, len(parts))
    values = np.full((len(leads) + 1, asked.tokens), np.nan)
    for column, part in enumerate(parts):
        values[:, part] = falls[:, column : column + 1]
    of_leads = np.full(len(leads), np.nan)
    for row in rows if len(leads) > 1 else []:
        others = [other for other in rows if other != row]
        fewer = [leads[other] for other in others]
        of_leads[row] = whole - asked.logits(signal[others], fewer, [asked.every(len(others))])[0]
    return values[:-1], of_leads, values[-1]


def _batched(items: Iterable[int]) -> Iterator[list[int]]:
    """`AT_ONCE` at a time; Python 3.11 has no itertools.batched."""
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some
