"""Where the corpora are to be had, and the commands that fetch them: sources.yaml.

`kmerl data get` is one of them; the others are of tools that many have already.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field

from kmerl import params
from kmerl.files import read_yaml
from kmerl.params import Count, checked

BUCKET = "s3://physionet-open"
REMOTE = f"""\
dvc remote add physionet {BUCKET}
dvc remote modify physionet allow_anonymous_login true"""
"""What `dvc import-url` needs beforehand, once, beside kmerl[s3]."""


@checked
class Source:
    """One entry of sources.yaml, which says what the fields are."""

    title: str
    version: str
    about: str
    records: Count
    patients: Count | None
    files: Count
    bytes: Annotated[int, Field(gt=0, lt=2**63)]
    licence: str
    credentials: str
    project: str
    pages: str
    folder: str
    unread: str

    @property
    def below(self) -> str:
        """The corpus's folder inside its project, as an address goes on: "", or with a slash."""
        return f"/{self.folder}" if self.folder else ""

    def commands(self, corpus: str, root: str) -> dict[str, str]:
        """{tool: the command that brings the corpus into the folder `root`}."""
        name = self.project.removeprefix(f"{BUCKET}/")
        without = f" --exclude '{self.unread}/*'" if self.unread else ""
        folder = f"{self.pages}{self.below}".partition("://")[2].partition("/")[2]
        reject = f" -X /{folder}/{self.unread}" if self.unread else ""
        depth = folder.count("/") + 1
        return {
            "kmerl": f"kmerl data get {corpus} --to {root}",
            "aws": f"aws s3 sync --no-sign-request{without} {self.project}{self.below}/ {root}",
            "wget": f"wget -r -N -c -np -nH --cut-dirs={depth} -R 'index.html*'{reject}"
            f" -P {root} {self.pages}{self.below}/",
            "dvc": f"dvc import-url remote://physionet/{name}{self.below} {root}",
        }


@cache
def sources() -> dict[str, Source]:
    """Every corpus that K-MERL reads, and where it is to be had."""
    known = read_yaml(files("kmerl.download") / "sources.yaml")
    return params.build(dict[str, Source], known, "kmerl/download/sources.yaml")


def source(corpus: str) -> Source:
    """Where a corpus is to be had.

    Raises:
        ValueError: there is no such corpus.
    """
    if corpus not in sources():
        raise ValueError(f"unknown corpus {corpus!r}; {params.nearest(corpus, sources())}")
    return sources()[corpus]


def root_of(corpus: str, path: Path | str = "params.yaml") -> str:
    """Where the chain looks for a corpus: its root in params.yaml, if that is not the place of the
    synthetic one; otherwise where params/paper.yaml has it."""
    from kmerl.corpora.entries import Corpora  # heavy

    known = params.load("corpora", Corpora, path) if Path(path).exists() else {}
    if corpus in known:
        root = known[corpus].root
        if not Path(root).is_relative_to("raw/synthetic"):
            return root
    return f"raw/{corpus}"
