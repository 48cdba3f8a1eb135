"""GPU-hours: each stage's operations by hand, what is shared is counted once, the command."""

import pytest
from typer.testing import CliRunner

from kmerl import params
from kmerl.cli import app
from kmerl.cost import arithmetic, cost, scale, work
from kmerl.experiments import catalogue
from kmerl.experiments.catalogue import Catalogue, Experiment, Row, Table
from tests.methods import DEMO

PAPER = params.read("params/paper.yaml")
HOUR = 3600.0  # operations, at one a second


def experiments(*held: Experiment) -> Catalogue:
    """One table of experiments that all measure zero-shot."""
    rows = tuple(Row(one.name, one.name) for one in held)
    return Catalogue(
        every={"encode.sets": []},
        targets=("zero_shot",),
        experiments={one.name: one for one in held},
        tables={"table": Table("table", "", "", {}, rows)},
    )


def experiment(name: str, *targets: str, **given) -> Experiment:
    """`given` like mask__segments=0.0."""
    chosen = {key.replace("__", "."): value for key, value in given.items()}
    return Experiment(name, chosen, targets or ("zero_shot",))


@pytest.fixture
def an_hour_each(monkeypatch):
    """Each stage costs one hour at one operation a second."""
    monkeypatch.setattr(work, "STAGES", {name: lambda _: HOUR for name in work.STAGES})


def lines(*held: Experiment, seeds: int = 1, values=PAPER) -> dict[str, cost.Line]:
    found = cost.cost(experiments(*held), ["table"], values, seeds, cost.given(1.0))
    return {line.experiment: line for line in found}


# ---------------------------------------------------------------- sharing


def test_stages_that_agree_in_their_parameters_are_counted_once(an_hour_each):
    found = lines(
        experiment("first"),
        experiment("masked", mask__segments=0.0),
        experiment("merged", merge__synonyms=False),
        experiment("asked", verify__by="string"),
        experiment("prompted", prompts="ckepe"),
        experiment("scored", zero_shot__score="cosine"),
        experiment("again"),
    )
    trained = {"pretrain": 1.0, "encode": 1.0}
    assert found["first"].hours == {"mining": 2.0, **trained}
    assert found["first"].shared == frozenset()
    for name in ("masked", "merged"):
        assert found[name].hours == trained, name
        assert found[name].shared == {"mining"}
    assert found["asked"].hours == {"mining": 1.0, **trained}  # verify again, extract not
    assert found["prompted"].hours == {"encode": 1.0}
    assert found["scored"].hours == found["again"].hours == {}
    assert found["scored"].shared == {"mining", "pretrain", "encode"}


def test_every_seed_trains_and_none_mines_again(an_hour_each):
    found = lines(experiment("first"), experiment("masked", mask__segments=0.0), seeds=3)
    assert found["first"].hours == {"mining": 2.0, "pretrain": 3.0, "encode": 3.0}
    assert found["first"].shared == frozenset()
    assert found["masked"].hours == {"pretrain": 3.0, "encode": 3.0}


def test_only_what_a_target_needs_is_counted(an_hour_each):
    found = lines(experiment("tuned", "fine_tune"), experiment("first"))
    assert found["tuned"].hours == {"mining": 2.0, "pretrain": 1.0, "fine_tune": 1.0}
    assert found["first"].hours == {"encode": 1.0}


def test_what_costs_nothing_is_not_said_to_be_shared(monkeypatch):
    monkeypatch.setattr(work, "STAGES", {"extract": lambda _: 0.0, "pretrain": lambda _: HOUR})
    found = lines(experiment("first"), experiment("masked", mask__segments=0.0))
    assert found["masked"].shared == frozenset()
    assert cost.as_text(list(found.values()), "").splitlines()[3].split()[1] == "-"


def test_an_option_that_is_new_is_set():
    assert cost.changed(DEMO, {"options.backbone": "vit"})["options"] == {"backbone": "vit"}
    assert DEMO["options"] == {}


def test_the_table_names_what_is_shared(an_hour_each):
    found = lines(experiment("first"), experiment("asked", verify__by="string"))
    text = cost.as_text(list(found.values()), "heading").splitlines()
    assert text[0] == "heading"
    assert text[1].split() == ["experiment", *cost.COLUMNS, "hours"]
    assert text[2].split() == ["first", "2", "1", "1", "-", "4"]
    assert text[3].split() == ["asked", "1=", "1", "1", "-", "3"]
    assert text[4].split() == ["total", "3", "2", "2", "0", "7"]


# ---------------------------------------------------------------- operations


def test_the_papers_scale_is_the_papers_and_the_demos_its_own():
    assert scale.pairs(PAPER) == pytest.approx(771_693)
    assert scale.pairs(cost.changed(PAPER, {"pretrain.share": 1.0})) == pytest.approx(7_716.93)
    assert scale.records(DEMO, "csn") == 180
    assert scale.records(PAPER, "csn") == 45_152
    assert scale.train_records(PAPER, "csn", "csn") == pytest.approx(16_546)
    assert scale.pairs(DEMO) == pytest.approx(1_200 * 771_693 / 800_035)


