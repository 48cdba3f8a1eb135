"""Fine-tuning against a plain loop, on what it may read, and as a stage on a tiny cohort."""

import copy
import dataclasses
import math
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kmerl import params
from kmerl.evaluation import fine_tune, fine_tune_fit
from kmerl.evaluation.fine_tune_fit import Classifier, Examples, FineTune, fit, scores
from kmerl.evaluation.memory_store import MemoryStore, read_into_memory
from kmerl.evaluation.metrics import auroc, macro
from kmerl.evaluation.scores import read_scores
from kmerl.files import read_json
from kmerl.leads import LEADS
from kmerl.models.inputs import SignalParams, normalised
from kmerl.models.vit import SIZES, EncoderParams, LeadEncoder, Size
from kmerl.store import StoreError
from kmerl.tasks import of_run
from kmerl.tasks.classes import TASKS, official, tasks_of
from kmerl.tasks.cohort import Cohort, read_cohort
from kmerl.tasks.splits import from_store
from kmerl.tasks.subsets import subset_size, training_order
from kmerl.training.model import load, save
from stages import fine_tune as stage
from tests.cohorts import files_below, read_rows, write_signals
from tests.plain_training import plain_training
from tests.test_encode import enlarged

DEMO = params.read(Path("params/demo.yaml"))
SHORT = 200  # samples of the networks that are tested without a store
SIGNAL = SignalParams("millivolt", "available")
SECTION = DEMO["fine_tune"] | {
    **{"learning_rate": 0.002, "scratch_learning_rate": 0.004, "head_learning_rate": 0.02},
    **{"leads": ["2"], "weight_decay": 0.1, "batch": 8, "epochs": 4, "warmup_epochs": 1.0},
}
SETTINGS = params.build(FineTune, SECTION, "fine_tune")


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "nano", Size(24, 1, 3))
        yield


def encoder() -> LeadEncoder:
    torch.manual_seed(0)
    return LeadEncoder(EncoderParams("nano", "lead", 50, True, True), SHORT)


def examples(records: int, seed: int) -> Examples:
    """Class k lifts lead k; leads I and II are seen."""
    random = np.random.default_rng(seed)
    truth = random.random((records, 3)) < 0.4
    signal = random.normal(0, 300, (records, 2, SHORT)) + 500 * truth[:, :2, None]
    rows, whole = np.arange(records), np.zeros(records, int)
    held = MemoryStore(LEADS[:2], {}, signal.astype(np.int16), whole, whole)
    return Examples(held, rows, truth, LEADS[:2], SIGNAL)


def run(train: Examples, validation: Examples, settings: FineTune = SETTINGS, rate: float = 0.002):
    random, how = np.random.default_rng(0), {"device": "cpu", "advance": lambda _: None}
    network = Classifier(encoder(), train.truth.shape[1], random)
    return fit(network, train, validation, settings, rate=rate, random=random, **how)


def test_equals_a_plain_pytorch_loop():
    """The same training by torch's own modules, one parameter group after the other."""
    train, random = examples(20, 1), np.random.default_rng(0)
    body, head, bound = encoder(), torch.nn.Linear(24, 3), 1 / math.sqrt(24)
    start = torch.from_numpy(random.uniform(-bound, bound, (3, 25)).astype(np.float32))
    head.load_state_dict({"weight": start[:, :24], "bias": start[:, 24]})

    def logits(rows):
        signal = torch.from_numpy(train.recordings.signal[rows].astype(np.float32) / 1000)
        return head(body(signal, torch.tensor([[0, 1]] * len(rows))).mean(dim=1))

    rates = {body: SETTINGS.learning_rate, head: SETTINGS.head_learning_rate}
    plain_training(rates, logits, train.truth, SETTINGS, random, SETTINGS.clip)
    expected = torch.nn.ModuleDict({"encoder": body, "head": head}).state_dict()
    found = run(train, dataclasses.replace(train, rows=train.rows[:0], truth=train.truth[:0]))
    assert found.epoch == SETTINGS.epochs  # validation has no record: the last epoch is kept
    assert math.isnan(found.auroc)
    for name, value in found.network.state_dict().items():
        if not name.endswith("qkv.bias"):  # keys' bias changes no attention: its gradient is noise
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5)
    answers = logits(np.arange(20)).detach()
    mine = scores(found.network, train, SETTINGS, "cpu")
    np.testing.assert_allclose(mine, answers, rtol=0, atol=1e-3)


