"""Tasks of one's own through the evaluation: beside the official ones, and without any of them."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from kmerl import params
from kmerl.corpora.entries import CorpusFiles
from kmerl.evaluation.compare import read_folder
from kmerl.files import read_json, write_json
from kmerl.params import ParamsError
from kmerl.report import run_charts, run_tables
from kmerl.store import label_column, read_table
from kmerl.tasks import of_run
from kmerl.tasks.classes import Task, classes, official, tasks_of
from kmerl.tasks.prompts import Asked, by_name
from kmerl.tasks.splits import Splits, check_own, read_task
from kmerl.training.model import save
from tests.cohorts import TEXT_WIDTH, read_rows, write_signals, write_store
from tests.evaluation_cohort import DEMO
from tests.test_encode import enlarged

OWN, TWIN = "my_super", "ptbxl_super"
NAMES = {kind.code: kind.name.title() for kind in classes(TWIN)}
TABLE = {"root": "raw", "manifest": "own.csv", "kind": "table", "tasks": {OWN: NAMES}}
BOTH = {"ptb-xl": {"root": "raw/ptb-xl", "manifest": "RECORDS"}, "mine": TABLE}
STAGES = (
    "check", "tasks", "splits", "encode", "zero_shot", "linear_probe", "fine_tune",
    "partial_leads", "seen_unseen",
)  # fmt: skip
CHANGES = {
    "encode": DEMO["encode"] | {"orders": ["paper"], "sets": ["I+II"], "random": ["1"]},
    "linear_probe": DEMO["linear_probe"]
    | {"epochs": 1, "warmup_epochs": 0, "seeds": 1, "weight_decays": []},
    "fine_tune": DEMO["fine_tune"] | {"epochs": 1, "from_scratch": False},
    "statistics": {"replicates": 5, "level": 0.9, "min_positives": 1},
    "runtime": DEMO["runtime"] | {"threads": 1},
}


def evaluated(root: Path, corpora: dict, task: str) -> dict[str, dict]:
    """What all stages of the evaluation measure of two stores of the same records."""
    signals = write_signals(root / "data/ecg", "ptb-xl", 24)
    twins = [label_column(TWIN, code) for code in NAMES]
    columns = read_table(root / "data/ecg/ptb-xl", ["record", "patient", "split", *twins])
    found = columns.to_pydict()
    found = {name.replace(TWIN, OWN): values for name, values in found.items()}
    order = [int(record[1:]) for record in found["record"]]
    labels = [label_column(OWN, code) for code in NAMES]
    write_store(root / "data/ecg/mine", signals[order], found, labels)
    tasks = [official(one) for one in tasks_of("ptb-xl")]
    tasks.append(Task(OWN, "mine", official(TWIN).classes))
    texts, names = by_name(tasks), sorted({*by_name(tasks).values()})
    vectors = np.random.default_rng(0).normal(size=(len(names), TEXT_WIDTH)).astype(np.float32)
    rows = [names.index(name) for name in texts.values()]
    Asked("by name", texts, vectors[rows]).write(root / "data/asked", "names")
    write_json(root / "data/text/names.json", {"entities": names[:5]})
    save_file({"entities": vectors[:5]}, root / "data/text/names.safetensors")
    save(root / "models", *enlarged("millivolt", encoder__token_samples=50))
    for corpus in ("ptb-xl", "mine"):
        write_json(root / f"metrics/ingest/{corpus}.json", {corpus: {"records": 24}})
    values = DEMO | CHANGES | {"corpora": corpora, "report": DEMO["report"] | {"task": task}}
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in STAGES:
            importlib.import_module(f"stages.{name}").main()
    return {path.stem: read_json(path) for path in (root / "metrics").glob("*.json")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders and metrics: with the official corpus, and without it."""
    roots = [tmp_path_factory.mktemp(name) for name in ("both", "alone")]
    given = (BOTH, TWIN), ({"mine": TABLE}, OWN)
    return [(root, evaluated(root, *one)) for root, one in zip(roots, given, strict=True)]


def test_a_table_alone_is_measured_by_every_protocol(runs):
    (_, both), (root, alone) = runs
    assert set(alone["zero_shot"]) == {OWN, "average"}
    assert alone["zero_shot"]["average"]["12"]["auroc"] == alone["zero_shot"][OWN]["12"]["auroc"]
    assert alone["zero_shot"][OWN]["12"]["auroc"] is not None
    for name in ("zero_shot", "linear_probe", "fine_tune"):
        assert alone[name][OWN] == both[name][OWN], name
    curves = read_rows(root / "plots/partial_leads.csv")
    assert {row["task"] for row in curves} == {OWN, "average"}
    assert alone["partial_leads"]["zero_shot"]["1"]["auroc"] is not None
    assert sum(row["classes"] for row in alone["seen_unseen"].values()) == len(NAMES)


