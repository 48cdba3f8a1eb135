"""The `corpora` section of params.yaml: where each corpus lies, and what is one's own of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from kmerl import params
from kmerl.corpora.records import CORPORA, CorpusName
from kmerl.params import checked
from kmerl.tasks.classes import OwnTasks, classes, tasks_of


@checked
class CorpusFiles:
    """One entry of the section: where a corpus lies, and its own list of files.

    A `kind` is said of one's own alone: table, whose `manifest` is the table
    (`kmerl.corpora.table`) and `tasks` what its labels are: {task: {class code: full name}}.
    """

    root: str
    manifest: str
    kind: Literal["table"] | None = None
    tasks: OwnTasks | None = None

    def __post_init__(self) -> None:
        if self.tasks is not None and self.kind is None:
            raise ValueError(
                "tasks are given, but kind is not table: an official corpus has its own"
            )


Corpora = dict[CorpusName, CorpusFiles]


class OwnTable(NamedTuple):
    """Where a table lies below its corpus's root, and the class codes of its tasks."""

    manifest: str
    tasks: Mapping[str, Sequence[str]]


def corpus_files(corpus: str, path: Path | str = "params.yaml") -> CorpusFiles:
    """`corpora.<corpus>` of params.yaml.

    Raises:
        ParamsError: the corpus is not in the file, or has no layout.
    """
    known = params.load("corpora", Corpora, path)
    found = known.get(corpus)
    if found is None:
        raise params.ParamsError(f"unknown corpus {corpus!r}; {path} has {', '.join(known)}")
    if found.kind is None and corpus not in CORPORA:
        raise params.ParamsError(
            f"{path}: corpora.{corpus}: the official layouts are of {', '.join(CORPORA)}; a table "
            f"of your own has kind: table"
        )
    return found


def own_tasks(path: Path | str = "params.yaml") -> dict[str, OwnTasks | None]:
    """Of each corpus of params.yaml, the tasks that are one's own."""
    return {name: one.tasks for name, one in params.load("corpora", Corpora, path).items()}


def own_table(corpus: str, files: CorpusFiles) -> OwnTable | None:
    """The table of a corpus that is one's own. Under the name of an official corpus it has the
    tasks of that, too."""
    if files.kind is None:
        return None
    own = {task: list(kinds) for task, kinds in (files.tasks or {}).items()}
    return OwnTable(files.manifest, official_codes(corpus) | own)


def official_codes(corpus: str) -> dict[str, list[str]]:
    """The class codes of each official task of a corpus."""
    return {task: [kind.code for kind in classes(task)] for task in tasks_of(corpus)}