def test_validation_chooses_the_first_of_the_best_epochs(monkeypatch):
    train, validation = examples(16, 3), examples(8, 4)
    curve, kept = iter([0.6, 0.8, 0.8, 0.7]), []

    def scores(network, part, *_):
        kept.append(copy.deepcopy(network.state_dict()))
        return np.zeros(part.truth.shape)

    monkeypatch.setattr(fine_tune_fit, "scores", scores)
    monkeypatch.setattr(fine_tune_fit, "macro", lambda _: next(curve))
    found = run(train, validation)
    assert (found.epoch, found.auroc) == (2, 0.8)
    assert len(kept) == 4
    chosen = found.network.state_dict()
    assert all(torch.equal(chosen[name], value) for name, value in kept[1].items())
    assert any(not torch.equal(chosen[name], value) for name, value in kept[3].items())


def test_bf16_trains_and_a_diverging_loss_says_what_to_lower():
    train = examples(16, 5)
    assert 1 <= run(train, train, dataclasses.replace(SETTINGS, precision="bf16")).epoch <= 4
    wild = dataclasses.replace(SETTINGS, clip=0.0, warmup_epochs=0.0)
    with pytest.raises(FloatingPointError, match=r"fine_tune's learning rates"):
        run(train, train, wild, rate=1e30)


