"""One pretraining from params.yaml and data/ to models/, metrics and curves."""

import csv
import dataclasses
import io
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kmerl import distributed, files
from kmerl.methods import Method
from kmerl.models.inputs import SignalParams
from kmerl.models.masking import MaskParams
from kmerl.models.vit import compile_blocks
from kmerl.params import Count, ParamsError, build, value
from kmerl.runtime import Runtime
from kmerl.store.pairs import NAME, PairStores
from kmerl.text import TextEncoderParams
from kmerl.training import model as model_files
from kmerl.training.beginning import begin
from kmerl.training.cache import decoded
from kmerl.training.checkpoint import Checkpoint, fingerprint
from kmerl.training.data import Pairs, load_pairs, loader
from kmerl.training.fresh import FreshSignals
from kmerl.training.loop import History, Pretraining, PretrainParams


@dataclass(frozen=True)
class Session:
    """Everything a process of the training needs; travels to spawned processes."""

    values: Mapping[str, Any]
    data: Path
    pretrain: PretrainParams
    mask: MaskParams
    signal: SignalParams
    seed: int
    runtime: Runtime

    @classmethod
    def from_params(cls, values: Mapping[str, Any], data: Path) -> "Session":
        """Check the sections that pretraining reads."""
        method = value(values, "method", str)
        return cls(
            values=values,
            data=data,
            pretrain=value(values, "pretrain", PretrainParams),
            mask=model_files.lead_mask(method, model_files.sections_of(method, values)),
            signal=value(values, "signal", SignalParams),
            seed=value(values, "seed", int),
            runtime=build(Runtime, values["runtime"], "runtime"),
        )

    @cached_property
    def stores(self) -> PairStores:
        """Of what is trained on."""
        return PairStores.read(self.data)

    def train(self, root: Path, device: str) -> None:
        """Train on `device`; the main process writes models/, metrics/ and plots/ under `root`."""
        start = time.monotonic()
        every = load_pairs(self.stores.index(), self.data / "labels", self.data / "text")
        pairs = every.shared(self.pretrain.share, self.seed)
        self._check(pairs)
        config = described(self.values, tuple(pairs.names), pairs.entities.shape[1])
        model = model_files.initial(config, self.seed, pairs.entities)
        if self.pretrain.start_from:
            begin(model, config, self.pretrain.start_from)
        model_files.nudge(model, self.pretrain.nudge)
        model.to(device)
        if self.runtime.compile:
            compile_blocks(model)
        name = fingerprint(self._settings(config), self._inputs())
        distributed.check_same(name, device, "params.yaml, data/ or the code")
        checkpoint = Checkpoint(name)
        training = self._training(model, pairs, checkpoint, device)
        history = training.run()
        if distributed.leads_node():
            checkpoint.remove()
        if distributed.is_main():
            model_files.save(root / "models", config, model)
            _write_curves(root / "plots" / "pretrain.csv", history)
            files.write_json(root / "metrics" / "pretrain.json", _metrics(training, pairs, every))
            print(f"pretraining took {time.monotonic() - start:.0f} s", file=sys.stderr)

    def _check(self, pairs: Pairs) -> None:
        used, batch = len(pairs.rows("train")), self.pretrain.batch
        if used < batch:
            raise ParamsError(
                f"pretrain.share={self.pretrain.share:g} leaves {used} training pairs of "
                f"{self.pretrain.named}, fewer than pretrain.batch={batch}; raise the share or "
                "lower the batch"
            )

    def _training(
        self, model: Method, pairs: Pairs, checkpoint: Checkpoint, device: str
    ) -> Pretraining:
        place = distributed.rank(), distributed.world_size()
        self.pretrain.check_shared(place[1])
        held_out = len(pairs.rows("val")) > 0
        if self.pretrain.keep == "best" and not held_out and not model.untrained:
            raise ParamsError(
                f"pretrain.keep=best needs validation pairs, and {self.pretrain.named} has none: "
                "set pretrain.keep: last"
            )
        args = self.pretrain.batch, self.mask, self.signal, self.seed, place, device
        more = self.pretrain.neighbours, self._reading_threads(device), self._decoded(pairs)
        return Pretraining(
            model,
            self.pretrain,
            loader(pairs, "train", *args, *more, made=self._fresh(pairs)),
            loader(pairs, "val", *args, *more) if held_out else None,
            self.seed,
            checkpoint,
            self.runtime.save_minutes,
            self.runtime.chunk,
            _live() if distributed.is_main() else None,
        )

    def _reading_threads(self, device: str) -> int:
        """One beside a CPU that trains; beside GPUs the workers, shared by a node's processes."""
        return 1 if device == "cpu" else max(1, self.runtime.worker_count // distributed.on_node())

    def _fresh(self, pairs: Pairs) -> FreshSignals | None:
        """What draws new hearts for the training pairs, if params.yaml wants that."""
        if not self.pretrain.fresh:
            return None
        return FreshSignals(self.stores, pairs.rows("train"), self.values)

    def _decoded(self, pairs: Pairs) -> np.ndarray | None:
        """The copy of the store that this machine keeps, if params.yaml wants one."""
        folder = self.runtime.cache_folder
        if folder is None:
            return None
        return decoded(folder, pairs.index, self.runtime.worker_count)

    def _settings(self, config: model_files.ModelConfig) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(config),
            "pretrain": dataclasses.asdict(self.pretrain),
            "seed": self.seed,
            "ingest": self.values["ingest"],
        }

    def _inputs(self) -> list[Path]:
        """Small files that decide the training; one names the stores by their digests."""
        small = [*(self.data / "labels").glob("*"), *(self.data / "text").glob("*")]
        return [*sorted(small), self.data / NAME]


def described(
    values: Mapping[str, Any], entities: tuple[str, ...], text_width: int
) -> model_files.ModelConfig:
    """The model that all of params.yaml, `values`, describes, over these entities."""
    rate, seconds = (value(values, f"ingest.{key}", Count) for key in ("rate", "seconds"))
    return model_files.ModelConfig(
        method=values["method"],
        sections=model_files.sections_of(values["method"], values),
        signal=build(SignalParams, values["signal"], "signal"),
        text_encoder=build(TextEncoderParams, values["text_encoder"], "text_encoder"),
        entities=entities,
        text_width=text_width,
        rate=rate,
        samples=rate * seconds,
    )


def _metrics(training: Pretraining, pairs: Pairs, every: Pairs) -> dict[str, Any]:
    model, validation, best = training.model, training.validation, training.history.lowest()
    return {
        **training.history.rows[-1],
        "best_epoch": None if best is None else best["epoch"],
        "pairs": len(pairs.rows("train")),
        "pairs_available": len(every.rows("train")),
        "pairs_val": 0 if validation is None else validation.records,
        "entities": len(pairs.names),
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_encoder": sum(p.numel() for p in model.encoder.parameters()),
    }


def _write_curves(path: Path, history: History) -> None:
    columns = list(dict.fromkeys(name for row in history.rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in history.rows)
    files.write_text(path, text.getvalue())


def _live() -> Any:
    """DVCLive, for watching a training; its files are no output of the stage."""
    from dvclive import Live

    return Live("live", save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
