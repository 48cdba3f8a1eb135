"""A trained model asked about recordings: any subset of leads, any class names (Sec. 4.2.1)."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Num
from torch import Tensor

from kmerl.leads import canonical, lead_indices
from kmerl.methods import Method, Query
from kmerl.models.inputs import normalised
from kmerl.models.vit import pool
from kmerl.predict import asking, batching, explaining, exporting, hub, shipped
from kmerl.predict.explanation import Explanation, How
from kmerl.predict.preparing import Cut, Prepared
from kmerl.predict.vocabulary import Vocabulary
from kmerl.training import model as model_files
from kmerl.training.model import ModelConfig

BATCH = {"cpu": 8, "cuda": 64}
"""Recordings at a time; on a CPU more of them are no faster."""


class Model:
    """Zero-shot classification and features of recordings; `kmerl.load` gives one.

    On a CPU a recording's answers are the same bits whatever other recordings it comes with, on any
    number of cores. Asking other names with them, another `batch`, another kind of processor or a
    GPU moves them by rounding (1e-6). Where a model's names see each other, its answers depend on
    what else is asked, and by more; see `in_company`.

    Args:
        device: "cpu", "cuda", "cuda:1".
        batch: recordings that pass the model at a time; by default what suits the device.
        vectors: text vectors of names that need no text encoder, beside those of the entities.
        digest: of the weights and of how they are used; names what was made with them.
    """

    def __init__(
        self,
        config: ModelConfig,
        network: Method,
        *,
        device: str = "cpu",
        batch: int | None = None,
        vectors: Mapping[str, Tensor] | None = None,
        digest: str = "",
    ) -> None:
        self.config = config
        self.digest = digest
        self.network = network.eval().to(device)
        self.device = device
        self.batch = batch or BATCH[torch.device(device).type]
        self.entities = list(config.entities)
        own = dict(network.named_buffers()).get("entities")
        known = {} if own is None else dict(zip(self.entities, own.cpu(), strict=True))
        known = {**(vectors or {}), **known}
        self.vocabulary = Vocabulary(config.text_encoder, known, config.text_width)
        self._warned: set[str] = set()

    @property
    def query(self) -> Query:
        """The network as one that answers class names.

        Raises:
            ValueError: its method has no query network.
        """
        if not isinstance(self.network, Query):
            raise ValueError(
                f"the model is of method {self.config.method!r}, which has no query network to ask "
                "for class names; `kmerl predict` needs one of method kmerl, `kmerl embed` none"
            )
        return self.network

    @property
    def seconds(self) -> float:
        """What the model reads of a recording at a time."""
        return self.config.samples / self.config.rate

    def predict(
        self,
        recordings: batching.Recordings,
        classes: str | Sequence[str] | None = None,
        leads: str | Sequence[str] | None = None,
        *,
        task: str | None = None,
        rate: float | None = None,
        unit: str | None = None,
        start: float = 0.0,
        window: float | None = None,
        step: float | None = None,
    ) -> pd.DataFrame:
        """The probability of each class for each recording, or for each window of it.

        Probabilities are the model's own and not calibrated.

        Args:
            recordings: a path, a `kmerl.Recording`, an array (lead, sample) or {lead: samples}; or
                several of them in a list or an iterable, or an array (recording, lead, sample).
            classes: names in plain words; by default every entity the model was pretrained on.
            leads: those to use ("I,II", "limb", or a list), by default all that a recording has; of
                an array, the names of its rows.
            task: the classes of a downstream task, such as "ptbxl_super", in place of names.
            rate, unit: of arrays, and of files that do not say them: Hz; mV, uV, V or "4.88uV".
            start: seconds into the recording to begin at.
            window, step: seconds; a row for each window, one every `step` (see
                `kmerl.predict.preparing.Cut`).

        Returns:
            Rows in the order of the recordings: record, start, seconds, leads, a column each name,
            and what was done to the signal (notes) and not used of it (left_out).

        Raises:
            RecordError: a recording cannot be read or used, or a sample of an array is no number.
            ValueError: an unknown lead, task or model's method; an empty name.
        """
        names = asking.class_names(classes, task, self.entities)
        for name, said in asking.unknown(names, self.entities).items():
            if name not in self._warned:
                self._warned.add(name)
                warnings.warn(said, stacklevel=2)
        told = batching.Told(leads, rate, unit, Cut(start, window or 0.0, step or 0.0))
        found = self.answers(self.prepared(recordings, told), self.asked(names))
        return batching.frame(found, names)

    def embed(
        self,
        recordings: batching.Recordings,
        leads: str | Sequence[str] | None = None,
        *,
        rate: float | None = None,
        unit: str | None = None,
        start: float = 0.0,
        window: float | None = None,
        step: float | None = None,
    ) -> pd.DataFrame:
        """Features of each recording, or of each window: the linear probe's input (Sec. 3.5).

        Arguments and rows as of `predict`; column `vector` holds a float32 array each.

        Raises:
            RecordError: a recording cannot be read or used.
            ValueError: an unknown lead.
        """
        told = batching.Told(leads, rate, unit, Cut(start, window or 0.0, step or 0.0))
        found = self.answers(self.prepared(recordings, told), self.features)
        return batching.frame(found, None)

    def explain(
        self,
        recording: batching.One,
        name: str,
        leads: str | Sequence[str] | None = None,
        *,
        how: How = "occlusion",
        rate: float | None = None,
        unit: str | None = None,
        start: float = 0.0,
    ) -> Explanation:
        """Which leads and times an answer comes from; the name is asked by itself.

        Args:
            recording, leads, rate, unit, start: one recording, as `predict` takes them.
            name: a class name in plain words.
            how: `occlusion`, by how much the logit falls without a part of a lead; or `attention`,
                where F_CQ reads, which is 200 times quicker. Which of them is more faithful,
                docs/explain.md says.

        Raises:
            RecordError: the recording cannot be read or used.
            ValueError: an unknown lead or `how`, or a model that cannot be explained.
        """
        ((name,), told) = (
            asking.class_names([name], None, ()),
            batching.Told(leads, rate, unit, Cut(start)),
        )
        vector = self.vocabulary.vectors([name])[0]
        asked = explaining.Asked(self.network, self.config.signal, vector, self.device)
        (prepared,) = self.prepared([recording], told)
        return explaining.explain(asked, prepared, name, how, self.config.rate)

    def prepared(self, recordings: batching.Recordings, told: batching.Told) -> Iterator[Prepared]:
        """What the model is given of each recording, in their order."""
        return batching.prepared(recordings, told, self.config.rate, self.config.samples)

    def asked(self, names: Sequence[str]) -> batching.Work:
        """The function that answers these names of a batch: probabilities (record, name)."""
        self.query  # noqa: B018 (its error comes before any name is embedded)
        vectors = self.vocabulary.vectors(names)

        def work(signal: np.ndarray, leads: tuple[str, ...]) -> np.ndarray:
            return self._probabilities(self._tokens(signal, leads), vectors)[0]

        return work

    def features(self, signal: np.ndarray, leads: tuple[str, ...]) -> np.ndarray:
        """Features (record, width) of a batch (record, lead, sample), in microvolt."""
        with torch.inference_mode():
            found: np.ndarray = pool(self._tokens(signal, leads)).float().cpu().numpy()
        return found

    def answers(
        self, prepared: Iterable[Prepared], work: batching.Work
    ) -> list[tuple[Prepared, np.ndarray]]:
        """`work` of each, in their order, without their signals; batches are of one lead set."""
        with batching.side_by_side(self.device) as threads:
            return batching.run(prepared, self.batch, threads, work)

    def score(
        self,
        signal: Num[np.ndarray, "lead sample"],
        leads: Sequence[str],
        names: Sequence[str],
    ) -> Float[np.ndarray, " name"]:
        """Probability of each name, bit for bit the same in whatever order the leads come.

        Args:
            signal: microvolt at the model's rate and length (`config.rate`, `config.samples`).
            leads: name of each row; any subset of the twelve, in any order.
            names: class names in plain words.

        Raises:
            ValueError: an unknown or repeated lead, or a signal of another shape.
        """
        with batching.side_by_side(self.device):
            work = self.asked(names)
            return np.asarray(work(*self._ordered(signal, leads))[0])

    def in_company(
        self,
        signal: Num[np.ndarray, "lead sample"],
        leads: Sequence[str],
        names: Sequence[str],
    ) -> dict[str, Float[np.ndarray, " name"]]:
        """What `score` would answer in other company: each name alone, and all of them beside the
        model's entities. Empty where company changes nothing."""
        if not self.query.company_matters:
            return {}
        others = [entity for entity in self.entities if entity not in names]
        asked = [*([name] for name in names), [*names, *others]]
        with batching.side_by_side(self.device):
            tokens = self._tokens(*self._ordered(signal, leads))
            *alone, beside = self._probabilities(tokens, *map(self.vocabulary.vectors, asked))
        together = np.concatenate([value[0] for value in alone])
        return {"alone": together, "beside the model's entities": beside[0][: len(names)]}

    @torch.inference_mode()
    def _probabilities(self, tokens: Tensor, *asked: Tensor) -> list[np.ndarray]:
        """(record, name) of each set of names. The query network's sums depend on how many records
        it reads, so it always reads `batch` of them, the last one again where there are fewer."""
        count = len(tokens)
        filled = torch.cat([tokens, tokens[-1:].expand(self.batch - count, -1, -1)])
        vectors = [one.to(self.device) for one in asked]
        scores = self.query.score(filled, *vectors)
        found = [logits[:count].sigmoid().float().cpu().numpy() for logits in scores]
        if not all(np.isfinite(values).all() for values in found):
            raise ValueError("the model's answer is no number; its weights are damaged")
        return found

    @torch.inference_mode()
    def _tokens(self, signal: np.ndarray, leads: tuple[str, ...]) -> Tensor:
        """Of a batch (record, lead, sample), with leads in the standard order."""
        shown = torch.from_numpy(normalised(signal, None, self.config.signal)).to(self.device)
        index = torch.tensor(lead_indices(leads), device=self.device).expand(len(shown), -1)
        if torch.device(self.device).type != "cpu":
            tokens: Tensor = self.network.encoder(shown, index)
            return tokens
        # One by one: sums may depend on how many there are, and a CPU gains little by more.
        each = (self.network.encoder(one[None], index[:1]) for one in shown)
        return torch.cat(list(each))

    def _ordered(
        self, signal: np.ndarray, leads: Sequence[str]
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """A batch of one with its leads in the standard order: sums in one order."""
        known = [canonical(lead) for lead in leads]
        if len(set(known)) != len(known):
            raise ValueError(f"leads {', '.join(known)}: a lead is given twice")
        if signal.shape != (len(known), self.config.samples):
            raise ValueError(
                f"the signal's shape is {signal.shape}; {len(known)} leads of "
                f"{self.config.samples} samples at {self.config.rate} Hz are needed"
            )
        order = np.argsort(lead_indices(known))
        return signal[order][None], tuple(known[row] for row in order)

    @classmethod
    def from_pretrained(cls, where: str | Path, **how: Any) -> "Model":
        """`load`, under the name that users of the Hub know."""
        return load(where, **how)

    def save_pretrained(self, folder: str | Path, **how: Any) -> None:
        """Write a folder that the Hub takes; see `kmerl.predict.exporting.export`."""
        exporting.export(Path(folder), self.config, self.network, self.vocabulary, **how)


def load(
    where: str | Path | None = None,
    *,
    revision: str | None = None,
    device: str = "auto",
    batch: int | None = None,
) -> Model:
    """A trained model.

    Args:
        where: a folder that stage pretrain or `kmerl export` wrote; the name of a repository of
            the Hub, ORGANISATION/NAME; or "simulated", the model that comes with this package,
            which has seen simulated hearts and no patient. What is here goes before. By default
            the folder `models` if there is one, and else "simulated".
        revision: of the repository: a commit, tag or branch. Pin the commit where answers must
            stay the same.
        device: "cpu", "cuda", or "auto", which takes a GPU where there is one.
        batch: recordings that pass the model at a time.

    Raises:
        FileNotFoundError: there is no such folder or repository, or it holds no model.
        ValueError: a file is damaged, or of another version; or the device is not here.
    """
    folder = hub.fetch(shipped.chosen(where), revision)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not here ({type(error).__name__})") from None
    config, network = model_files.load(folder)
    vectors = hub.read_names(folder / hub.NAMES, config.text_width)
    digest = hashlib.sha256((folder / model_files.CONFIG).read_bytes()).hexdigest()
    return Model(config, network, device=device, batch=batch, vectors=vectors, digest=digest)