# ---------------------------------------------------------------- the tasks


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A directory after ingest, splits, pretrain and fine_tune, of two seeds and two lead sets."""
    root = tmp_path_factory.mktemp("finished")
    for corpus, records in {"ptb-xl": 24, "cpsc2018": 0, "csn": 24}.items():
        write_signals(root / "data/ecg", corpus, records)
        for task in tasks_of(corpus):
            from_store(root / "data/ecg", official(task)).write(root / "data/splits")
    of_run.write(map(official, TASKS), root / "data/tasks.json")
    save(root / "models", *enlarged("millivolt", encoder__token_samples=50))
    values = {
        "seed": 3,
        "fine_tune": SECTION
        | {"seeds": 2, "leads": ["I+II", "1"], "ratios": [10, 100], "epochs": 2},
        "statistics": {"replicates": 10, "level": 0.9, "min_positives": 1},
        "runtime": DEMO["runtime"] | {"threads": 1},
    }
    run_stage(root, values)
    return root


def run_stage(root: Path, values: dict) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    models = files_below(root / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        stage.main()
    assert files_below(root / "models") == models


@pytest.fixture
def people(finished) -> Cohort:
    return read_cohort(finished / "data/splits", official("csn"))


def test_metrics_and_scores_are_there_and_nulls_where_a_corpus_has_no_records(finished):
    table = read_json(finished / "metrics/fine_tune.json")
    assert set(table) == {*TASKS, "average"}
    for task in table.values():
        assert set(task) == {"10", "100"}
        assert all(set(rows) == {"I+II", "1"} for rows in task.values())
    row = table["ptbxl_super"]["100"]["1"]
    assert row["scratch_auroc_lo"] <= row["scratch_auroc"] <= row["scratch_auroc_hi"]
    assert row["above_scratch_lo"] <= row["above_scratch"] <= row["above_scratch_hi"]
    assert row["above_scratch"] == pytest.approx(row["auroc"] - row["scratch_auroc"], abs=1e-3)
    assert 1 <= row["epoch"] <= 2
    assert table["csn"]["10"]["1"]["train_records"] == 1
    sums = [table[task]["100"]["1"]["train_records"] for task in TASKS]
    assert table["average"]["100"]["1"]["train_records"] == sum(sums) == 5 * 8
    row = table["cpsc2018"]["100"]["1"]
    assert (row["records"], row["train_records"], row["train_classes"]) == (0, 0, 0)
    assert (row["auroc"], row["epoch"], row["scratch_auroc"], row["above_scratch"]) == (None,) * 4
    others = [table[task]["100"]["1"]["scratch_auroc"] for task in TASKS if task != "cpsc2018"]
    average = table["average"]["100"]["1"]["scratch_auroc"]
    assert average == pytest.approx(np.mean(others), abs=1e-3)
    out = finished / "data/fine_tune"
    for folder, key in ((out, "auroc"), (out / "scratch", "scratch_auroc")):
        found = [read_scores(folder / "100" / seed, "csn") for seed in ("0", "1")]
        assert not np.array_equal(found[0].score["1"], found[1].score["1"])
        assert found[0].lead_sets == {"I+II": LEADS[:2], "1": LEADS[:1]}
        values = [macro(auroc(one.truth, one.score["1"])) for one in found]
        assert table["csn"]["100"]["1"][key] == pytest.approx(np.mean(values), abs=1e-3)
    rows = {(row["ratio"], row["start"]) for row in read_rows(out / "classes.csv")}
    assert rows == set(product(("10", "100"), ("pretrained", "scratch")))


def test_a_second_run_on_any_number_of_threads_writes_the_same_bytes(finished, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    values = params.read(finished / "params.yaml")
    run_stage(tmp_path, values | {"runtime": DEMO["runtime"] | {"threads": 3}})
    first, second = (files_below(one, "data/fine_tune", "metrics") for one in (finished, tmp_path))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert len(first) == 2 * 2 * 2 * 2 * len(TASKS) + 3


def trained(root: Path, people: Cohort, settings: FineTune = SETTINGS, **options):
    jobs = fine_tune.plan([people], settings, 3)
    made, model = load(root / "models")
    start_from = fine_tune.encoders(made, model.encoder, settings, 3)
    how = made.signal, settings, 3
    return list(fine_tune.FineTuning(start_from, root / "data/ecg", *how, **options).train(jobs))


def test_labels_of_test_records_change_no_score(finished, people):
    hidden = people.truth.copy()
    hidden[people.splits == "test"] ^= True
    one, other = (
        trained(finished, dataclasses.replace(people, truth=y)) for y in (people.truth, hidden)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.test, b.test)
    hidden[people.splits == "train"] ^= True  # the labels that may be read do change them
    changed = trained(finished, dataclasses.replace(people, truth=hidden))
    assert not np.array_equal(one[0].test, changed[0].test)


def test_both_starts_train_on_the_probe_s_records_and_the_reference_starts_elsewhere(
    finished, people
):
    settings = dataclasses.replace(SETTINGS, ratios=(10, 100), seeds=2)
    jobs = fine_tune.plan([people], settings, 3)
    assert len(jobs) == 2 * 2 * 2
    everyone = people.split("train").records
    for job in jobs:
        order = training_order(len(everyone), "csn", 3, job.number)
        head = order[: subset_size(len(everyone), job.ratio)]
        assert job.train.records.tolist() == everyone[head].tolist()
    made, model = load(finished / "models")
    found = fine_tune.encoders(made, model.encoder, settings, 3)
    assert found["pretrained", 0] is found["pretrained", 1] is model.encoder
    places = (("pretrained", 0), ("scratch", 0), ("scratch", 1))
    weights = [found[place].tokenizer.project.weight for place in places]
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])


def test_without_training_records_nothing_is_run(people):
    untaught = people.take(people.splits != "train")
    assert fine_tune.plan([untaught], SETTINGS, 3) == []
    scored = fine_tune.by_task([untaught], [], SETTINGS, 100, 0, "pretrained")[0]
    assert scored.score["2"].shape == (0, 38)


def test_an_error_in_one_training_ends_all(finished, people, monkeypatch):
    settings = dataclasses.replace(SETTINGS, epochs=300)  # seconds, unless it is ended
    real, ended = fine_tune.fit, []

    def failing(network, *rest, rate, **options):
        if rate == settings.scratch_learning_rate:
            raise FloatingPointError("the loss is nan")
        try:
            return real(network, *rest, rate=rate, **options)
        except Exception as error:
            ended.append(str(error))
            raise

    monkeypatch.setattr(fine_tune, "fit", failing)
    with pytest.raises(FloatingPointError, match="the loss is"):
        trained(finished, people, settings, threads=2)
    assert ended == ["another training failed"]


def test_recordings_are_those_asked_for(tmp_path):
    signals = write_signals(tmp_path, "csn", 24)
    found = read_into_memory(tmp_path / "csn", ("II", "V6"), np.array(["r020", "r003"]))
    rows = found.rows(np.array(["r020", "r003", "r020"]))
    shown, leads = found.batch(rows, ("V6",), SIGNAL)
    expected = signals[[20, 3, 20]][:, [11]]
    np.testing.assert_array_equal(shown.numpy(), normalised(expected, None, SIGNAL))
    assert leads.tolist() == [[11]] * 3
    whole = signals[[20, 3]].min((1, 2)), signals[[20, 3]].max((1, 2))
    np.testing.assert_array_equal(found.low[found.rows(np.array(["r020", "r003"]))], whole[0])
    leaky = SignalParams("minmax", "global12")
    shown, _ = found.batch(rows[:2], ("II",), leaky)
    np.testing.assert_array_equal(shown.numpy(), normalised(signals[[20, 3]][:, [1]], whole, leaky))
    with pytest.raises(ValueError, match=r"csn: record 'r999' is missing.*ingest@csn"):
        read_into_memory(tmp_path / "csn", ("I",), np.array(["r003", "r999"]))
    with pytest.raises(StoreError, match="ingest@cpsc2018"):
        read_into_memory(tmp_path / "cpsc2018", ("I",), np.array(["r003"]))
