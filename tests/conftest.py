"""Shapes in signatures are checked while the tests run."""

import pytest
import torch
from jaxtyping import install_import_hook

CHECKED = [
    "kmerl.distributed",
    "kmerl.losses",
    "kmerl.methods",
    "kmerl.models",
    "kmerl.predict.scoring",
    "kmerl.text",
    "kmerl.evaluation.encode",
    "kmerl.evaluation.fine_tune",
    "kmerl.evaluation.fine_tune_fit",
    "kmerl.evaluation.recordings",
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
