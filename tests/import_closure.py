"""What a stage's code is made of: its script, the modules it imports, and the data they read.

`python -m tests.import_closure` prints the code deps of each stage as dvc.yaml must list them.
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("kmerl", "stages")
CHOSEN_BY_NAME = {  # modules and data that a module finds through a name it is given
    "kmerl/corpora/ingest.py": ["kmerl/corpora/*.py"],
    "kmerl/knowledge/mining.py": ["kmerl/knowledge/lexicon/*.py", "kmerl/knowledge/vllm/*.py"],
    "kmerl/knowledge/lexicon/vocabulary.py": ["kmerl/knowledge/lexicon/*.yaml"],
    "kmerl/recordings/opening.py": ["kmerl/recordings/*.py"],
    "kmerl/report/ecg_paper.py": ["kmerl/report/templates/ecg.svg"],
    "kmerl/report/paper_page.py": ["kmerl/report/templates/paper.html"],
    "kmerl/report/run_page.py": ["kmerl/report/templates/report.html"],
    "kmerl/report/writers/html.py": [
        f"kmerl/report/templates/{name}.*" for name in ("page", "grid", "chart")
    ],
    "kmerl/report/writers/latex.py": ["kmerl/report/templates/table.tex"],
    "kmerl/synthetic/cohort.py": ["kmerl/synthetic/layouts/*"],
    "kmerl/training/model.py": ["kmerl/methods/*.py"],
}
NEUTRAL = {  # modules that decide nothing of any output but its rounding, as `runtime:` does
    "kmerl/engines.py": "which processes and machines do the work",
    "kmerl/errors.py": "how a command prints what went wrong",
    "kmerl/progress.py": "how far a stage is, on the terminal",
    "kmerl/runtime.py": "how many workers, threads and devices run: how sums are rounded, no more",
}
METHOD = "kmerl/methods/${method}.py"  # dvc.yaml names the chosen method's file, and no other's
DATA = re.compile(r'files\(\s*"(kmerl[\w.]*)"\s*\)((?:\.joinpath\([^)]*\)|\s*/\s*"[^"]+")*)')


@cache
def closure(stage: str) -> set[str]:
    """Repository paths of code and package data that decide what `python -m stages.<stage>` writes:
    all that it may run, but `NEUTRAL`."""
    seen: set[str] = set()
    waiting = [f"stages/{stage}.py"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if path.endswith(".py"):
            waiting += [*imports(path), *_data(path), *_chosen(path)]
    return {path for path in seen if path not in NEUTRAL and not _empty(path)}


def is_method(path: str) -> bool:
    return Path(path).parent == Path(METHOD).parent and Path(path).name != "__init__.py"


def folded(paths: set[str]) -> set[str]:
    """`paths` with each directory of which all is used in place of its files.

    DVC parses every dep of dvc.yaml and dvc.lock at every start, so a short list is a quick one.
    The methods are not folded: a stage runs one of them, `METHOD`.
    """
    paths = {METHOD if is_method(path) else path for path in paths}
    found = set(paths)
    directories = {parent for path in paths for parent in Path(path).parents}
    for directory in sorted(directories - {Path(), Path("kmerl"), Path("stages")}, reverse=True):
        inside = {
            file.relative_to(ROOT).as_posix()
            for file in (ROOT / directory).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        used = {path for path in inside if path not in NEUTRAL and not _empty(path)}
        if len(used) > 1 and used <= paths:
            found = (found - inside) | {directory.as_posix()}
            found -= {path for path in found if Path(path).is_relative_to(directory)}
            found.add(directory.as_posix())
    return found


@cache
def imports(path: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [_file(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [_file(f"{node.module}.{alias.name}") for alias in node.names]
            found += [name for name in inner if name] or [_file(node.module)]
    return tuple(name for name in found if name)


def _file(module: str) -> str:
    if module.split(".", maxsplit=1)[0] not in PACKAGES:
        return ""
    path = module.replace(".", "/")
    files = (f"{path}.py", f"{path}/__init__.py")
    return next((file for file in files if (ROOT / file).exists()), "")


def _data(path: str) -> list[str]:
    """Package data named through importlib.resources in a module."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = []
    for package, tail in DATA.findall(text):
        parts = re.findall(r'"([^"]+)"', tail)
        found.append("/".join([*package.split("."), *parts]))
    return found


def _chosen(path: str) -> list[str]:
    patterns = CHOSEN_BY_NAME.get(path, [])
    return [
        file.relative_to(ROOT).as_posix()
        for pattern in patterns
        for file in ROOT.glob(pattern)
        if file.is_file() and file.suffix != ".pyc"
    ]


def _empty(path: str) -> bool:
    file = ROOT / path
    return file.is_file() and not file.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    for script in sorted((ROOT / "stages").glob("[a-z]*.py")):
        print(f"{script.stem}:")
        print("".join(f"      - {path}\n" for path in sorted(folded(closure(script.stem)))))
