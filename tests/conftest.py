"""Shapes in signatures are checked while the tests run; what is made once a worker."""

import gc
import os
import shutil
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

CHECKED = [
    "kmerl.distributed",
    "kmerl.losses",
    "kmerl.methods",
    "kmerl.models",
    "kmerl.predict.model",
    "kmerl.text",
    "kmerl.evaluation.encode",
    "kmerl.evaluation.fine_tune",
    "kmerl.evaluation.fine_tune_fit",
    "kmerl.evaluation.memory_store",
]
install_import_hook(CHECKED, "beartype.beartype")

torch.set_num_threads(1)  # sums keep their order, and small tensors are faster
os.fsync = lambda _: None  # no test loses power, and each would wait for the disk
gc.disable()  # until all is imported
LONGEST = [
    f"test_{name}.py"
    for name in (
        "chunks", "wheel", "methods", "training", "fine_tune", "listing", "any_leads", "simulated",
        "engines", "evaluation", "fuzz", "experiments_queue", "encode", "processes", "cost",
    )
]  # fmt: skip
"""Files by the seconds they take; they come first, so that none is left to one worker alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


def pytest_collection_finish() -> None:
    """What is imported stays to the end: no search for garbage need look at it."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def training_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tests.cohorts.write_cohort` makes, to read from or to copy."""
    from tests.cohorts import write_cohort  # after the hook above

    return write_cohort(tmp_path_factory.mktemp("training")).parent


@pytest.fixture
def here(training_cohort, tmp_path, monkeypatch):
    """Inside a copy of `training_cohort`, in a training that nobody watches."""
    shutil.copytree(training_cohort, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmerl.training.session._live", lambda: None)
    return tmp_path


@pytest.fixture(scope="session")
def evaluation_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tests.evaluation_cohort.build` makes, to read from or to copy."""
    from tests.evaluation_cohort import build  # after the hook above

    return build(tmp_path_factory.mktemp("evaluation"))


@pytest.fixture
def world(evaluation_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a copy of `evaluation_cohort`."""
    shutil.copytree(evaluation_cohort, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
