"""The corpora whose recordings and reports are trained on (`pretrain.corpus`), read as one store.

Stage `pairs` writes which they are and the SHA-256 of each one's index, which names the shards with
theirs: other recordings make another file, and a change of a corpus that is only evaluated makes
none. So what reads `data/ecg` by this file depends on it, and not on the folders.

Where there are several corpora, a record and a patient bear their corpus's name before their own
("ptb-xl/17"), as two corpora may number alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kmerl import files
from kmerl.params import ParamsError, build
from kmerl.store.index import INDEX, Groups, Index, read_index, sha256
from kmerl.store.layout import StoreError
from kmerl.store.reading import read_table

NAME, KEY = "pairs.json", "pretrain.corpus"
OWN = ("record", "patient")
"""What a corpus numbers by itself."""


def corpora_of(corpus: object) -> tuple[str, ...]:
    """The names that `corpus` of section pretrain gives: one, or a list.

    Raises:
        ParamsError: none, or one twice.
    """
    names = (corpus,) if isinstance(corpus, str) else build(tuple[str, ...], corpus, KEY)
    if not names or len({*names}) < len(names):
        raise ParamsError(f"{KEY} is {corpus!r}; name each corpus once, and one at least")
    return names


def choose(corpora: Sequence[str], simulated: Iterable[str], data: Path) -> None:
    """Write `data`/pairs.json.

    Args:
        simulated: those of all corpora in which there is no patient.

    Raises:
        ParamsError: a corpus of which there is no store.
    """
    without = {*simulated}
    chosen = {}
    for corpus in sorted(corpora):
        index = data / "ecg" / corpus / INDEX
        if not index.exists():
            raise ParamsError(
                f"{KEY}: {index} is not there; run `dvc repro ingest@{corpus}`, or name "
                "a corpus of params.yaml"
            )
        chosen[corpus] = {"index": sha256(index), "simulated": corpus in without}
    files.write_json(data / NAME, chosen)


@dataclass(frozen=True)
class PairStores:
    """The stores that `pretrain.corpus` names, by corpus, in the order of names."""

    directories: Mapping[str, Path]
    simulated: frozenset[str]

    @classmethod
    def read(cls, data: Path) -> "PairStores":
        """What `data`/pairs.json names.

        Raises:
            StoreError: a store is missing, or another than the file says.
        """
        chosen = files.read_json(data / NAME)
        directories = {corpus: data / "ecg" / corpus for corpus in chosen}
        for corpus, directory in directories.items():
            index = directory / INDEX
            if not index.exists() or sha256(index) != chosen[corpus]["index"]:
                raise StoreError(
                    f"{directory} is not the store that {data / NAME} names: run `dvc repro pairs`"
                )
        return cls(directories, frozenset(name for name in chosen if chosen[name]["simulated"]))

    def table(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows, corpus after corpus; see `kmerl.store.read_table`."""
        found = {name: read_table(place, columns) for name, place in self.directories.items()}
        return pa.concat_tables(self._named(found)).combine_chunks()

    def index(self) -> Index:
        """All rows as one store's, corpus after corpus.

        Raises:
            StoreError: rates or lengths differ.
        """
        every = {name: read_index(place) for name, place in self.directories.items()}
        first, *others = every.values()
        if not others:
            return first
        groups = [one.groups for one in every.values()]
        if len({(one.rate, one.samples) for one in groups}) > 1:
            raise StoreError(f"{', '.join(every)} differ in rate or length; run `dvc repro ingest`")
        named = self._named({name: one.names for name, one in every.items()})
        return Index(
            directory=first.directory.parent,
            groups=_one_after_another(groups),
            names=pa.concat_tables(named),
            low=np.concatenate([one.low for one in every.values()]),
            high=np.concatenate([one.high for one in every.values()]),
            digests=tuple(digest for one in every.values() for digest in one.digests),
        )

    def own(self, corpus: str) -> str:
        """What stands before a corpus's own numbers of records and patients."""
        return f"{corpus}/" if len(self.directories) > 1 else ""

    def _named(self, tables: Mapping[str, pa.Table]) -> list[pa.Table]:
        """Each table, its records and patients told from those of other corpora."""
        named = []
        for corpus, table in tables.items():
            whole = {
                name: pc.binary_join_element_wise(self.own(corpus), column, "")
                if name in OWN
                else column
                for name, column in zip(table.column_names, table.columns, strict=True)
            }
            named.append(pa.table(whole))
        return named


def _one_after_another(every: Sequence[Groups]) -> Groups:
    shards = np.cumsum([0, *(len(one.paths) for one in every)])
    rows = np.cumsum([0, *(one.rows for one in every)])
    return Groups(
        paths=tuple(path for one in every for path in one.paths),
        samples=every[0].samples,
        rate=every[0].rate,
        shard=np.concatenate([one.shard + n for one, n in zip(every, shards, strict=False)]),
        number=np.concatenate([one.number for one in every]),
        start=np.append(
            np.concatenate([one.start[:-1] + n for one, n in zip(every, rows, strict=False)]),
            rows[-1],
        ),
    )
