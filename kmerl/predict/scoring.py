"""A trained K-MERL asked about a recording: any subset of leads, any class names (Sec. 4.2.1)."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from kmerl.leads import canonical, lead_indices
from kmerl.methods import Method, Query
from kmerl.models.inputs import normalised
from kmerl.text import TextTower
from kmerl.training.model import ModelConfig
from kmerl.training.model import load as load_model


class Predictor:
    """Zero-shot classification of single recordings (Sec. 4.2.1)."""

    def __init__(self, config: ModelConfig, model: Method) -> None:
        if not isinstance(model, Query):
            raise ValueError(
                f"the model is of method {config.method!r}, which has no query network to ask for "
                "class names; `kmerl predict` needs one of method kmerl"
            )
        self.config = config
        self.model = model
        self.query: Query = model
        self.entities = list(config.entities)

    @cached_property
    def tower(self) -> TextTower:
        """The text tower, loaded when a name is first asked."""
        return TextTower(self.config.text_encoder)

    @torch.inference_mode()
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
        return self._probabilities(self._tokens(signal, leads), names)[0]

    @torch.inference_mode()
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
        tokens = self._tokens(signal, leads)
        alone = self._probabilities(tokens, *([name] for name in names))
        others = [entity for entity in self.entities if entity not in names]
        beside = self._probabilities(tokens, [*names, *others])[0][: len(names)]
        return {"alone": np.concatenate(alone), "beside the model's entities": beside}

    def _probabilities(
        self, tokens: Tensor, *asked: Sequence[str]
    ) -> list[Float[np.ndarray, " name"]]:
        vectors = [torch.from_numpy(self.tower.embed(list(names))) for names in asked]
        return [logits[0].sigmoid().numpy() for logits in self.query.score(tokens, *vectors)]

    def _tokens(self, signal: Num[np.ndarray, "lead sample"], leads: Sequence[str]) -> Tensor:
        known = [canonical(lead) for lead in leads]
        if len(set(known)) != len(known):
            raise ValueError(f"leads {', '.join(known)}: a lead is given twice")
        if signal.shape != (len(known), self.config.samples):
            raise ValueError(
                f"the signal's shape is {signal.shape}; {len(known)} leads of "
                f"{self.config.samples} samples at {self.config.rate} Hz are needed"
            )
        index = np.array(lead_indices(known))
        order = np.argsort(index)  # sums in one order: the same bits however the leads are given
        values = normalised(signal[order][None], None, self.config.signal)
        return self.model.encoder(torch.from_numpy(values), torch.from_numpy(index[order])[None])


def load(directory: Path | str) -> Predictor:
    """The predictor of a models directory; see `kmerl.training.model.load` for errors."""
    return Predictor(*load_model(Path(directory)))
