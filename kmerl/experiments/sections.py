"""Can the code read what experiments set? Apart from the catalogue, as it imports that code."""

import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kmerl import params
from kmerl.experiments.catalogue import FILE, Catalogue, changed
from kmerl.params import ParamsError
from kmerl.training.model import checked_sections, sections_of

CLASSES = {
    "seed": "builtins:int",
    "corpora": "kmerl.corpora.entries:Corpora",
    "synthesize": "kmerl.synthetic.cohort:Synthesize",
    "ingest": "kmerl.corpora.conform:Ingest",
    "splits": "kmerl.tasks.splits:Splits",
    "text": "kmerl.knowledge.reports:TextParams",
    "reports": "kmerl.knowledge.statements:ReportsParams",
    "llm": "kmerl.knowledge.vllm.settings:LLM",
    "extract": "kmerl.knowledge.extract:Extract",
    "verify": "kmerl.knowledge.verify:Verify",
    "merge": "kmerl.knowledge.merge:Merge",
    "aggregate": "kmerl.knowledge.aggregate:Aggregate",
    "label_matrix": "kmerl.knowledge.labels:LabelMatrix",
    "text_encoder": "kmerl.text:TextEncoderParams",
    "method": "builtins:str",
    "options": "builtins:dict",  # each method knows its own: kmerl.training.model.sections_of
    "signal": "kmerl.models.inputs:SignalParams",
    "encoder": "kmerl.models.vit:EncoderParams",
    "mask": "kmerl.models.masking:MaskParams",
    "query_network": "kmerl.methods.kmerl:QueryParams",
    "loss": "kmerl.methods.kmerl:LossParams",
    "pretrain": "kmerl.training.loop:PretrainParams",
    "prompts": "kmerl.tasks.prompts:Kind",
    "encode": "kmerl.evaluation.encode:EncodeParams",
    "zero_shot": "kmerl.evaluation.zero_shot:ZeroShot",
    "linear_probe": "kmerl.evaluation.probe_fit:LinearProbe",
    "fine_tune": "kmerl.evaluation.fine_tune_fit:FineTune",
    "partial_leads": "kmerl.evaluation.partial_leads:PartialLeads",
    "seen_unseen": "kmerl.evaluation.seen_unseen:SeenUnseen",
    "statistics": "kmerl.evaluation.bootstrap:Statistics",
    "report": "kmerl.report.run_page:Report",
    "runtime": "kmerl.runtime:Runtime",
}
"""Where each section's class stands; it is imported when a value is checked, and not before."""


def check(catalogue: Catalogue, parameters: Path | str = "params.yaml") -> None:
    """Each value of experiments.yaml, beside those of a params.yaml that stay as they are.

    Raises:
        ParamsError: a value is not allowed; the message names table, row, key and value.
    """
    values = params.read(parameters)
    given: dict[str, Mapping[str, Any]] = {"every": catalogue.every}
    known = set()
    for table in catalogue.tables.values():
        for name in [row.experiment for row in table.rows if row.experiment not in known]:
            place = f"tables.{table.name}.rows.{name}.set"  # the first row, which defines it
            given[place] = {**catalogue.every, **catalogue.experiments[name].set}
            known.add(name)
    for place, keys in given.items():
        try:
            check_values(changed(values, keys), dict.fromkeys(key.split(".")[0] for key in keys))
        except ParamsError as error:
            raise ParamsError(f"{FILE}: {place}: {error}") from None


def check_values(values: Mapping[str, Any], sections: Iterable[str] = CLASSES) -> None:
    """Some sections of params.yaml, what its method is made of, and the options of each method.

    Raises:
        ParamsError: a value is not allowed; the message names its key.
    """
    for section in sections:
        params.value(values, section, pkgutil.resolve_name(CLASSES[section]))
    chosen = params.value(values, "method", str)
    checked_sections(chosen, sections_of(chosen, values))
    for method, given in params.value(values, "options", dict).items():
        if isinstance(given, Mapping):
            alone = {**values, "options": {method: given}}
            checked_sections(method, sections_of(method, alone))
