"""A probe on disk: `probe.safetensors` and `probe.json`; nothing in it is executed when read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from kmerl import files
from kmerl.leads import parse_leads
from kmerl.params import build, checked

WEIGHTS, CONFIG = "probe.safetensors", "probe.json"
_AGAIN = "run `kmerl probe` again"


@checked
class ProbeConfig:
    """What probe.json holds. `model` is the digest of the weights whose features were probed;
    empty where the features came from a file."""

    model: str
    lead_sets: dict[str, tuple[str, ...]]
    classes: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Probe:
    """Linear classifiers of features, by lead set: weight (class, width) and bias (class,)."""

    config: ProbeConfig
    weight: Mapping[str, Float[np.ndarray, "class width"]]
    bias: Mapping[str, Float[np.ndarray, " class"]]

    digest: str = ""

    def probabilities(
        self, leads: str, features: Float[np.ndarray, "record width"]
    ) -> Float[np.ndarray, "record class"]:
        """Of the classes `config.classes[leads]`."""
        logits = features.astype(np.float64) @ self.weight[leads].T + self.bias[leads]
        return np.asarray(1 / (1 + np.exp(-logits)))

    def asked_for(self, leads: str | None) -> str:
        """The lead set that a person means; of one alone nobody need say it.

        Raises:
            ValueError: the probe was made with others.
        """
        if leads is None and len(self.config.lead_sets) == 1:
            return next(iter(self.config.lead_sets))
        return self.key_of(() if leads is None else parse_leads(leads))

    def key_of(self, leads: tuple[str, ...]) -> str:
        """The lead set that has these leads.

        Raises:
            ValueError: the probe was made with others.
        """
        for key, members in self.config.lead_sets.items():
            if members == leads:
                return key
        raise ValueError(
            f"the probe was made with leads {' or '.join(self.config.lead_sets)}, not with "
            f"{','.join(leads) or 'any'}; choose with --leads, or probe again"
        )


def write_probe(directory: Path, probe: Probe) -> None:
    """The same bytes for the same probe."""
    tensors = {f"weight/{key}": np.ascontiguousarray(v) for key, v in probe.weight.items()}
    tensors |= {f"bias/{key}": np.ascontiguousarray(v) for key, v in probe.bias.items()}
    with files.atomic(directory / WEIGHTS) as partial:
        save_file(tensors, partial)
    values = {**asdict(probe.config), "sha256": _digest(directory / WEIGHTS)}
    files.write_text(directory / CONFIG, json.dumps(values, indent=1, sort_keys=True) + "\n")


def read_probe(directory: Path) -> Probe:
    """
    Raises:
        FileNotFoundError: there is none.
        ValueError: a file is damaged, or the two do not belong together.
    """
    for name in (CONFIG, WEIGHTS):
        if not (directory / name).is_file():
            raise FileNotFoundError(f"{directory / name} does not exist; `kmerl probe` makes it")
    values = files.read_json(directory / CONFIG)
    with files.reading(directory / CONFIG, _AGAIN):
        digest = values.pop("sha256")
    config = build(ProbeConfig, values, str(directory / CONFIG))
    with files.reading(directory / WEIGHTS, _AGAIN):
        if _digest(directory / WEIGHTS) != digest:
            raise ValueError(f"not the weights that {CONFIG} was written with")
        tensors = load_file(directory / WEIGHTS)
        weight, bias = (
            {key: tensors[f"{part}/{key}"] for key in config.lead_sets}
            for part in ("weight", "bias")
        )
        for key, classes in config.classes.items():
            if bias[key].shape != (len(classes),) or weight[key].shape[:-1] != (len(classes),):
                raise ValueError(f"{key!r} has not a classifier for each of its classes")
    return Probe(config, weight, bias, digest)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
