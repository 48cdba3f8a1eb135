"""MERL's released files about the synthetic records: 18 split CSVs and CKEPE_prompt.json.

The same columns and the same faults as the real ones (kmerl.tasks.merl_splits): the train
file of PTBXL-Sub has three columns in another order, and CSN's labels ask whether a code is a
substring of the record's diagnoses.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kmerl.synthetic import formats
from kmerl.synthetic.layouts import csn, ptbxl
from kmerl.tasks.classes import TASKS, classes

Row = dict[str, Any]
SPLITS = ("train", "val", "test")
SWAPPED = {"ISC": "AVB", "AVB": "RAO/RAE", "RAO/RAE": "ISC"}
"""Of PTBXL-Sub: the column of the test file, and which one the train file has in its place."""

_PTBXL = ("ecg_id", "patient_id", "strat_fold", "filename_lr", "filename_hr")
_CPSC = ("patient_id", "ecg_id", "filename", "validation", "age", "sex", "scp_codes")
_CSN = ("ecg_path", "age", "diagnose")
_FOLDER = {
    "ptbxl_super": "super_class",
    "ptbxl_sub": "sub_class",
    "ptbxl_form": "form",
    "ptbxl_rhythm": "rhythm",
}
_CPSC_CLASSES = {
    1: "NORM", 2: "AFIB", 3: "1AVB", 4: "CLBBB", 5: "CRBBB", 6: "PAC", 7: "VPC", 8: "STD", 9: "STE",
}  # fmt: skip


def files(rows: Mapping[str, Sequence[Row]], folds: Mapping[int, int]) -> dict[str, bytes]:
    """{path: bytes} of all 19 files; a corpus without records has files of a header alone.

    Args:
        rows: of each corpus, as its layout made them.
        folds: PTB-XL's fold of each patient.
    """
    made = {"CKEPE_prompt.json": json.dumps(prompts(), indent=8).encode()}
    ordered = sorted(rows["ptb-xl"], key=lambda row: int(row["ecg_id"]))
    for task, name in _FOLDER.items():
        lines = [(_fold_split(folds, row), _ptbxl_line(task, name, row, folds)) for row in ordered]
        members = [(split, line) for split, line in lines if line]
        place = f"data_split/ptbxl/{name}/ptbxl_{name}"
        made |= _tables(place, (*_PTBXL, name), task, members)
    cpsc = _dealt(_cpsc_lines(rows["cpsc2018"]))
    made |= _tables("data_split/icbeb/icbeb", _CPSC, "cpsc2018", cpsc)
    made |= _tables("data_split/chapman/chapman", _CSN, "csn", _dealt(_csn_lines(rows["csn"])))
    return made


def _tables(
    place: str, head: Sequence[str], task: str, lines: Iterable[tuple[str, Row]]
) -> dict[str, bytes]:
    """The three files of a task."""
    codes = [kind.code for kind in classes(task)]
    other = [SWAPPED.get(code, code) for code in codes] if task == "ptbxl_sub" else codes
    split_lines: dict[str, list[Row]] = {split: [] for split in SPLITS}
    for split, line in lines:
        split_lines[split].append(line)
    made = {}
    for split, members in split_lines.items():
        columns = (*head, *(other if split == "train" else codes))
        values = [[line[column] for column in columns] for line in members]
        made[f"{place}_{split}.csv"] = formats.table(columns, values)
    return made


def _dealt(lines: Iterable[Row]) -> list[tuple[str, Row]]:
    """72 % train, 8 % validation, 20 % test, otherwise than the corpora's own split."""
    golden = 0.6180339887498949
    places = [((0.5 + number * golden) % 1, line) for number, line in enumerate(lines)]
    return [("train" if p < 0.72 else "val" if p < 0.8 else "test", line) for p, line in places]


def _labels(task: str, given: Iterable[str]) -> Row:
    present = set(given)
    return {kind.code: int(kind.code in present) for kind in classes(task)}


def _fold_split(folds: Mapping[int, int], row: Row) -> str:
    return {9: "val", 10: "test"}.get(folds[row["patient"]], "train")


