"""Pretraining that goes on from another model's weights (`pretrain.start_from`)."""

import os
from pathlib import Path

from kmerl.errors import repository
from kmerl.methods import Method
from kmerl.params import ParamsError
from kmerl.store.index import sha256
from kmerl.training import model as model_files
from kmerl.training.model import ModelConfig

VOCABULARY = ("entities",)
"""Tensors that are the vocabulary itself. F_CQ asks by text vectors, so all its weights are of any
vocabulary; the vectors stay those of the labels that are trained on now."""
SAME = ("method", "signal", "text_encoder", "text_width", "rate", "samples")
"""What weights mean nothing without."""


def begin(model: Method, config: ModelConfig, start_from: str) -> None:
    """Put another model's weights in place of the drawn ones, all but the vocabulary.

    Args:
        start_from: FOLDER@DIGEST; a relative folder lies below the repository.

    Raises:
        FileNotFoundError: the folder holds no model.
        ParamsError: its weights have another digest, are of another method, input or text encoder,
            or a tensor has another shape; the message names it.
        ValueError: a file is damaged.
    """
    named, _, digest = start_from.rpartition("@")
    folder = repository(Path.cwd()) / Path(os.path.expandvars(named)).expanduser()
    where = f"pretrain.start_from: {named}"
    theirs, trained = model_files.load(folder)
    if not (found := sha256(folder / model_files.WEIGHTS)).startswith(digest):
        raise ParamsError(f"{where} holds other weights, write {named}@{found[:12]} for these")
    for key in SAME:
        ours, other = getattr(config, key), getattr(theirs, key)
        if ours != other:
            raise ParamsError(f"{where} was trained with {key} {other}, here it is {ours}")
    weights, wanted = trained.state_dict(), model.state_dict()
    for name in sorted({*weights, *wanted} - {*VOCABULARY}):
        shapes = [tuple(one[name].shape) if name in one else None for one in (weights, wanted)]
        if shapes[0] != shapes[1]:
            raise ParamsError(
                f"{where}: tensor {name} is {shapes[0] or 'not there'}, here "
                f"{shapes[1] or 'there is none'}: set the sections of the network as it has them"
            )
    model.load_state_dict({k: wanted[k] if k in VOCABULARY else v for k, v in weights.items()})
