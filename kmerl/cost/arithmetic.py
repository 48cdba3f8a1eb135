"""Operations of a model's training and encoding: counted in its products, not estimated.

What is counted: matrix products, attention and convolutions, forward and backward, an addition and
a multiplication each. The rest (norms, views, spectra, the optimiser) takes time and no share here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from kmerl.leads import LEADS
from kmerl.models.inputs import Batch, SignalParams
from kmerl.models.masking import MaskParams
from kmerl.models.vit import pool
from kmerl.params import build
from kmerl.text import TextEncoderParams
from kmerl.training.model import ModelConfig, create, lead_mask, sections_of

COUNTED = "meta"  # a device that computes shapes alone


def described(values: Mapping[str, Any], entities: int, text_width: int) -> ModelConfig:
    """The model that all of params.yaml, `values`, describes, over so many entities."""
    method, rate = values["method"], values["ingest"]["rate"]
    return ModelConfig(
        method=method,
        sections=sections_of(method, values),
        signal=build(SignalParams, values["signal"], "signal"),
        text_encoder=build(TextEncoderParams, values["text_encoder"], "text_encoder"),
        entities=tuple(f"entity {number}" for number in range(entities)),
        text_width=text_width,
        rate=rate,
        samples=rate * values["ingest"]["seconds"],
    )


def model_on(device: str, config: ModelConfig) -> Any:
    """A new model whose numbers mean nothing."""
    with torch.device(device):
        return create(config)


def shown(config: ModelConfig, records: int, leads: int, device: str) -> Batch:
    """Noise on the first leads, as training shows it; two records of each patient."""
    return Batch(
        signal=torch.randn(records, leads, config.samples, device=device),
        leads=torch.arange(leads, device=device).repeat(records, 1),
        text=torch.randn(records, config.text_width, device=device),
        labels=torch.ones(records, len(config.entities), device=device),
        patient=torch.arange(records, device=device) // 2,
    )


def leads_shown(mask: MaskParams) -> range:
    """How many leads a training batch may have; each number is as likely."""
    fewest_masked, most_masked = mask.masked_range
    return range(len(LEADS) - most_masked, len(LEADS) - fewest_masked + 1)


def loss(model: Any, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """What a training step descends; for a method that has nothing to learn, something that sends
    a gradient through all of its encoder, as fine-tuning does."""
    terms = list(model(batch, generator).values())
    if terms:
        return torch.stack(terms).sum()
    return pool(model.encoder(batch.signal, batch.leads)).square().mean()


def training(config: ModelConfig, batch: int) -> float:
    """Operations of training on a record, `batch` of them a step: mean over the numbers of leads
    that the mask shows."""
    counts = leads_shown(lead_mask(config.method, config.sections))
    return sum(_record(config, batch, leads) for leads in counts) / len(counts)


def step(config: ModelConfig, records: int, leads: int) -> int:
    """Operations of one training step: on shapes alone, or where a method draws on the device,
    on computed numbers."""
    try:
        return _step_on(COUNTED, config, records, leads)
    except RuntimeError:
        return _step_on("cpu", config, records, leads)


def encoding(config: ModelConfig, leads: int) -> int:
    """Operations of the frozen encoder on a record with so many leads."""
    model, one = model_on(COUNTED, config), shown(config, 1, leads, COUNTED)
    return counted(lambda: model.encoder(one.signal, one.leads))


def asking(config: ModelConfig, leads: int, names: int, batch: int) -> float:
    """Operations of F_CQ's scores of so many names for a record; none where a method has none."""
    model = model_on(COUNTED, config)
    if not hasattr(model, "score"):
        return 0.0
    some = shown(config, batch, leads, COUNTED)
    asked = torch.zeros(names, config.text_width, device=COUNTED)
    tokens = model.encoder(some.signal, some.leads)
    return counted(lambda: model.score(tokens, asked)) / batch


def counted(work: Callable[[], Any]) -> int:
    """Operations of whatever `work` does with tensors.

    Attention is done by plain products, because those of the fast kernels are not counted on
    every device.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return int(counter.get_total_flops())


def _record(config: ModelConfig, batch: int, leads: int) -> float:
    """A record's part of a step. Where numbers must be computed, two records and four tell what a
    further one costs; products of each record with all of a large batch, less than a hundredth of
    the rest, are then counted for four."""
    try:
        return _step_on(COUNTED, config, batch, leads) / batch
    except RuntimeError:
        two, four = (_step_on("cpu", config, records, leads) for records in (2, 4))
        further = (four - two) / 2
        return further + (two - 2 * further) / batch


def _step_on(device: str, config: ModelConfig, records: int, leads: int) -> int:
    model, batch = model_on(device, config), shown(config, records, leads, device)
    generator = torch.Generator().manual_seed(0)
    return counted(lambda: loss(model, batch, generator).backward())
