"""The few metrics that `dvc metrics diff` compares."""

import json
from pathlib import Path

import pytest

from kmerl.evaluation import metric_files
from kmerl.files import read_json, read_yaml
from tests.import_closure import ROOT

PROTOCOLS = pytest.mark.parametrize("protocol", metric_files.FEW)


def test_few_keeps_the_paths_that_are_named_and_their_place() -> None:
    table = {
        "average": {"1": {"auroc": 0.6, "auroc_lo": 0.5}, "12": {"auroc": 0.7, "f1": 0.3}},
        "csn": {"12": {"auroc": None, "records": 7}, "I+II": {"auroc": 0.65}},
    }
    assert metric_files.few(table, ("average.1.auroc", "*.12.auroc", "average.12.f1")) == {
        "average": {"1": {"auroc": 0.6}, "12": {"auroc": 0.7, "f1": 0.3}},
        "csn": {"12": {"auroc": None}},
    }
    assert metric_files.few(table, ("nothing",)) == {}


@PROTOCOLS
def test_a_summary_is_a_small_part_of_its_file(protocol: str) -> None:
    whole = dict(metric_files.flat(read_json(ROOT / f"metrics/{protocol}.json")))
    few = dict(metric_files.flat(read_json(ROOT / f"metrics/summary/{protocol}.json")))
    assert few.items() <= whole.items()
    assert 2 <= len(few) <= 12
    noise = ("_lo", "_hi", "records", "classes", "_min")
    assert not [path for path in few if path[-1].endswith(noise)]


def test_a_stage_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    groups = {"seen": {"auroc": 0.75621, "auroc_lo": 0.7, "f1": 0.3}, "unseen": {"auroc": None}}
    metric_files.write("seen_unseen", groups)
    whole, few = (
        json.loads(Path(folder, "seen_unseen.json").read_text())
        for folder in ("metrics", "metrics/summary")
    )
    assert whole["seen"] == {"auroc": 0.7562, "auroc_lo": 0.7, "f1": 0.3}
    assert few == {"seen": {"auroc": 0.7562, "f1": 0.3}, "unseen": {"auroc": None}}


def test_dvc_compares_no_file_of_more_than_sixty_numbers() -> None:
    listed = [
        path
        for stage in read_yaml(ROOT / "dvc.yaml")["stages"].values()
        for entry in stage.get("metrics", [])
        for path in entry
    ]
    assert {f"metrics/summary/{protocol}.json" for protocol in metric_files.FEW} <= set(listed)
    counted = {path: len(list(metric_files.flat(read_json(ROOT / path)))) for path in listed}
    assert max(counted.values()) <= 60, counted
