"""A trained model on disk: safetensors, and a config that says how to use it."""

import dataclasses
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kmerl import files, methods, params, seeds
from kmerl.methods import Method
from kmerl.models.inputs import SignalParams
from kmerl.models.masking import MaskParams
from kmerl.params import SECTIONS, ParamsError, build, checked, nearest
from kmerl.text import TextEncoderParams

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@checked
class ModelConfig:
    """What models/config.json holds: enough to rebuild the model and to feed it."""

    method: str
    sections: dict[str, Any]
    signal: SignalParams
    text_encoder: TextEncoderParams
    entities: tuple[str, ...]
    text_width: Annotated[int, Field(ge=1, le=2**14)]  # bounds: it is made before its weights are
    rate: Annotated[int, Field(ge=1, le=2**14)]  # Hz
    samples: Annotated[int, Field(ge=1, le=2**18)]  # a lead


def sections_of(method: str, whole: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of params.yaml, of which `whole` holds all, that make a method's model.

    Section `options` holds what differs from the defaults of the method's `Options`, below the
    method's name or below none; here it is made whole, and its `rate`, where a method has one, is
    ingest.rate.

    Raises:
        ParamsError: there is no such method or option; the message lists those that exist. Or
            options.rate is another than ingest.rate.
    """
    kinds = _kinds(_class(method), SECTIONS)
    missing = [name for name in kinds if name not in whole]
    if missing:
        raise ParamsError(f"section {missing[0]!r} is missing; method {method!r} needs it")
    options = _options(method, kinds.get("options"), whole)
    return {name: options if name == "options" else whole[name] for name in kinds}


def checked_sections(method: str, sections: Mapping[str, Any]) -> dict[str, Any]:
    """What `sections_of` answers, each section as its class.

    Raises:
        ParamsError: a value is not allowed; the message names its key.
    """
    kinds = _kinds(_class(method), SECTIONS)
    if missing := [name for name in kinds if name not in sections]:
        raise ParamsError(f"section {missing[0]!r} is missing; method {method!r} needs it")
    return {name: build(kind, sections[name], name) for name, kind in kinds.items()}


def lead_mask(method: str, sections: Mapping[str, Any]) -> MaskParams:
    """Which leads the method's training leaves out."""
    return _class(method).lead_mask(checked_sections(method, sections))


def create(config: ModelConfig, entities: Tensor | None = None) -> Method:
    """A new model, whose class the method's name chooses (see `kmerl.methods`).

    Args:
        entities: text vectors (entities, text width) of `config.entities`; zeros where they are
            yet to be loaded, or only the encoder is wanted.
    """
    if entities is None:
        entities = torch.zeros(len(config.entities), config.text_width)
    kind, sections = _class(config.method), checked_sections(config.method, config.sections)
    data = {"entities": entities, "record_samples": config.samples}
    return kind(**sections, **{name: data[name] for name in _kinds(kind, data)})


def initial(config: ModelConfig, seed: int, entities: Tensor | None = None) -> Method:
    """The model that pretraining with this seed starts from; no weight of it is trained."""
    torch.manual_seed(seeds.stream(seed, "initial weights"))
    return create(config, entities)


def nudge(model: Method, number: int) -> None:
    """Flip the last bit of one weight, in place: as small a change as there is, which tells what
    rounding alone does to a training's results. 0 flips none.

    Args:
        number: from 1 up: which of the encoder's first weights that are drawn, not constant.

    Raises:
        ParamsError: these are fewer.
    """
    named = model.encoder.named_parameters()
    first = next(p for name, p in named if name.endswith("weight") and p.ndim > 1)
    if number > first.numel():
        raise ParamsError(f"pretrain.nudge is {number}; it must be at most {first.numel()} here")
    if number:
        bits = first.data.view(-1).view(torch.int32)
        bits[number - 1] ^= 1


def save(directory: Path, config: ModelConfig, model: nn.Module) -> None:
    """Write models/model.safetensors and models/config.json; bytes depend on the model alone.

    The config holds the weights' digest, and one of all that it says itself.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    size = sum(value.nbytes for value in state.values())
    with files.atomic(directory / WEIGHTS, size) as partial:
        save_file(state, partial)
    values = dataclasses.asdict(config) | {_WEIGHTS_SEAL: _file_digest(directory / WEIGHTS)}
    text = json.dumps(values | {_SEAL: _digest(values)}, indent=1, sort_keys=True)
    files.write_text(directory / CONFIG, text + "\n")


def load(directory: Path, device: str = "cpu") -> tuple[ModelConfig, Method]:
    """A saved model, in evaluation mode.

    Raises:
        FileNotFoundError: the directory holds no model; the message says how to make one.
        ValueError: a file is damaged, is another model's, or does not fit this version's method;
            the message names the file and, where one does not fit, the tensor.
    """
    for name in (CONFIG, WEIGHTS):
        if not (directory / name).exists():
            raise FileNotFoundError(
                f"{directory / name} does not exist; `dvc repro pretrain` makes it"
            )
    config, weights_digest = _read_config(directory / CONFIG)
    path = directory / WEIGHTS
    with files.reading(directory / CONFIG, _AGAIN):
        model = create(config)
    with files.reading(path, _AGAIN):
        weights = load_file(path, device="cpu")
        _check_fit(model, weights)
        if _file_digest(path) != weights_digest:
            raise ValueError(f"not the weights that {CONFIG} was written with")
    model.load_state_dict(weights)
    return config, model.eval().to(device)


def _read_config(path: Path) -> tuple[ModelConfig, str]:
    """A model's config, and the digest of its weights.

    Raises:
        DamagedError: the file is not as `save` wrote it.
    """
    values = files.read_json(path)
    with files.reading(path, _AGAIN):
        if values.pop(_SEAL, None) != _digest(values):
            raise ValueError("changed since it was written, or by a version without digests")
        weights_digest = str(values.pop(_WEIGHTS_SEAL))
    return build(ModelConfig, values, str(path)), weights_digest


def _check_fit(model: Method, weights: Mapping[str, Tensor]) -> None:
    """
    Raises:
        ValueError: a tensor is missing, unknown, of another shape or no number; the message names
            it.
    """
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"tensor {name} has shape {found.get(name, 'none')}, the method needs "
                f"{wanted.get(name, 'no such tensor')}"
            )
        if not weights[name].isfinite().all():
            raise ValueError(f"tensor {name} holds what is no number")


def _file_digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


_WEIGHTS_SEAL, _SEAL = "weights_sha256", "sha256"
"""Keys of models/config.json beside those of `ModelConfig`: digest of the weights' file, and of
all that the config says, that one included."""
_AGAIN = "fetch the folder again, or make it by `dvc repro pretrain`"


def _options(method: str, kind: type[Any] | None, whole: Mapping[str, Any]) -> dict[str, Any]:
    chosen = params.options({**whole, "method": method})
    for name, value in whole.get("options", {}).items():
        if isinstance(value, Mapping) and name not in _methods():
            raise ParamsError(
                f"options.{name}: no method has this name; {nearest(name, _methods())}"
            )
    defaults = dataclasses.asdict(kind()) if kind else {}
    for name in chosen:
        if name not in defaults:
            known = f"its options are {', '.join(defaults)}" if defaults else "it has none"
            raise ParamsError(f"options.{name}: method {method!r} has no such option; {known}")
    if "rate" in defaults:
        defaults["rate"] = _rate(chosen, whole)
    return {**defaults, **chosen}


def _rate(chosen: Mapping[str, Any], whole: Mapping[str, Any]) -> int:
    rate: int = whole["ingest"]["rate"]
    if chosen.get("rate", rate) != rate:
        raise ParamsError(
            f"options.rate is {chosen['rate']}, but records are stored at ingest.rate={rate}: "
            "leave options.rate out, it is ingest.rate"
        )
    return rate


def _kinds(kind: type[Method], names: Collection[str]) -> dict[str, Any]:
    """The classes of those parameters of `kind` that have one of these names."""
    hints = get_type_hints(kind.__init__)
    return {name: hint for name, hint in hints.items() if name in names}


def _class(method: str) -> type[Method]:
    """`Method` of the method's file (see `kmerl.methods`)."""
    if method not in _methods():
        raise ParamsError(f"method is {method!r}; choose one of {', '.join(_methods())}")
    found: type[Method] = importlib.import_module(f"kmerl.methods.{method}").Method
    return found


def _methods() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(methods.__path__))
