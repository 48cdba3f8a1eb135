"""GPU-hours: operations as by hand, records of a stage, what is shared, the command."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kmerl import params
from kmerl.cli import app
from kmerl.cost import cost, scale, steps
from kmerl.cost.steps import Known, Step
from kmerl.experiments import catalogue
from kmerl.experiments.catalogue import Catalogue, Experiment, changed
from kmerl.models.vit import SIZES
from kmerl.training.session import described
from tests.methods import DEMO

PAPER = params.read("params/paper.yaml")
SHORT = changed(
    DEMO, {"ingest.rate": 100, "ingest.seconds": 4, "query_network.layers": 1, "pretrain.batch": 4}
)


def a_second(step: Step) -> float:
    """A record on a number of leads takes a second."""
    return len(step.leads)


# ---------------------------------------------------------------- a step


def step(work="train", method="kmerl", records=4, leads=(2,), names=0, **changes) -> Step:
    """Of the demo's model on records of 400 samples; `changes` like mask__leads="fixed"."""
    given = {key.replace("__", "."): value for key, value in changes.items()}
    config = described(changed(SHORT, {"method": method, **given}), ("a", "b"), 12)
    return Step(work, config, records, leads, names=names)


def block(tokens: int, width: int) -> int:
    """A transformer block: four projections, an MLP four times as wide, two attention products."""
    return 2 * tokens * width * width * (4 + 8) + 4 * tokens * tokens * width


@pytest.mark.parametrize(
    ("tokens", "leads", "expected"), [("lead", 12, 48), ("joint", 12, 4), ("lead", 1, 4)]
)
def test_encoding_is_a_tokenizer_and_blocks_and_a_gradient_twice_as_much(tokens, leads, expected):
    size = SIZES[SHORT["encoder"]["size"]]
    tokenizer = 2 * expected * 100 * (12 if tokens == "joint" else 1) * size.width
    by_hand = tokenizer + size.depth * block(expected, size.width)
    encoding = step("encode", leads=(leads,), encoder__tokens=tokens)
    assert steps.operations(encoding) == by_hand
    tuning = step("tune", leads=(leads,), encoder__tokens=tokens)
    assert steps.operations(tuning) == 3 * by_hand - tokenizer  # the signal needs no gradient


def test_every_number_of_leads_is_one_more_pass():
    apart = [steps.operations(step(leads=(leads,))) for leads in (1, 3)]
    assert steps.operations(step(leads=(1, 3))) == pytest.approx(sum(apart))
    assert apart[1] > 2 * apart[0]


def test_a_method_that_draws_on_the_device_is_counted_on_two_records():
    many, two = (steps.operations(step(method="simclr", records=n)) for n in (4096, 2))
    assert many == two > 0


def test_only_a_query_network_is_asked_and_only_about_what_is_held_out():
    def asked(method: str, records: int, names: int) -> float:
        alone, whole = (step("encode", method, records, names=n) for n in (0, names))
        return steps.operations(whole) - steps.operations(alone)

    assert asked("merl", 8, 50) == 0
    assert 0 < asked("kmerl", 8, 5) < asked("kmerl", 8, 50)
    assert asked("kmerl", 64, 50) == pytest.approx(asked("kmerl", 61, 50), rel=0.1)


def test_a_batch_has_as_many_leads_as_the_mask_shows():
    assert steps.leads_shown(step(mask__min_leads=9).config) == (1, 2, 3)
    assert steps.leads_shown(step(mask__leads="fixed", mask__min_leads=7).config) == (5,)
    assert steps.leads_shown(step(method="merl").config) == (12,)


def test_steps_that_take_equally_long_have_one_key():
    assert step().key.startswith("train kmerl, 4 records, 2 leads, ")
    encoding = step("encode").key
    assert step("encode", mask__leads="none", loss__query=0.0).key == encoding
    others = {"encoder__tokens": "joint"}, {"names": 5}, {"ingest__rate": 50}, {"leads": (3,)}
    keys = {step("encode", **other).key for other in others}
    keys |= {step("tune").key, step().key, step(mask__leads="none").key, encoding}
    assert len(keys) == 8


