"""Every method of kmerl/methods, small, and batches to show it."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml

from kmerl import methods
from kmerl.leads import LEADS
from kmerl.methods import Method
from kmerl.models.inputs import Batch, SignalParams
from kmerl.models.vit import EncoderParams
from kmerl.text import TextEncoderParams
from kmerl.training.model import ModelConfig, create, sections_of
from tests.gradients import generator

NAMES = sorted(module.name for module in pkgutil.iter_modules(methods.__path__))
RECORDS, SAMPLES, TEXT_WIDTH, ENTITIES = 8, 400, 12, 5
SMALL = {"hidden": 24, "bottleneck": 12, "out": 16, "patch": 50}  # options, where a method has them
DEMO = yaml.safe_load(Path("params/demo.yaml").read_text(encoding="utf-8"))
NANO = EncoderParams("nano", "lead", 100, True, True)


def file(name: str) -> ModuleType:
    return importlib.import_module(f"kmerl.methods.{name}")


def defaults(name: str) -> dict[str, Any]:
    return sections_of(name, DEMO).get("options", {})


TRAINED_NAMES = [name for name in NAMES if not file(name).Method.untrained]


def config(name: str, **options: Any) -> ModelConfig:
    """A small model's config; `options` of the method beside or in place of `SMALL`."""
    small = {key: value for key, value in SMALL.items() if key in defaults(name)}
    whole = {
        **DEMO,
        "mask": {**DEMO["mask"], "segments": 0.0},
        "query_network": {**DEMO["query_network"], "width": 16, "layers": 1, "mlp": 16},
        "options": {**small, **options},
    }
    return ModelConfig(
        method=name,
        sections=sections_of(name, whole),
        signal=SignalParams("zscore", "available"),
        text_encoder=TextEncoderParams(**DEMO["text_encoder"]),
        entities=tuple(f"entity {i}" for i in range(ENTITIES)),
        text_width=TEXT_WIDTH,
        rate=SAMPLES // 4,
        samples=SAMPLES,
    )


def small(name: str, **options: Any) -> Method:
    """A new small model, the same at every call."""
    torch.manual_seed(0)
    return create(config(name, **options), torch.randn(ENTITIES, TEXT_WIDTH))


def batch(rows: slice = slice(None), dtype: torch.dtype = torch.float32) -> Batch:
    """Rows of a fixed batch: on all leads a rhythm and a shape of the record's own, and noise.

    A patient has one record in each half, so that two processes share the patients."""
    chance = generator(1)
    rate = torch.rand(RECORDS, 1, 1, generator=chance) * 20 + 5
    shape = torch.randn(RECORDS, len(LEADS), 1, generator=chance)
    signal = shape * torch.sin(rate * torch.linspace(0, 6.28, SAMPLES))
    signal = signal + 0.1 * torch.randn(signal.shape, generator=chance)
    labels = (torch.rand(RECORDS, ENTITIES, generator=chance) > 0.5).to(dtype)
    text = torch.randn(RECORDS, TEXT_WIDTH, generator=chance).to(dtype)
    return Batch(
        signal=signal[rows].to(dtype),
        leads=torch.arange(len(LEADS)).repeat(RECORDS, 1)[rows],
        text=text[rows],
        labels=labels[rows],
        patient=torch.arange(RECORDS)[rows] % (RECORDS // 2),
    )
