"""The model that comes with this package, and when it is the one that answers.

It was trained on simulated hearts and their reports: no patient is in it.
`kmerl/predict/simulated/README.md` is its card.
"""

from importlib import resources
from pathlib import Path

MODELS = "models"
"""Where stage pretrain writes."""
SIMULATED = "simulated"
"""The name by which the package's own model is asked for."""
NOTE = (
    "no folder `models` here: the model that comes with K-MERL answers, trained on simulated "
    "hearts alone"
)


def chosen(where: str | Path | None = None) -> str | Path:
    """`where`; by default the folder `models` if there is one, and else the package's model."""
    if where:
        return where
    return MODELS if Path(MODELS).exists() else SIMULATED


def folder() -> Path:
    """Of the package's model."""
    return Path(str(resources.files("kmerl.predict"))) / SIMULATED