@pytest.mark.parametrize("method", ["kmerl", "byol"])
@pytest.mark.parametrize("work", ["train", "tune", "encode"])
def test_every_kind_of_step_is_timed(work, method):
    assert 0 < steps.timed(step(work, method, leads=(1, 2), names=3), "cpu") < 10


def test_what_was_measured_is_kept_for_other_machines(tmp_path):
    path, asked = tmp_path / "measures.json", []

    def find(one: Step) -> float:
        asked.append(one.work)
        return 0.5

    here = Known(find, "a GPU", path)
    assert here(step()) == here(step()) == 0.5
    assert asked == ["train"]
    there = Known(find, "a laptop", path)
    assert (there(step()), there.kept["machine"], asked) == (0.5, "a GPU", ["train"])
    with pytest.raises(params.ParamsError, match="measured on a GPU, lacks 'tune kmerl, 4 rec"):
        there(step("tune"))
    assert Known(find, "a GPU", path)(step("tune")) == 0.5


# ---------------------------------------------------------------- a stage


def test_the_papers_scale_is_the_papers_and_the_demos_its_own():
    assert scale.pairs(PAPER) == pytest.approx(771_693)
    assert scale.pairs(changed(PAPER, {"pretrain.share": 1.0})) == pytest.approx(7_716.93)
    assert (scale.records(DEMO, "csn"), scale.records(PAPER, "csn")) == (180, 45_152)
    assert scale.train_records(PAPER, "csn", "csn") == pytest.approx(16_546)
    with pytest.raises(params.ParamsError, match=r"how many records corpora\.mine has"):
        scale.pairs(changed(DEMO, {"pretrain.corpus": "mine"}))
    assert scale.pairs(DEMO) == pytest.approx(1_200 * 771_693 / 800_035)


def test_training_shows_every_pair_in_every_epoch():
    assert cost.pretrain(PAPER, a_second) == pytest.approx(771_693 * 50)
    assert cost.pretrain({**PAPER, "method": "random"}, a_second) == 0


def test_encoding_reads_every_record_for_every_set_of_leads():
    given = {"encode.orders": ["paper"], "encode.sets": [], "encode.random": ["12"]}
    values = changed(PAPER, given)
    assert cost.encode(values, a_second) == (21_799 + 6_877 + 23_026) * (12 + 1)
    same = changed(values, {"encode.sets": ["I+II"]})  # the paper's first two leads
    assert cost.encode(same, a_second) == cost.encode(values, a_second)
    more = changed(values, {"encode.sets": ["V1"]})
    assert cost.encode(more, a_second) > cost.encode(values, a_second)


def test_fine_tuning_trains_on_every_task_ratio_set_seed_and_start():
    given = {"fine_tune.ratios": [1, 10], "fine_tune.leads": ["2", "12"]}
    given |= {"fine_tune.epochs": 5, "fine_tune.warmup_epochs": 1, "fine_tune.seeds": 3}
    values = changed(PAPER, {**given, "fine_tune.from_scratch": True})
    expected = sum(scale.TRAIN_RECORDS.values()) * 0.11 * 5 * 3 * 2 * 2
    assert cost.fine_tune(values, a_second) == pytest.approx(expected)


# ---------------------------------------------------------------- sharing


@pytest.fixture
def an_hour_each(monkeypatch):
    monkeypatch.setattr(cost, "STAGES", {name: lambda *_: 3600.0 for name in cost.STAGES})


def experiment(name: str, *targets: str, **given) -> Experiment:
    """`given` like mask__segments=0.0."""
    chosen = {key.replace("__", "."): value for key, value in given.items()}
    return Experiment(name, chosen, targets or ("zero_shot",))


def hours(*held: Experiment, seeds: int = 1) -> dict[str, cost.Hours]:
    known = Catalogue({"encode.sets": []}, ("zero_shot",), {one.name: one for one in held}, {})
    return cost.cost(known, ["all"], PAPER, seeds, a_second)


