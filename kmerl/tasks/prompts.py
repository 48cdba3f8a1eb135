"""What F_CQ is asked for each class of the tasks: its name, or MERL's prompt (Fig. 5c).

K-MERL asks by full class name (Sec. 4.1). MERL asks by CKEPE_prompt.json, where an LLM listed
subtypes and attributes of each class code; a code that two tasks share has one text.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from kmerl.files import atomic, read_json, reading, write_text
from kmerl.params import ParamsError
from kmerl.tasks.classes import ClassName, Task

Kind = Literal["names", "ckepe"]
CKEPE = "CKEPE_prompt.json"
"""MERL's file, in the folder that `splits.merl` names."""


@dataclass(frozen=True)
class Asked:
    """The texts that classes are asked by, with their vectors.

    `texts` maps "task/class code" to a text, in the order of the rows of `vectors`; `source` is
    the file that the texts were read from.
    """

    source: str
    texts: dict[str, str]
    vectors: Float[np.ndarray, "text width"]

    def of(self, task: str, kinds: Iterable[ClassName]) -> Float[np.ndarray, "class width"]:
        """The vectors of a task's classes."""
        place = {name: row for row, name in enumerate(self.texts)}
        return self.vectors[[place[class_key(task, kind.code)] for kind in kinds]]

    def named(self, tasks: Iterable[Task]) -> tuple[list[str], Float[np.ndarray, "text width"]]:
        """The different texts of some tasks, sorted, and their vectors."""
        place = {name: row for row, name in enumerate(self.texts)}
        rows = {name: place[key] for key, name in by_name(tasks).items()}
        names = sorted(rows)
        return names, self.vectors[[rows[name] for name in names]]

    def write(self, directory: Path, kind: Kind) -> None:
        """`directory/<kind>.safetensors` for the vectors, `<kind>.json` for the texts."""
        with atomic(directory / f"{kind}.safetensors") as partial:
            save_file({"asked": self.vectors}, partial)
        index = {"source": self.source, "texts": self.texts}
        write_text(directory / f"{kind}.json", json.dumps(index, indent=1, ensure_ascii=False))


def chosen(value: object) -> Kind:
    """The key `prompts` of params.yaml, checked.

    Raises:
        ParamsError: it is none of the kinds.
    """
    if value not in get_args(Kind):
        raise ParamsError(f"prompts is {value!r}; choose one of {', '.join(get_args(Kind))}")
    return cast(Kind, value)


def class_key(task: str, code: str) -> str:
    return f"{task}/{code}"


def by_name(tasks: Iterable[Task]) -> dict[str, str]:
    """{"task/class code": full class name}."""
    return {class_key(t.name, code): name for t in tasks for code, name in t.classes}


def by_ckepe(path: Path, tasks: Iterable[Task]) -> dict[str, str]:
    """{"task/class code": MERL's prompt}, lower-cased as MERL does; codes without one are left out.

    Raises:
        ValueError: the file is no JSON object of texts.
    """
    prompts = read_json(path)
    if not isinstance(prompts, dict) or not all(isinstance(v, str) for v in prompts.values()):
        raise ValueError(f"{path} must map each class code to one text, as MERL's {CKEPE} does")
    codes = [(task.name, kind.code) for task in tasks for kind in task.classes]
    return {
        class_key(task, code): prompts[code].lower()
        for task, code in codes
        if prompts.get(code, "").strip()
    }


def read_asked(directory: Path, kind: Kind, tasks: Iterable[Task]) -> Asked:
    """What stage `embed_text` wrote of one kind.

    Raises:
        FileNotFoundError: it has not run.
        ValueError: a class of a task has no text, or the two files do not belong together.
    """
    index_path, path = directory / f"{kind}.json", directory / f"{kind}.safetensors"
    if not index_path.exists() or not path.exists():
        raise FileNotFoundError(f"{index_path} does not exist; run `dvc repro embed_text`")
    index = read_json(index_path)
    with reading(path, "run `dvc repro embed_text` again"):
        vectors = load_file(path)["asked"]
    with reading(index_path, "run `dvc repro embed_text` again"):
        asked = Asked(index["source"], index["texts"], vectors)
    if len(asked.texts) != len(asked.vectors):
        raise ValueError(f"{path} has other rows than {index_path}; run `dvc repro embed_text`")
    for task in tasks:
        for kind_of in task.classes:
            if class_key(task.name, kind_of.code) not in asked.texts:
                raise ValueError(
                    f"{asked.source} has no text for class {kind_of.code!r} ({kind_of.name}) of "
                    f"{task.name}: add one, or set prompts to names"
                )
    return asked
