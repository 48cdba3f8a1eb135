"""Where a model is found: a folder here, or a repository of the Hugging Face Hub."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from kmerl import files
from kmerl.predict.model import Model
from kmerl.training import model as model_files

NAMES = "names.safetensors"
"""Text vectors of names that travel with a model; only exported folders have it."""
FILES = (model_files.CONFIG, model_files.WEIGHTS, NAMES, "README.md")
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def load(
    where: str | Path = "models",
    *,
    revision: str | None = None,
    device: str = "auto",
    batch: int | None = None,
) -> Model:
    """A trained model.

    Args:
        where: a folder that stage pretrain or `kmerl export` wrote, or the name of a repository of
            the Hub, ORGANISATION/NAME. What is here goes before.
        revision: of the repository: a commit, tag or branch. Pin the commit where answers must
            stay the same.
        device: "cpu", "cuda", or "auto", which takes a GPU where there is one.
        batch: recordings that pass the model at a time.

    Raises:
        FileNotFoundError: there is no such folder or repository, or it holds no model.
        ValueError: a file is damaged, or of another version.
    """
    folder = fetch(where, revision)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} is not here ({type(error).__name__})") from None
    config, network = model_files.load(folder)
    vectors = read_names(folder / NAMES, config.text_width)
    digest = hashlib.sha256((folder / model_files.CONFIG).read_bytes()).hexdigest()
    return Model(config, network, device=device, batch=batch, vectors=vectors, digest=digest)


def fetch(where: str | Path, revision: str | None = None) -> Path:
    """The folder of a model; one of the Hub is fetched into its cache, or found there.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = Path(where)
    if folder.is_dir() or not _HUB.fullmatch(str(where)):
        return folder
    from huggingface_hub import snapshot_download

    try:
        fetched = snapshot_download(str(where), revision=revision, allow_patterns=list(FILES))
    except Exception as error:  # of its many kinds, all say that it is not to be had
        at = f" at revision {revision}" if revision else ""
        raise FileNotFoundError(
            f"{where} does not exist here, nor can it be had from the Hub{at} "
            f"({type(error).__name__}); `dvc repro pretrain` makes a model, and its folder is "
            "models"
        ) from None
    return Path(fetched)


def read_names(path: Path, width: int) -> dict[str, Tensor]:
    """Names and their text vectors; none where there is no such file.

    Raises:
        DamagedError: it is torn, or of another model.
    """
    if not path.exists():
        return {}
    with files.reading(path, "fetch the folder again"), safe_open(path, framework="pt") as file:
        names: list[str] = json.loads((file.metadata() or {})["names"])
        vectors: Any = file.get_tensor("vectors")
        if vectors.shape != (len(names), width) or not vectors.isfinite().all():
            raise ValueError(f"vectors of shape {tuple(vectors.shape)}, {len(names)} x {width}")
        return dict(zip(names, vectors, strict=True))