def test_stages_that_agree_in_their_parameters_are_counted_once(an_hour_each):
    assert hours(
        experiment("first"),
        experiment("masked", mask__segments=0.0),
        experiment("prompted", prompts="ckepe"),
        experiment("scored", zero_shot__score="cosine"),
    ) == {
        "first": {"pretrain": 1.0, "encode": 1.0},
        "masked": {"pretrain": 1.0, "encode": 1.0},
        "prompted": {"pretrain": None, "encode": 1.0},
        "scored": {"pretrain": None, "encode": None},
    }


def test_every_seed_trains_and_only_what_a_target_needs_is_counted(an_hour_each):
    found = hours(experiment("tuned", "fine_tune"), experiment("first"), seeds=3)
    assert found["tuned"] == {"pretrain": 3.0, "fine_tune": 3.0}
    assert found["first"] == {"pretrain": None, "encode": 3.0}


def test_what_costs_nothing_is_not_said_to_be_shared(monkeypatch):
    monkeypatch.setattr(cost, "STAGES", {"pretrain": lambda *_: 0.0})
    assert hours(experiment("first"), experiment("again"))["again"] == {"pretrain": 0.0}


# ---------------------------------------------------------------- the command


def run(*given: str):
    return CliRunner().invoke(app, ["experiments", "cost", *given, "--seeds", "1"])


def test_the_command_prints_the_table(an_hour_each):
    known = catalogue.read()
    done = run("table-2d", "--profile", "paper", "--flops", "4e14")
    assert done.exit_code == 0, done.output
    printed = done.output.splitlines()
    assert printed[0] == "GPU-hours at 4e+14 operations a second; params/paper.yaml, 1 seed each"
    assert printed[1].split() == ["experiment", *cost.STAGES, "hours"]
    assert [line.split()[0] for line in printed[2:7]] == [one.name for one in known.of("table-2d")]
    assert printed[3].split() == ["no-lead-independent-masking", "1", "1", "-", "2"]
    assert printed[7].split() == ["total", "5", "5", "-", "10"]
    assert "Not counted" in done.output
    shared = run("simclr", "simclr-std", "--flops", "1").output.splitlines()
    assert shared[3].split() == ["simclr-std", "=", "=", "-", "-"]
    on_eight = run("simclr", "--flops", "1", "--gpus", "8").output.splitlines()
    assert [line.split()[-2:] for line in on_eight[1:3]] == [["on", "8"], ["2", "0.25"]]


def test_steps_in_fp32_have_a_number_of_their_own(monkeypatch):
    monkeypatch.setattr(steps, "operations", lambda step: 1e12)
    given = ["simclr", "--flops", "1e12"]
    found = [run(*given, *more).output.splitlines() for more in ([], ["--flops-fp32", "5e11"])]
    assert found[1][0].startswith("GPU-hours at 1e+12 operations a second, 5e+11 in fp32; ")
    one, two = (float(lines[2].split()[1]) for lines in found)  # the demo trains in fp32
    assert two == pytest.approx(2 * one, rel=0.1)


@pytest.mark.parametrize(
    ("given", "told"), [(["--flops", "0"], "--flops 0: "), (["--flops-fp32", "1"], "needs --flops")]
)
def test_numbers_of_operations_that_say_nothing_are_refused(given, told):
    assert told in run("simclr", *given).output


def test_the_command_measures_and_reads_measures(monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "timed", lambda step, device: 3.6)
    path = str(tmp_path / "measures.json")
    first = run("random-cnn", "--measures", path)
    assert first.exit_code == 0, first.output
    assert first.output.startswith(f"Hours measured on {steps.machine('cpu')}; params.yaml")
    written = Path(path).read_text().replace(steps.machine("cpu"), "a GPU")
    Path(path).write_text(written)
    again = run("random-cnn", "--measures", path)
    assert again.output == first.output.replace(steps.machine("cpu"), "a GPU")


def test_an_unknown_profile_is_named():
    done = run("table-2d", "--flops", "1", "--profile", "papers")
    assert done.exit_code == 1
    assert "params/papers.yaml does not exist; copy one of params/*.yaml" in done.output
