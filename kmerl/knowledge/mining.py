"""What the stages that ask a backend share: open it, then write what they counted and lost."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

from kmerl import files, params
from kmerl.knowledge.backend import Backend, MiningError, Name
from kmerl.knowledge.extract import Extract

ANSWERS = Path("data/answers")


@dataclass
class Mining:
    """A stage at work: its backend, its fresh output directory, and its own counts."""

    backend: Backend
    out: Path
    counts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def open_backend(name: str, answers: Path) -> Iterator[Backend]:
    """The backend `name`, which keeps answers under `answers`; what it started ends with it.

    Raises:
        MiningError: there is no backend of that name.
    """
    if name not in get_args(Name):
        known = ", ".join(get_args(Name))
        raise MiningError(f"extract.backend is {name!r}; known backends: {known}")
    module = import_module(f"kmerl.knowledge.{name}.backend")
    with cast(AbstractContextManager[Backend], module.open_backend(answers)) as backend:
        yield backend


@contextmanager
def mining(stage: str) -> Iterator[Mining]:
    """Open the backend that params.yaml names; at the end write counts.json and unresolved.csv.

    Raises:
        MiningError: more questions than `extract.max_unresolved` got no usable answer, or the
            backend cannot go on; the message says what to do.
    """
    settings = params.load("extract", Extract)
    with open_backend(settings.backend, ANSWERS / stage) as backend:
        work = Mining(backend, files.fresh_directory(f"data/{stage}"))
        yield work
        _close(work, stage, settings.max_unresolved)


def _close(work: Mining, stage: str, allowed: float) -> None:
    lost = work.backend.unresolved()
    rows = sorted((one.about, one.reason, one.reply) for one in lost)
    files.write_csv(work.out / "unresolved.csv", ("about", "reason", "reply"), rows)
    asked = work.backend.counts()
    if asked:
        work.counts["llm"] = asked
    files.write_json(work.out / "counts.json", work.counts)
    if lost and len(lost) > allowed * asked["questions"]:
        raise MiningError(
            f"{len(lost)} of {asked['questions']} questions got no usable answer, more "
            f"than extract.max_unresolved ({allowed:g}) allows; {work.out}/unresolved.csv lists "
            "them with their reasons. Their replies are kept: ask otherwise (another llm.model, "
            f"llm.max_tokens, llm.system), allow more, or remove {ANSWERS / stage} to ask again"
        )
