"""How much data there is: what params.yaml makes, or the corpora as published."""

from collections.abc import Mapping
from typing import Any

from kmerl.params import ParamsError
from kmerl.store.pairs import corpora_of

RECORDS = {  # of the published corpora
    "mimic-iv-ecg": 800_035,
    "ptb-xl": 21_799,  # 1.0.3; the paper counts the 21,837 of 1.0.1
    "cpsc2018": 6_877,
    "csn": 45_152,
}
MEMBERS = {**RECORDS, "csn": 23_026}
"""Records that some task trains or tests on (Table 3); of CSN about half."""
TRAIN_RECORDS = {  # Table 3
    "ptbxl_super": 17_084,
    "ptbxl_sub": 17_084,
    "ptbxl_form": 7_197,
    "ptbxl_rhythm": 16_832,
    "cpsc2018": 4_950,
    "csn": 16_546,
}
PAIRS = {"mimic-iv-ecg": 771_693, "ptb-xl": 17_439}  # Sec. 4.1; PTB-XL: folds 1 to 8
ENTITIES = 277  # columns of the label matrix: 252 entities and 25 superclasses (Sec. 3.4)
TEXT_WIDTHS = {"packaged": 384}
TEXT_WIDTH = 768  # of the three encoders of Table 2e


def records(values: Mapping[str, Any], corpus: str) -> int:
    """Records of a corpus: those that stage synthesize makes, or the published ones."""
    if corpus not in RECORDS:
        raise ParamsError(f"how many records corpora.{corpus} has is not known here")
    return int(values["synthesize"]["records"][corpus]) or RECORDS[corpus]


def members(values: Mapping[str, Any], corpus: str) -> float:
    """Records of a corpus that are in a downstream task."""
    return MEMBERS[corpus] / RECORDS[corpus] * records(values, corpus)


def pairs(values: Mapping[str, Any]) -> float:
    """Pairs that an epoch of pretraining shows."""
    several = corpora_of(values["pretrain"]["corpus"])
    some = {corpus: records(values, corpus) for corpus in several}
    usable = (PAIRS.get(name, RECORDS[name]) / RECORDS[name] * n for name, n in some.items())
    return values["pretrain"]["share"] / 100 * sum(usable)


def train_records(values: Mapping[str, Any], task: str, corpus: str) -> float:
    """Training records of a downstream task."""
    return TRAIN_RECORDS[task] / RECORDS[corpus] * records(values, corpus)


def text_width(values: Mapping[str, Any]) -> int:
    """Width of the text encoder's vectors."""
    return TEXT_WIDTHS.get(values["text_encoder"]["model"], TEXT_WIDTH)
