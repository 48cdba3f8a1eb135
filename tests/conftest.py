"""Shapes in signatures are checked while the tests run; what is made once a worker."""

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


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory: a tiny cohort that is ready for training, which nobody watches."""
    from tests.cohorts import write_cohort

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kmerl.training.session._live", lambda: None)
    write_cohort(tmp_path)
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
