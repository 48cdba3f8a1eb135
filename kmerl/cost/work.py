"""Operations of the stages that need a GPU, from an experiment's own settings."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from kmerl.cost import arithmetic, scale
from kmerl.evaluation.encode import EncodeParams, lead_sets
from kmerl.evaluation.fine_tune_fit import FineTune
from kmerl.leads import LEADS
from kmerl.models.masking import EVERY_LEAD
from kmerl.params import ParamsError, build
from kmerl.tasks.classes import classes, tasks_of
from kmerl.training.model import ModelConfig

HELD_OUT = 0.25  # share of a corpus that its tasks validate and test on: 20 to 28 %
MINED = {  # docs/mining.md, by reports.unit: tokens of a prompt, tokens of a list, entities a text
    "statement": (100, 20, 2.9),
    "report": (150, 40, 6.0),
}
PARABOLA = (1, 6, len(LEADS))  # numbers of leads at which an encoder's operations are counted
LEARNING = 3  # times a forward pass: backward is two more
YES = 2  # tokens of a verdict


def extract(values: Mapping[str, Any]) -> float:
    """The LLM reads each text once and lists its entities."""
    prompt, reply, _ = MINED[values["reports"]["unit"]]
    return _mining(values, _texts(values) * (prompt + reply))


def verify(values: Mapping[str, Any]) -> float:
    """The LLM is asked about each entity of each text."""
    prompt, _, entities = MINED[values["reports"]["unit"]]
    return _mining(values, _texts(values) * entities * (prompt + YES))


def pretrain(values: Mapping[str, Any]) -> float:
    """Every pair in every epoch; validation is left out."""
    if values["method"] == "random":
        return 0.0
    section = values["pretrain"]
    seen = scale.pairs(values) * section["epochs"]
    return seen * _training(_text(values), section["batch"])


def encode(values: Mapping[str, Any]) -> float:
    """Every record once for each set of leads, by the trained and, where asked, by an untrained
    encoder; held-out records are asked for their classes."""
    params, config = build(EncodeParams, values["encode"], "encode"), _text(_frozen(values))
    sets = lead_sets(params)
    counts = [len(leads) for leads in set(sets.values())]
    untrained = [len(leads) for leads in {sets[key] for key in params.random}]
    total = 0.0
    for corpus in values["corpora"]:
        names = sum(len(classes(task)) for task in tasks_of(corpus))
        if names:
            read = sum(_encoding(config, leads) for leads in counts + untrained)
            asked = HELD_OUT * sum(_asking(config, n, names, params.batch) for n in counts)
            total += scale.records(values, corpus) * (read + asked)
    return total


def fine_tune(values: Mapping[str, Any]) -> float:
    """All weights on each task, ratio, set of leads, seed and start; validation is left out."""
    settings, config = build(FineTune, values["fine_tune"], "fine_tune"), _text(_frozen(values))
    shares = sum(settings.ratios) / 100 * settings.epochs * settings.seeds * len(settings.starts)
    learning = sum(LEARNING * _encoding(config, len(one)) for one in settings.lead_sets.values())
    tasks = [(task, corpus) for corpus in values["corpora"] for task in tasks_of(corpus)]
    return learning * shares * sum(scale.train_records(values, *task) for task in tasks)


STAGES: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "extract": extract,
    "verify": verify,
    "pretrain": pretrain,
    "encode": encode,
    "fine_tune": fine_tune,
}


def model(values: Mapping[str, Any]) -> ModelConfig:
    """What is trained, at the numbers of entities and text dimensions that are to be expected."""
    return arithmetic.described(values, scale.ENTITIES, scale.text_width(values))


def parameters_of_llm(name: str) -> float:
    """Parameters of a language model, by its name: Llama-3.1-70B-Instruct has 70e9.

    Raises:
        ParamsError: the name does not say.
    """
    said = re.search(r"(\d+(?:\.\d+)?)b(?![a-z])", name.lower())
    if said is None:
        raise ParamsError(
            f"llm.model is {name!r}, which does not say how large it is (as -8B- does): its "
            "mining cannot be counted"
        )
    return float(said[1]) * 1e9


def _mining(values: Mapping[str, Any], tokens: float) -> float:
    """A token, read or written, costs two operations a parameter."""
    if values["extract"]["backend"] != "vllm":
        return 0.0
    return tokens * 2 * parameters_of_llm(values["llm"]["model"])


def _texts(values: Mapping[str, Any]) -> float:
    """Texts that are mined: MIMIC's distinct statements, or as many reports as there are pairs."""
    reports = scale.pairs({**values, "pretrain": {**values["pretrain"], "share": 100.0}})
    return min(scale.STATEMENTS, reports) if values["reports"]["unit"] == "statement" else reports


def _text(values: Mapping[str, Any]) -> str:
    """`model` as text: experiments that train the same one are counted once."""
    return json.dumps(dataclasses.asdict(model(values)), sort_keys=True)


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what a trained encoder does not know of: masks and weights of the loss."""
    mask = dataclasses.asdict(EVERY_LEAD)
    return {**values, "mask": mask, "loss": dict.fromkeys(values["loss"], 1.0)}


def _model(text: str) -> ModelConfig:
    return build(ModelConfig, json.loads(text), "model")


@cache
def _training(config: str, batch: int) -> float:
    return arithmetic.training(_model(config), batch)


def _encoding(config: str, leads: int) -> float:
    """Operations of the encoder, which grow with the leads as a parabola at most: tokens pass
    layers one by one, and meet in attention two by two."""
    found = 0.0
    for here in PARABOLA:
        weight = math.prod((leads - x) / (here - x) for x in PARABOLA if x != here)
        found += weight * _encoded(config, here) if weight else 0.0
    return found


@cache
def _encoded(config: str, leads: int) -> int:
    return arithmetic.encoding(_model(config), leads)


def _asking(config: str, leads: int, names: int, batch: int) -> float:
    """Operations of F_CQ, which grow with the leads as a straight line."""
    one, every = (_asked(config, ends, names, batch) for ends in (1, len(LEADS)))
    return one + (every - one) * (leads - 1) / (len(LEADS) - 1)


@cache
def _asked(config: str, leads: int, names: int, batch: int) -> float:
    return arithmetic.asking(_model(config), leads, names, batch)