def _ptbxl_line(task: str, name: str, row: Row, folds: Mapping[int, int]) -> Row:
    """Empty where the record has no label of the task."""
    given = list(dict.fromkeys(_of_task()[task].get(code, "") for code in row["profile"]))
    given = [code for code in given if code]
    if not given:
        return {}
    head = {column: row[column] for column in _PTBXL if column != "strat_fold"}
    return {**head, "strat_fold": folds[row["patient"]], name: given, **_labels(task, given)}


@cache
def _of_task() -> dict[str, dict[str, str]]:
    """task -> SCP code -> class code."""
    found: dict[str, dict[str, str]] = {task: {} for task in _FOLDER}
    for code, kinds, _, above in ptbxl.scp_statements():
        superclass, _, subclass = above.partition("/")
        if "d" in kinds:
            found["ptbxl_super"][code] = superclass
            found["ptbxl_sub"][code] = subclass.strip("_")
        if "f" in kinds:
            found["ptbxl_form"][code] = code.strip("_")
        if "r" in kinds:
            found["ptbxl_rhythm"][code] = code.strip("_")
    return found


def _cpsc_lines(rows: Iterable[Row]) -> Iterator[Row]:
    """`ecg_id` is the place in a listing, and no labels are in `scp_codes`, as in MERL's."""
    for number, row in enumerate(sorted(rows, key=lambda row: str(row["record"]))):
        yield {
            "patient_id": number,
            "ecg_id": number,
            "filename": row["record"],
            "validation": False,
            "age": row["age"],
            "sex": int(row["sex"] == "Male"),
            "scp_codes": "{}",
            **_labels("cpsc2018", (_CPSC_CLASSES[label] for label in row["labels"])),
        }


def _csn_lines(rows: Iterable[Row]) -> Iterator[Row]:
    """Records with a code that has no acronym are left out, and so are those without a label.

    `age` is the number of leads, read from the wrong place of the header.
    """
    acronym = _acronyms()
    for row in sorted(rows, key=lambda row: str(row["record"])):
        if not set(row["codes"]) <= set(acronym):
            continue
        diagnose = ",".join(acronym[code] for code in row["codes"])
        labels = _labels("csn", (kind.code for kind in classes("csn") if kind.code in diagnose))
        if any(labels.values()):
            path = f"/chapman/{row['folder']}/{row['record']}.mat"
            yield {"ecg_path": path, "age": 12, "diagnose": diagnose, **labels}


@cache
def _acronyms() -> dict[str, str]:
    """SNOMED CT code -> acronym: that of the class, or the first of several."""
    codes = {kind.code for kind in classes("csn")}
    found: dict[str, str] = {}
    for acronym, _, snomed in _conditions():
        if acronym in codes or snomed not in found:
            found[snomed] = acronym
    return found


def _conditions() -> list[list[str]]:
    """(acronym, full name, SNOMED CT code) of CSN's conditions."""
    with csn.CONDITIONS.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def prompts() -> dict[str, str]:
    """{class code: a list of expressions}: its names in the tasks, and what the corpora list there.

    MERL's were written by an LLM; these are the descriptions of the SCP statements below a class,
    and CSN's own names.
    """
    found: dict[str, list[str]] = {}
    for task in TASKS:
        for kind in classes(task):
            found.setdefault(kind.code, []).append(kind.name)
    for code, _, description, _ in ptbxl.scp_statements():
        for task in _FOLDER:
            if code in _of_task()[task]:
                found[_of_task()[task][code]].append(description)
    for acronym, full_name, _ in _conditions():
        if acronym in found:
            found[acronym].append(full_name)
    return {code: f"{', '.join(_once(texts))}." for code, texts in sorted(found.items())}


def _once(texts: Iterable[str]) -> list[str]:
    """Each text the first time it comes, whatever its case and its spaces."""
    found: dict[str, str] = {}
    for text in texts:
        words = " ".join(text.split())
        found.setdefault(words.lower(), words)
    return list(found.values())
