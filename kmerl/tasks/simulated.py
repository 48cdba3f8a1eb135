"""Where the simulated corpora lie, and which corpora of a run are simulated."""

from collections.abc import Mapping
from pathlib import Path

ROOT = Path("raw/synthetic")
"""Stage `synthesize` writes here: a corpus whose root lies below it is not the real one."""


def simulated(corpora: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Names of the simulated corpora. `corpora`: that section of params.yaml."""
    return {name for name, place in corpora.items() if is_simulated(Path(place["root"]))}


def is_simulated(path: Path) -> bool:
    """Whether stage `synthesize` writes what lies at `path`."""
    return ROOT in path.parents
