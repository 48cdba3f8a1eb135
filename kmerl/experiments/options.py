"""Options that experiments give to their methods; apart from the catalogue, as it imports torch."""

from collections.abc import Iterable
from pathlib import Path

from kmerl import params
from kmerl.experiments.catalogue import Experiment
from kmerl.params import ParamsError
from kmerl.training.model import sections_of


def check(experiments: Iterable[Experiment], parameters: Path | str) -> None:
    """Is each `options.*` an option of its experiment's method?

    Raises:
        ParamsError: there is no such method or option; the message names the experiment.
    """
    values = params.read(parameters)
    for experiment in experiments:
        options = dict(values["options"])
        for key, value in experiment.set.items():
            if key.startswith("options."):
                options[key.removeprefix("options.")] = value
        method = experiment.set.get("method", values["method"])
        try:
            sections_of(method, {**values, "options": options})
        except ParamsError as error:
            raise ParamsError(f"experiment {experiment.name}: {error}") from None