@pytest.mark.parametrize(("unit", "tokens"), [("statement", 1_300_400), ("report", 850_405_686)])
def test_an_llm_reads_and_writes_the_tokens_of_the_docs(unit, tokens):
    """1.2 M and 0.08 M of statements, 810 M and 40 M of reports (docs/mining.md)."""
    values = cost.changed(PAPER, {"reports.unit": unit})
    asked = work.extract(values) + work.verify(values)
    assert asked == pytest.approx(tokens * 2 * 70e9, rel=1e-3)
    smaller = cost.changed(values, {"llm.model": "google/gemma-2-9b-it"})
    assert work.extract(smaller) == pytest.approx(work.extract(values) * 9 / 70)
    assert work.extract(cost.changed(values, {"extract.backend": "lexicon"})) == 0


def test_a_language_model_must_say_how_large_it_is():
    assert work.parameters_of_llm("meta-llama/Llama-3.1-8B-Instruct") == 8e9
    assert work.parameters_of_llm("Qwen2.5-0.5B") == 0.5e9
    with pytest.raises(params.ParamsError, match=r"llm\.model is 'gpt2-beta'"):
        work.parameters_of_llm("gpt2-beta")


@pytest.fixture
def a_hundred_a_record(monkeypatch):
    """Training a record takes 100 operations, encoding it 10 a lead, asking about it 1 a lead."""
    monkeypatch.setattr(arithmetic, "training", lambda _config, _batch: 100.0)
    monkeypatch.setattr(arithmetic, "encoding", lambda _config, leads: 10 * leads)
    monkeypatch.setattr(arithmetic, "asking", lambda _config, leads, *_: float(leads))
    counted = (work._training, work._encoded, work._asked)
    for one in counted:
        one.cache_clear()
    yield
    for one in counted:
        one.cache_clear()


def test_training_shows_every_pair_in_every_epoch(a_hundred_a_record):
    assert work.pretrain(PAPER) == pytest.approx(771_693 * 50 * 100)
    assert work.pretrain({**PAPER, "method": "random"}) == 0


def test_encoding_reads_every_record_for_every_set_of_leads(a_hundred_a_record):
    given = {"encode.orders": ["paper"], "encode.sets": [], "encode.random": ["12"]}
    values = cost.changed(PAPER, given)
    counts = sum(range(1, 13))
    record = 10 * counts + work.HELD_OUT * counts + 10 * 12
    assert work.encode(values) == pytest.approx((21_799 + 6_877 + 45_152) * record)
    same = cost.changed(values, {"encode.sets": ["I+II"]})  # the paper's first two leads
    assert work.encode(same) == work.encode(values)
    more = cost.changed(values, {"encode.sets": ["V1"]})
    assert work.encode(more) > work.encode(values)


@pytest.mark.parametrize(
    "given",
    [{}, {"encoder.tokens": "joint"}, {"method": "st_mem"}, {"method": "merl"}],
    ids=lambda given: str(list(given.values())),
)
def test_the_parabola_is_what_is_counted(given):
    values = cost.changed(DEMO, {"ingest.rate": 100, "ingest.seconds": 6, **given})
    text, config = work._text(work._frozen(values)), work.model(values)
    for leads in (2, 9):
        assert work._encoding(text, leads) == pytest.approx(arithmetic.encoding(config, leads))


def test_fine_tuning_trains_on_every_task_ratio_set_seed_and_start(a_hundred_a_record):
    given = {"fine_tune.ratios": [1, 10], "fine_tune.leads": ["2", "12"]}
    given |= {"fine_tune.epochs": 5, "fine_tune.warmup_epochs": 1, "fine_tune.seeds": 3}
    values = cost.changed(PAPER, {**given, "fine_tune.from_scratch": True})
    expected = sum(scale.TRAIN_RECORDS.values()) * 0.11 * 5 * 3 * 2 * (3 * 10 * (2 + 12))
    assert work.fine_tune(values) == pytest.approx(expected)


def test_a_speed_is_measured_once_for_each_encoder(monkeypatch):
    measured = cost.Measured("cpu")
    given = {"ingest.rate": 50, "query_network.layers": 1, "pretrain.batch": 2}
    small = cost.changed(DEMO, given)
    speed = measured(small)
    assert 0 < speed < 1e15
    monkeypatch.setattr(arithmetic, "step", lambda *_: 0)
    assert measured(cost.changed(small, {"mask.leads": "fixed"})) == speed
    assert measured(cost.changed(small, {"encoder.tokens": "joint"})) == 0


# ---------------------------------------------------------------- the command


def test_the_command_prints_the_table(an_hour_each):
    known = catalogue.read()
    given = ["experiments", "cost", "table-2d", "--profile", "paper", "--seeds", "1"]
    done = CliRunner().invoke(app, [*given, "--flops", "0.5"])
    assert done.exit_code == 0, done.output
    printed = done.output.splitlines()
    assert printed[0] == (
        "GPU-hours at params/paper.yaml, 1 seed each; 0.5 operations a second as given"
    )
    assert [line.split()[0] for line in printed[2:7]] == [one.name for one in known.of("table-2d")]
    assert printed[2].split() == ["kmerl", "4", "2", "2", "-", "8"]
    assert printed[3].split() == ["no-lead-independent-masking", "=", "2", "2", "-", "4"]
    assert "Not counted" in done.output


def test_an_unknown_profile_or_table_is_named(an_hour_each):
    given = ["experiments", "cost", "table-2d", "--flops", "1", "--profile", "papers"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 1
    assert "no profile 'papers'; choose one of demo, paper, ptbxl" in done.output
    done = CliRunner().invoke(app, ["experiments", "cost", "table-9", "--flops", "1"])
    assert done.exit_code == 1
    assert "there is no table 'table-9'" in done.output
