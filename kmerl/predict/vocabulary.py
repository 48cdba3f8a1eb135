"""The names a model is asked for, as text vectors: each embedded once a model."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from kmerl.text import TextEncoderParams, TextTower


class Vocabulary:
    """Names and their text vectors.

    Args:
        known: vectors that are there already: the entities', which a model has in itself, and those
            that travel with it.
        width: numbers of a vector.
    """

    def __init__(self, encoder: TextEncoderParams, known: Mapping[str, Tensor], width: int) -> None:
        self.encoder = encoder
        self.known = dict(known)
        self.width = width

    @cached_property
    def tower(self) -> TextTower:
        """The text tower, loaded when a name is first asked whose vector is not there."""
        return TextTower(dataclasses.replace(self.encoder, batch=1))

    def vectors(self, names: Sequence[str]) -> Float[Tensor, "name text"]:
        """Text vectors of names, each embedded by itself, so that no company changes its bits.

        Raises:
            ValueError: the text encoder is another than the model was trained with.
        """
        missing = list(dict.fromkeys(name for name in names if name not in self.known))
        if missing:
            made = torch.from_numpy(self.tower.embed(missing))
            if made.shape[1] != self.width:
                raise ValueError(
                    f"text encoder {self.encoder.model!r} gives vectors of {made.shape[1]} "
                    f"numbers, the model was trained on {self.width}"
                )
            self.known |= zip(missing, made, strict=True)
        return torch.stack([self.known[name] for name in names])
