"""Pairs for pretraining: the leads that the mask kept, the report's vector, the label vector."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from safetensors.numpy import load_file
from torch import Tensor

from kmerl.files import DamagedError, reading
from kmerl.models.inputs import Batch, SignalParams, normalised
from kmerl.models.masking import MaskParams, draw_leads
from kmerl.seeds import stream
from kmerl.store import read_parquet, read_table
from kmerl.training.reader import Batch as Drawn
from kmerl.training.reader import TrainingReader


@dataclass(frozen=True)
class Pairs:
    """What goes with each row of the store; a vector of -1 marks a row that has no pair."""

    directory: Path
    patient: np.ndarray  # str (rows,)
    split: np.ndarray  # str (rows,)
    patient_number: np.ndarray  # int64 (rows,): equal numbers are the same patient
    vector: np.ndarray  # int (rows,): row of `texts`
    texts: Tensor  # float32 (distinct texts, text width)
    labels: Tensor  # uint8 (rows, entities)
    entities: Tensor  # float32 (entities, text width)
    names: list[str]

    def rows(self, split: str) -> np.ndarray:
        """Rows of the store in a split that have a report."""
        return np.flatnonzero((self.split == split) & (self.vector >= 0))

    def shared(self, share: float, seed: int) -> "Pairs":
        """`share` per cent of the training pairs, and all of every other split.

        Whole patients in an order that the seed draws, as few as reach the share: a smaller share
        lies inside a larger one, and no share is empty where there are pairs.
        """
        train = self.rows("train")
        patients, of_pair = np.unique(self.patient[train], return_inverse=True)
        drawn = np.array([stream(seed, "pretrain", "share", str(one)) for one in patients])
        counts, order = np.bincount(of_pair, minlength=len(patients)), np.argsort(drawn)
        before = np.empty_like(counts)  # pairs of the patients that were drawn earlier
        before[order] = np.cumsum(counts[order]) - counts[order]
        left_out = train[100 * before[of_pair] >= share * len(train)]
        vector = self.vector.copy()
        vector[left_out] = -1
        return dataclasses.replace(self, vector=vector)


def load_pairs(directory: Path, labels: Path, text: Path) -> Pairs:
    """Join store, label matrix and text vectors by record.

    Raises:
        ValueError: a report's record is not in the store, or a file is damaged.
    """
    store = read_table(directory, ["record", "patient", "split"])
    place = {record: row for row, record in enumerate(store["record"].to_pylist())}
    record = {"record": pa.string()}
    numbered = {**record, "vector": pa.int32()}
    reports = read_parquet(text / "reports.parquet", _EMBED, numbered, others=pa.int32())
    matrix = read_parquet(labels / "labels.parquet", _LABEL, record, others=pa.bool_())
    names = [name for name in matrix.column_names if name != "record"]
    vector = np.full(len(place), -1, np.int64)
    vector[_rows(place, reports["record"].to_pylist(), text)] = reports["vector"].to_numpy()
    values = np.zeros((len(place), len(names)), np.uint8)
    columns = np.stack([matrix[name].to_numpy() for name in names], axis=1).astype(np.uint8)
    values[_rows(place, matrix["record"].to_pylist(), labels)] = columns
    texts = _vectors(text / "reports.safetensors", "reports")
    entities = _vectors(text / "names.safetensors", "entities")
    numbers = reports["vector"].to_numpy()
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(texts):
        raise DamagedError(f"{text}: reports.parquet numbers vectors that are not there; {_EMBED}")
    if len(entities) != len(names):
        told = f"{len(entities)} entities have vectors, {len(names)} have labels"
        raise DamagedError(f"{text / 'names.safetensors'}: {told}; {_EMBED}")
    return Pairs(
        directory=directory,
        patient=np.array(store["patient"].to_pylist()),
        split=np.array(store["split"].to_pylist()),
        patient_number=np.unique(store["patient"].to_pylist(), return_inverse=True)[1],
        vector=vector,
        texts=texts,
        labels=torch.from_numpy(values),
        entities=entities,
        names=names,
    )


_EMBED, _LABEL = (f"run `dvc repro {stage}` again" for stage in ("embed_text", "label_matrix"))


def _vectors(path: Path, name: str) -> Tensor:
    with reading(path, _EMBED):
        vectors = torch.from_numpy(load_file(path)[name])
        if vectors.ndim != 2 or vectors.dtype != torch.float32:
            raise DamagedError(f"{path}: {name!r} is no float32 matrix; {_EMBED}")
    return vectors


def _rows(place: dict[str, int], records: list[str], source: Path) -> list[int]:
    missing = [record for record in records if record not in place]
    if missing:
        raise ValueError(
            f"{source} has {len(missing)} records that the store lacks, the first is "
            f"{missing[0]}: run `dvc repro` to bring them in step"
        )
    return [place[record] for record in records]


@dataclass(frozen=True)
class Loader:
    """Batches of one split on a device."""

    pairs: Pairs
    reader: TrainingReader
    signal: SignalParams
    device: str

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def records(self) -> int:
        """Records of an epoch, of all processes."""
        return self.reader.records

    @property
    def steps(self) -> range:
        """The numbers of this process's batches among those of all."""
        return self.reader.of_rank

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The epoch's batches, one for each of `steps` but the `first` ones; the same seed and
        epoch give the same."""
        for drawn in self.reader.epoch(epoch, first):
            yield self._batch(drawn)

    def _batch(self, drawn: Drawn) -> Batch:
        signal = normalised(drawn.signal, (drawn.low_all, drawn.high_all), self.signal)
        rows = torch.from_numpy(drawn.rows)
        vectors = self.pairs.texts[torch.from_numpy(self.pairs.vector[drawn.rows])]
        return Batch(
            signal=torch.from_numpy(signal).to(self.device, non_blocking=True),
            leads=torch.from_numpy(drawn.leads).to(self.device, non_blocking=True),
            text=vectors.float().to(self.device, non_blocking=True),
            labels=self.pairs.labels[rows].float().to(self.device, non_blocking=True),
            patient=torch.from_numpy(self.pairs.patient_number[drawn.rows]).to(self.device),
        )


def loader(
    pairs: Pairs,
    split: str,
    batch: int,
    mask: MaskParams,
    signal: SignalParams,
    seed: int,
    place: tuple[int, int],
    device: str,
    threads: int = 1,
) -> Loader:
    """A loader of one split; `batch` is that of all processes, `place` this one's (rank, world
    size).

    Training batches are all of that size, and an epoch leaves the rest out; each process has its
    part of every one. Of other splits every record is read, whole batches by each process in turn.
    """
    low, high = mask.masked_range
    reader = TrainingReader(
        pairs.directory,
        rows=pairs.rows(split),
        batch_size=batch,
        draw_leads=lambda generator, subsets: draw_leads(subsets, low, high, generator),
        scope=mask.scope,
        whole=split != "train",
        seed=seed,
        rank=place[0],
        world_size=place[1],
        threads=threads,
    )
    return Loader(pairs, reader, signal, device)