def test_the_same_records_have_the_same_scores_whatever_their_task_is_called(runs):
    """Names seed the draws: of patients by the corpus's, of the probes and of fine-tuning by the
    task's. What is not drawn is the same."""
    (root, metrics), _ = runs
    drawn = ("_lo", "_hi")
    for leads, row in metrics["zero_shot"][OWN].items():
        twin = metrics["zero_shot"][TWIN][leads]
        assert {k: v for k, v in row.items() if not k.endswith(drawn)} == {
            k: v for k, v in twin.items() if not k.endswith(drawn)
        }
    one, two = (load_file(root / f"data/encode/{name}.safetensors") for name in ("mine", "ptb-xl"))
    for name, values in one.items():
        np.testing.assert_array_equal(values, two[name.replace(OWN, TWIN)])
    assert metrics["linear_probe"][OWN]["100"]["12"]["train_records"] > 0


def test_the_mean_stays_that_of_the_official_tasks(runs):
    (root, metrics), _ = runs
    known = tasks_of("ptb-xl")
    assert [*metrics["zero_shot"]] == sorted([*known, OWN, "average"])
    mean = np.mean([metrics["zero_shot"][task]["12"]["auroc"] for task in known])
    assert metrics["zero_shot"]["average"]["12"]["auroc"] == pytest.approx(mean, abs=1e-3)
    (scores,) = read_folder(root / "data/zero_shot")
    assert [one.task for one in scores] == [*known, OWN]


def test_the_page_calls_a_task_by_its_name(runs):
    _, (root, metrics) = runs
    grid = run_tables.zero_shot(metrics["zero_shot"], {})
    assert [row.label for row in grid.rows] == ["my super", "Mean over the tasks"]
    assert list(run_charts.by_task(read_rows(root / "plots/partial_leads.csv"))) == ["my super"]


WRONG = {
    "a name of the chain's own": {"mine": {"csn": {"AF": "fibrillation"}}},
    "name of the chain's own": {"mine": {"average": {"AF": "fibrillation"}}},
    "corpora.one has a task of that name": {"one": {"t": {"A": "a"}}, "two": {"t": {"A": "a"}}},
    "corpora.mine.tasks.t.patient: a column": {"mine": {"t": {"patient": "a"}}},
}


@pytest.mark.parametrize("message", WRONG)
def test_names_that_cannot_be(message):
    with pytest.raises(ParamsError, match=message):
        of_run.tasks_of_run(WRONG[message])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"split": ["train", "train", "val", "val"]},
            r"own\.csv: of 4 records .*task t none is in split test",
        ),
        ({"label.t.B": [False] * 4}, r"own\.csv: none of 4 .*has a 1 in column 'B' \(b\)"),
    ],
)
def test_a_task_that_cannot_be_measured(tmp_path, change, message):
    columns = {
        "record": list("abcd"), "patient": list("abcd"), "split": ["train", "val", "test", "test"],
        "label.t.A": [True, False, True, False], "label.t.B": [True, False, False, False],
    } | change  # fmt: skip
    write_store(tmp_path / "mine", np.ones((4, 12, 500), np.int16), columns, [*columns][3:])
    (task,) = of_run.tasks_of_run({"mine": {"t": {"A": "A", "B": " b "}}})
    found = read_task(tmp_path, task, Splits("official", "corrected", ""), set())
    with pytest.raises(ValueError, match=message):
        check_own(found.cohort, Path("own.csv"))


def test_a_task_without_classes_is_refused():
    with pytest.raises(ParamsError, match=r"tasks\.t"):
        params.build(CorpusFiles, TABLE | {"tasks": {"t": {}}}, "corpora.mine")


def test_a_run_without_tasks_pretrains_and_measures_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {name: value for name, value in TABLE.items() if name != "tasks"}
    Path("params.yaml").write_text(yaml.safe_dump(DEMO | {"corpora": {"mine": table}}))
    write_json("metrics/ingest/mine.json", {})
    for name in ("check", "tasks"):
        importlib.import_module(f"stages.{name}").main()
    assert of_run.read(Path("data/tasks.json")) == ()
    with pytest.raises(ParamsError, match="no corpus with tasks"):
        importlib.import_module("stages.splits").main()
