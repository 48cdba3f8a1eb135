"""A model that answers by a probe (`kmerl probe`) in place of its query network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kmerl.evaluation.probe_file import CONFIG, Probe, read_probe
from kmerl.predict import batching
from kmerl.predict.model import Model


class ProbedModel(Model):
    """Asked with the leads of one of the probe's lead sets, it answers that set's classes."""

    def __init__(self, model: Model, probe: Probe, key: str) -> None:
        super().__init__(
            model.config,
            model.network,
            device=model.device,
            batch=model.batch,
            digest=f"{model.digest}-{probe.digest}-{key}",
        )
        self.probe, self.key = probe, key
        self.names = probe.config.classes[key]
        self.entities = list(self.names)

    def asked(self, names: Sequence[str]) -> batching.Work:
        """Probabilities (record, name) of the probe's own classes."""
        if unknown := [name for name in names if name not in self.names]:
            raise ValueError(
                f"a probe answers its own classes, {', '.join(self.names)}, not {unknown[0]!r}; "
                "leave out --classes and --task"
            )
        columns = [self.names.index(name) for name in names]

        def work(signal: np.ndarray, leads: tuple[str, ...]) -> np.ndarray:
            self.probe.key_of(leads)
            return self.probe.probabilities(self.key, self.features(signal, leads))[:, columns]

        return work

    def in_company(self, *_: object) -> dict[str, np.ndarray]:
        """The classes of a probe do not see each other."""
        return {}


def with_probe(model: Model, folder: Path | None, leads: str | None, where: str) -> Model:
    """The model itself, or with the probe in `folder`, or with that in the model's own folder
    `where`, which `kmerl fine-tune` wrote.

    Args:
        leads: those asked for; needed where the probe has several lead sets.

    Raises:
        FileNotFoundError: there is no probe.
        ValueError: it is damaged, of another model, or has not this lead set.
    """
    if folder is None:
        if not (Path(where) / CONFIG).is_file():
            return model
        folder = Path(where)
    probe = read_probe(folder)
    if probe.config.model != model.digest:
        made = "with another model" if probe.config.model else "of features from a file"
        raise ValueError(f"{folder}: the probe was made {made}; give that model's --model")
    return ProbedModel(model, probe, probe.asked_for(leads))
