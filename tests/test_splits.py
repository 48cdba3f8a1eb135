"""Stage splits: both sources, both kinds of labels, records that the store lacks, and faults."""

import csv
import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml

from kmerl import params
from kmerl.files import read_json
from kmerl.tasks import merl_splits
from kmerl.tasks.classes import TASKS, classes, official
from kmerl.tasks.cohort import SPLITS, Cohort, read_cohort
from kmerl.tasks.splits import ABSENT, Splits, read_task
from stages import splits as stage
from tests.cohorts import files_below, merl_row, read_rows, write_merl
from tests.evaluation_cohort import PARAMS


def run(**changes: str) -> dict[str, Cohort]:
    """Stage splits with these parameters; the cohorts that it wrote."""
    values = PARAMS | {"splits": PARAMS["splits"] | changes}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    stage.main()
    return {task: read_cohort(Path("data/splits"), official(task)) for task in TASKS}


def listed(name: str) -> list[dict[str, str]]:
    return read_rows(f"data/splits/{name}.csv")


def report(task: str) -> dict:
    return read_json("data/splits/report.json")[task]


def test_both_sources_with_both_kinds_of_labels(world):
    official = run(source="official")
    for task, cohort in official.items():
        assert cohort.records.tolist() == sorted(cohort.records.tolist())
        assert cohort.corpus == TASKS[task]
        assert cohort.truth.shape == (len(cohort.records), len(classes(task)))
        assert cohort.records.size == {"cpsc2018": 0, "csn": 40}.get(task, 53)
    assert listed("differences") == listed("missing") == []
    assert "merl" not in report("csn")

    corrected = run(source="merl", labels="corrected")
    cells = listed("differences")
    for task, name in product(TASKS, ("records", "patients", "splits", "truth")):
        assert np.array_equal(getattr(corrected[task], name), getattr(official[task], name)), task

    as_released = run(source="merl", labels="merl")
    kept = files_below(world, "data/splits")
    assert listed("differences") == cells
    assert {(row["task"], row["merl"], row["corrected"]) for row in cells} == {("csn", "1", "0")}
    found = set()
    for task in TASKS:
        one, other = as_released[task], corrected[task]
        assert one.records.tolist() == other.records.tolist()
        for row, column in np.argwhere(one.truth != other.truth):
            record, split = str(one.records[row]), str(one.splits[row])
            found.add((task, split, record, one.classes[column].code))
    assert found == {
        tuple(row[name] for name in ("task", "split", "record", "class")) for row in cells
    }
    assert len(found) == len(cells) > 20
    assert report("csn")["merl"] == merl_splits.summary(merl_splits.read(Path("raw/merl"), "csn"))

    run(source="official")
    run(source="merl", labels="merl")
    assert files_below(world, "data/splits") == kept


def test_records_of_merl_that_the_store_lacks_are_listed_with_the_reason(world):
    path = Path("raw/merl/data_split/chapman/chapman_val.csv")
    more = [merl_row("csn", record, ["SR"]) for record in ("r900", "r901")]
    with path.open("a", newline="") as file:
        csv.DictWriter(file, list(more[0]), lineterminator="\n").writerows(more)
    cohort = run(source="merl")["csn"]
    assert not {"r900", "r901"} & set(cohort.records.tolist())
    rows = [row for row in listed("missing") if row["task"] == "csn"]
    assert [tuple(row.values()) for row in rows] == [
        ("csn", "val", "r900", "flat"), ("csn", "val", "r901", ABSENT),
    ]  # fmt: skip
    assert report("csn")["records_missing"] == {"flat": 1, ABSENT: 1}
    assert report("csn")["merl"]["rows"]["val"] == report("csn")["rows"]["val"] + 2
    assert report("cpsc2018")["records_missing"] == {ABSENT: 3}  # an empty store is no error


def test_a_store_without_any_of_merls_records_is_an_error(world):
    rows = {split: [merl_row("csn", f"JS{split}", ["SR"])] for split in SPLITS}
    write_merl(Path("raw/merl"), "csn", rows)
    with pytest.raises(
        ValueError, match=r"none of MERL's 3 records of csn \(such as 'JStrain'\).*60"
    ):
        run(source="merl")


def test_a_corpus_that_dvc_yaml_does_not_list_is_named(world):
    Path("metrics/ingest/csn.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"`csn: \$\{corpora\.csn\}`"):
        run()


def test_simulated_records_have_no_labels_in_the_real_files(world):
    settings = Splits("merl", "merl", "raw/merl")
    with pytest.raises(params.ParamsError, match=r"corpus csn is simulated.*lists real records"):
        read_task(Path("data/ecg"), official("csn"), settings, {"csn"})
    synthetic = dataclasses.replace(settings, merl="raw/synthetic/merl")
    with pytest.raises(params.ParamsError, match=r"corpus csn is real.*lists simulated records"):
        read_task(Path("data/ecg"), official("csn"), synthetic, {"ptb-xl"})
    found = read_task(Path("data/ecg"), official("cpsc2018"), settings, {"cpsc2018"})
    assert len(found.cohort.records) == 0  # no record, so none with another's labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"records": ["r1", "r1", "r2"]}, "record 'r1' comes after 'r1'"),
        ({"records": ["r2", "r1", "r3"]}, "record 'r1' comes after 'r2'"),
        ({"splits": ["train", "fold 9", "test"]}, "record 'r2' is in split 'fold 9'"),
        ({"classes": classes("csn")[::-1]}, "has not the classes that csn has now"),
    ],
)
def test_a_file_that_no_stage_wrote_is_refused(tmp_path, change, message):
    given = {"records": ["r1", "r2", "r3"], "splits": SPLITS, "classes": classes("csn")} | change
    records, splits = np.array(given["records"]), np.array(given["splits"])
    truth = np.zeros((3, 38), dtype=bool)
    Cohort("csn", "csn", given["classes"], records, records, splits, truth).write(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_cohort(tmp_path, official("csn"))
    with pytest.raises(FileNotFoundError, match="dvc repro splits"):
        read_cohort(tmp_path, official("cpsc2018"))
