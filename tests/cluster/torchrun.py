"""Pretraining on two nodes of torchrun's that share nothing but a port of this machine: each has a
folder, so a disk, of its own.

    python -m pytest --numprocesses=0 tests/cluster/torchrun.py
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from kmerl.training.checkpoint import NAME as CHECKPOINTS
from tests.cohorts import read_rows, write_cohort
from tests.import_closure import ROOT
from tests.test_training import values

TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nnodes=1:2", "--nproc-per-node=1"),
    *("--max-restarts=3", "--rdzv-backend=c10d"),
]
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # docs/cluster.md
}
EPOCHS, STEPS = 60, 4 * 60


class Nodes:
    """Two agents of torchrun, started in `root`/0 and `root`/1."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
        chosen = values(pretrain__epochs=EPOCHS, runtime__threads=1, runtime__save_minutes=0.005)
        self.folders = [root / str(node) for node in (0, 1)]
        self.agents: list[psutil.Popen] = []
        for node, folder in enumerate(self.folders):
            if not folder.exists():
                write_cohort(folder)
                (folder / "params.yaml").write_text(yaml.safe_dump(chosen))
            meeting = [  # at the first node, which by name could be either
                f"--rdzv-conf=last_call_timeout=5,is_host={node == 0}",
                f"--rdzv-endpoint={endpoint}",
            ]
            command = [*TORCHRUN, *meeting, "-m", "stages.pretrain"]
            with open(folder / "log", "a") as log:
                self.agents.append(
                    psutil.Popen(
                        command,
                        cwd=folder,
                        env={**os.environ, **ENVIRONMENT},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )

    def reach(self, steps: int) -> None:
        """Wait until both nodes have a checkpoint after so many steps."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            done = [
                max([int(p.stem.split("-")[1]) for p in (f / CHECKPOINTS).glob("*.pt")], default=0)
                for f in self.folders
            ]
            if min(done) >= steps:
                return
            time.sleep(0.05)
        raise AssertionError(f"{done}, {self.logs()}")

    def worker(self, node: int) -> psutil.Process:
        return next(
            child
            for child in self.agents[node].children(recursive=True)
            if "stages.pretrain" in child.cmdline()
        )

    def logs(self) -> str:
        return "\n".join((folder / "log").read_text() for folder in self.folders)

    def trained(self) -> tuple[list[dict[str, str]], bytes]:
        """Curves and model of whichever node was the first in the end."""
        (folder,) = (folder for folder in self.folders if (folder / "models").exists())
        curves = read_rows(folder / "plots/pretrain.csv")
        return curves, (folder / "models/model.safetensors").read_bytes()

    def stop(self) -> None:
        for agent in self.agents:
            for process in [*agent.children(recursive=True), agent] if agent.is_running() else []:
                process.kill()
            agent.wait()


@pytest.fixture
def start(tmp_path):
    running = []

    def new(name):
        running.append(Nodes(tmp_path / name))
        return running[-1]

    yield new
    for nodes in running:
        nodes.stop()


def gone_on_after(logs: str) -> list[int]:
    return [int(steps) for steps in re.findall(r"goes on after (\d+) of", logs)]


def test_neither_kill_nor_sigterm_changes_a_bit(start):
    """Of two nodes: a worker is killed, and torchrun begins again; then SIGTERM, as SLURM sends it,
    ends both, and they are started again."""
    undisturbed = start("undisturbed")
    assert [agent.wait(300) for agent in undisturbed.agents] == [0, 0]
    disturbed = start("disturbed")
    disturbed.reach(24)
    disturbed.worker(1).send_signal(signal.SIGKILL)
    disturbed.reach(80)
    for agent in disturbed.agents:
        agent.terminate()
    assert all(agent.wait(300) for agent in disturbed.agents)
    again = start("disturbed")
    assert [agent.wait(300) for agent in again.agents] == [0, 0], again.logs()
    first, second = gone_on_after(again.logs())
    assert 24 <= first < 80 <= second < STEPS
    assert again.trained() == undisturbed.trained()
    assert len(again.trained()[0]) == EPOCHS
    assert not [path for folder in again.folders for path in (folder / CHECKPOINTS).iterdir()]


def test_a_node_that_leaves_does_not_end_the_training(start):
    nodes = start("left")
    nodes.reach(24)
    for process in (nodes.agents[1], nodes.worker(1)):
        process.kill()
    assert nodes.agents[0].wait(300) == 0, nodes.logs()
    (steps,) = gone_on_after(nodes.logs())
    assert 24 <= steps < STEPS
    assert len(nodes.trained()[0]) == EPOCHS
