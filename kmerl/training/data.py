"""Pairs for pretraining: the leads that the mask kept, the report's vector, the label vector."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from safetensors import safe_open
from torch import Tensor

from kmerl.files import DamagedError, reading
from kmerl.models.inputs import Batch, SignalParams, normalised, normalised_there
from kmerl.models.masking import MaskParams, draw_leads
from kmerl.seeds import stream
from kmerl.store import Index, read_parquet
from kmerl.training.reader import Batch as Drawn
from kmerl.training.reader import Made, TrainingReader


@dataclass(frozen=True)
class Pairs:
    """What goes with each row of the store; a vector of -1 marks a row that has no pair."""

    index: Index
    patient: np.ndarray  # str (rows,)
    split: np.ndarray  # str (rows,)
    patient_number: np.ndarray  # int64 (rows,): equal numbers are the same patient
    vector: np.ndarray  # int (rows,): row of `texts`
    texts: Tensor  # float32 (distinct texts, text width), read from its file when asked for
    packed: np.ndarray  # uint8 (rows, entities / 8): a label a bit
    entities: Tensor  # float32 (entities, text width)
    names: list[str]

    def rows(self, split: str) -> np.ndarray:
        """Rows of the store in a split that have a report."""
        return np.flatnonzero((self.split == split) & (self.vector >= 0))

    def labels(self, rows: np.ndarray) -> Tensor:
        """uint8 (some rows, entities)."""
        bits = np.unpackbits(self.packed[rows], axis=1, count=len(self.names))
        return torch.from_numpy(bits)

    def shared(self, share: float, seed: int) -> "Pairs":
        """`share` per cent of the training pairs, and all of every other split.

        Whole patients in an order that the seed draws, as few as reach the share: a smaller share
        lies inside a larger one, and no share is empty where there are pairs.
        """
        if share >= 100:
            return self
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


def load_pairs(index: Index, labels: Path, text: Path) -> Pairs:
    """Join store, label matrix and text vectors by record.

    Raises:
        ValueError: a report's record is not in the store, or a file is damaged.
    """
    record = {"record": pa.string()}
    numbered = {**record, "vector": pa.int32()}
    reports = read_parquet(text / "reports.parquet", _EMBED, numbered, others=pa.int32())
    matrix = read_parquet(labels / "labels.parquet", _LABEL, record, others=pa.bool_())
    names = [name for name in matrix.column_names if name != "record"]
    vector = np.full(index.groups.rows, -1, np.int64)
    vector[_rows(index, reports["record"], text)] = reports["vector"].to_numpy()
    texts = _vectors(text / "reports.safetensors", "reports")
    entities = _vectors(text / "names.safetensors", "entities")
    numbers = reports["vector"].to_numpy()
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(texts):
        raise DamagedError(f"{text}: reports.parquet numbers vectors that are not there; {_EMBED}")
    if len(entities) != len(names):
        told = f"{len(entities)} entities have vectors, {len(names)} have labels"
        raise DamagedError(f"{text / 'names.safetensors'}: {told}; {_EMBED}")
    patient, split = (index.names[name].combine_chunks() for name in ("patient", "split"))
    patient, split = patient.dictionary_encode(), split.dictionary_encode()
    return Pairs(
        index=index,
        patient=_texts(patient),
        split=_texts(split),
        patient_number=patient.indices.to_numpy().astype(np.int64),
        vector=vector,
        texts=texts,
        packed=_packed(matrix.select(names), _rows(index, matrix["record"], labels), len(vector)),
        entities=entities,
        names=names,
    )


def _texts(values: pa.DictionaryArray) -> np.ndarray:
    distinct = np.array(values.dictionary.to_pylist(), dtype=str)
    return distinct[values.indices.to_numpy()]


def _packed(matrix: pa.Table, rows: np.ndarray, count: int) -> np.ndarray:
    """`Pairs.packed` of `count` rows, from a column an entity; all zero where there is no label."""
    bits = np.empty((len(rows), -(-matrix.num_columns // 8)), np.uint8)
    for byte in range(bits.shape[1]):
        few = np.stack([one.to_numpy() for one in matrix.columns[8 * byte : 8 * byte + 8]], axis=1)
        bits[:, byte] = np.packbits(few, axis=1)[:, 0]
    packed = np.zeros((count, bits.shape[1]), np.uint8)
    packed[rows] = bits
    return packed


_EMBED, _LABEL = (f"run `dvc repro {stage}` again" for stage in ("embed_text", "label_matrix"))


def _vectors(path: Path, name: str) -> Tensor:
    with reading(path, _EMBED), safe_open(path, "pt") as file:
        vectors: Tensor = file.get_tensor(name)
        if vectors.ndim != 2 or vectors.dtype != torch.float32:
            raise DamagedError(f"{path}: {name!r} is no float32 matrix; {_EMBED}")
    return vectors


def _rows(index: Index, records: pa.ChunkedArray, source: Path) -> np.ndarray:
    """The row of the store of each record."""
    rows = pc.index_in(records, value_set=index.records)
    if rows.null_count:
        missing = records.filter(rows.is_null())
        raise ValueError(
            f"{source} has {len(missing)} records that the store lacks, the first is "
            f"{missing[0]}: run `dvc repro` to bring them in step"
        )
    return rows.to_numpy()


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
        for parts in self.reader.each(epoch, first, self._parts):
            yield self._batch(parts)

    def _parts(self, drawn: Drawn) -> dict[str, Tensor]:
        """A batch as the thread that read it leaves it: for a GPU in pinned memory, so that no
        copy is waited for, and its signal as it is stored, a half of what is normalised."""
        pairs, rows = self.pairs, drawn.rows
        parts = {
            "leads": torch.from_numpy(drawn.leads),
            "text": pairs.texts[torch.from_numpy(pairs.vector[rows])],
            "labels": pairs.labels(rows),
            "patient": torch.from_numpy(pairs.patient_number[rows]),
        }
        if self.device == "cpu":
            signal = normalised(drawn.signal, (drawn.low_all, drawn.high_all), self.signal)
            return parts | {"signal": torch.from_numpy(signal)}
        stored = {"signal": drawn.signal, "low": drawn.low_all, "high": drawn.high_all}
        parts |= {name: torch.from_numpy(value) for name, value in stored.items()}
        return {name: part.pin_memory() for name, part in parts.items()}

    def _batch(self, parts: dict[str, Tensor]) -> Batch:
        there = {name: part.to(self.device, non_blocking=True) for name, part in parts.items()}
        signal = there["signal"]
        if "low" in there:
            signal = normalised_there(signal, (there["low"], there["high"]), self.signal)
        return Batch(
            signal=signal,
            leads=there["leads"],
            text=there["text"],
            labels=there["labels"].float(),
            patient=there["patient"],
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
    neighbours: int,
    threads: int = 1,
    decoded: np.ndarray | None = None,
    made: Made | None = None,
) -> Loader:
    """A loader of one split; `batch` is that of all processes, `place` this one's (rank, world
    size), `neighbours` those that stay together, `decoded` a copy of the store's signals, `made`
    what makes others in their place.

    Training batches are all of that size, and an epoch leaves the rest out; each process has its
    part of every one. Of other splits every record is read, whole batches by each process in turn.
    """
    low, high = mask.masked_range
    reader = TrainingReader(
        pairs.index,
        rows=pairs.rows(split),
        batch_size=batch,
        draw_leads=lambda generator, subsets: draw_leads(subsets, low, high, generator),
        scope=mask.scope,
        whole=split != "train",
        seed=seed,
        neighbours=neighbours,
        rank=place[0],
        world_size=place[1],
        threads=threads,
        decoded=decoded,
        made=made,
    )
    return Loader(pairs, reader, signal, device)
