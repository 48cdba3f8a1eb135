"""Where a model is found: a folder here, this package, or a repository of the Hugging Face Hub."""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from kmerl import files
from kmerl.predict import shipped
from kmerl.training import model as model_files

NAMES = "names.safetensors"
"""Text vectors of names that travel with a model; only exported folders have it."""
CARD = "README.md"
FILES = (model_files.CONFIG, model_files.WEIGHTS, NAMES, CARD)
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def fetch(where: str | Path, revision: str | None = None) -> Path:
    """The folder of a model; one of the Hub is fetched into its cache, or found there.

    Raises:
        FileNotFoundError: there is none.
    """
    folder = Path(where)
    if str(where) == shipped.SIMULATED and not folder.is_dir():
        return shipped.folder()
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
