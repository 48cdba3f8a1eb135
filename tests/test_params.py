"""params.yaml is read strictly, and the profiles stay in step."""

import pickle
from pathlib import Path
from typing import Literal

import pytest

from kmerl import files, params
from kmerl.experiments.sections import CLASSES, check_values
from kmerl.params import Count, Share, checked

PROFILES = sorted(Path("params").glob("*.yaml"))


@checked
class Inner:
    size: Count


@checked
class Kind:
    rate: Share
    mode: Literal["a", "b"]
    names: tuple[str, ...]
    inner: Inner
    limit: int | None
    sizes: dict[str, int]

    def __post_init__(self) -> None:
        if self.inner.size > 9:
            raise ValueError(f"inner.size={self.inner.size} is above 9")


GOOD = {
    "rate": 1,
    "mode": "a",
    "names": ["x"],
    "inner": {"size": 3},
    "limit": None,
    "sizes": {"k": 1},
}


def test_a_section_becomes_a_frozen_dataclass():
    built = params.build(Kind, GOOD, "s")
    assert built == Kind(1.0, "a", ("x",), Inner(3), None, {"k": 1})
    assert pickle.loads(pickle.dumps(built)) == built
    with pytest.raises(AttributeError):
        built.rate = 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rat": 1}, r"s: unknown key 'rat'; typo\? did you mean 'rate'"),
        ({"zzz": 1}, "typo\\? known are rate, mode"),
        ({"mode": "c"}, "s.mode is 'c'; it must be 'a' or 'b'"),
        ({"rate": "fast"}, "s.rate is 'fast'; it must be a valid number"),
        ({"rate": True}, "s.rate is True"),
        ({"rate": 1.5}, "s.rate is 1.5; it must be less than or equal to 1"),
        ({"rate": float("nan")}, "s.rate is nan; it must be a finite number"),
        ({"names": "x"}, "s.names is 'x'; it must be a list"),
        ({"names": [1]}, r"s.names\[0\] is 1; it must be a valid string"),
        ({"inner": {"sise": 3}}, "s.inner: unknown key 'sise'.*'size'"),
        ({"inner": {}}, "s.inner.size is missing"),
        ({"inner": {"size": True}}, "s.inner.size is True; it must be a valid integer"),
        ({"inner": {"size": 10}}, "s.inner.size=10 is above 9"),
        ({"inner": 3}, "s.inner is 3; it must be a mapping"),
        ({"sizes": {"k": "x"}}, "s.sizes.k is 'x'; it must be a valid integer"),
        ({"limit": "many"}, "s.limit is 'many'"),
        ({"limit": 1.0}, "s.limit is 1.0"),
    ],
)
def test_errors_name_the_key_and_what_to_do(change, message):
    with pytest.raises(params.ParamsError, match=message):
        params.build(Kind, {**GOOD, **change}, "s")


def test_an_unknown_section_is_an_error(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("seed: 0\nmaks: {min_leads: 9}\n")
    with pytest.raises(params.ParamsError, match=r"unknown key 'maks'.*'mask'"):
        params.read(file)


def test_a_missing_file_says_what_to_copy(tmp_path):
    with pytest.raises(params.ParamsError, match=r"copy one of params/\*\.yaml"):
        params.read(tmp_path / "params.yaml")


def test_a_seed_is_a_whole_number(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("seed: true\n")
    with pytest.raises(params.ParamsError, match="seed is True"):
        params.seed(file)


def keys(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profiles_hold_the_same_keys_in_the_same_order_and_no_wrong_value(profile):
    values = params.read(profile)
    assert list(keys(values)) == list(keys(DEMO))
    assert list(values) == list(params.SECTIONS) == list(CLASSES)
    check_values(values)


DEMO = params.read("params/demo.yaml")
WRONG = [
    ("synthesize", {"records": {"ptbxl": 1}}, r"records\.ptbxl is 'ptbxl'; .*'ptb-xl'"),
    ("synthesize", {"records": {"csn": -1}}, r"records\.csn is -1; .*equal to 0"),
    ("synthesize", {"records": {"csn": 1}}, "records: no number for cpsc2018, mimic"),
    ("synthesize", {"test_share": 0.95}, "validation_share=0.1 and test_share=0.95 leave no"),
    ("ingest", {"flat_lead": 1}, "unknown key 'flat_lead'; typo.*'flat_leads'"),
    ("ingest", {"require_report": ["mimic"]}, r"require_report\[0\] is 'mimic'; .*'ptb-xl'"),
    ("ingest", {"group": 0}, "group is 0; .*equal to 1"),
    ("ingest", {"first_seconds": {"cpsc": 5}}, r"first_seconds\.cpsc is 'cpsc'"),
    ("ingest", {"first_seconds": {"csn": 0}}, r"first_seconds\.csn is 0"),
    ("ingest", {"first_seconds": {"csn": 11}}, r"first_seconds\.csn=11 is above seconds=10"),
    ("splits", {"labels": "merl"}, "labels is merl.*Set source to merl"),
    ("mask", {"min_leads": 12}, "min_leads=12 and max_leads=11"),
    ("mask", {"max_leads": 12}, "min_leads=9 and max_leads=12: .* <= 11"),
    ("mask", {"min_leads": -1}, "min_leads=-1"),
    ("mask", {"segments": 1.0}, "segments is 1.0; .*less than 1"),
    ("query_network", {"heads": 0}, "heads is 0"),
    ("query_network", {"heads": 97}, "heads=97 are more than width=96"),
    ("pretrain", {"share": 0}, "share is 0"),
    ("pretrain", {"share": 100.5}, "share is 100.5; .* equal to 100"),
    ("encode", {"orders": ["mimik"]}, r"orders\[0\] is 'mimik'; .*'paper'"),
    ("encode", {"orders": []}, "orders is .*at least 1 item"),
    ("encode", {"sets": ["limbs"]}, r"sets\[0\]: unknown lead 'limbs'"),
    ("encode", {"sets": ["3"]}, "sets names '3'; counts follow from orders"),
    ("encode", {"random": ["13"]}, "random names '13'; choose from 1, 2"),
    ("encode", {"random": ["chest"]}, "random names 'chest'"),
    ("encode", {"batch": 0}, "batch is 0"),
    ("linear_probe", {"batch": 0}, "batch is 0"),
    ("linear_probe", {"epochs": 0}, "epochs is 0"),
    ("linear_probe", {"warmup_epochs": 100}, "warmup_epochs must be below epochs=100"),
    ("linear_probe", {"seeds": 0}, "seeds is 0"),
    ("linear_probe", {"neighbours": 0}, "neighbours is 0"),
    ("linear_probe", {"weight_decays": [1000.0]}, "weight_decays: 1000.0 is not from 0 to below"),
    ("linear_probe", {"weight_decays": [-1.0]}, "weight_decays: -1.0"),
    ("fine_tune", {"batch": 0}, "batch is 0"),
    ("fine_tune", {"epochs": 0}, "epochs is 0"),
    ("fine_tune", {"seeds": 0}, "seeds is 0"),
    ("fine_tune", {"warmup_epochs": 3.0}, "warmup_epochs must be below epochs=3"),
    ("fine_tune", {"ratios": []}, r"ratios is \[\]; name one or more"),
    ("fine_tune", {"ratios": [1, 5]}, r"ratios\[1\] is 5; it must be 1, 10 or 100"),
    ("fine_tune", {"leads": ["2", "2"]}, "leads is .*each once"),
    ("fine_tune", {"leads": ["V7"]}, r"leads\[0\]: unknown lead 'V7'"),
    ("fine_tune", {"leads": ["13"]}, r"leads\[0\]: a lead count is 1 to 12"),
    ("fine_tune", {"learning_rate": 0.0}, "learning_rate is 0.0; .*greater than 0"),
    ("statistics", {"replicates": 0}, "replicates is 0"),
    ("statistics", {"level": 1.0}, "level is 1.0"),
    ("statistics", {"level": 0.0}, "level is 0.0"),
    ("report", {"task": "ptbxl_all"}, "task is 'ptbxl_all'; choose one of ptbxl_super"),
    ("report", {"leads": "I+IV"}, "leads: unknown lead 'IV'"),
]
WRONG_OPTIONS = [
    ("simclr", {"temperature": "hot"}, "temperature is 'hot'; it must be a valid number"),
    ("simclr", {"crop": 0.0}, "crop is 0.0; .*greater than 0"),
    ("simclr", {"crop": 1.1}, "crop is 1.1; .*equal to 1"),
    ("simclr", {"gain": 0.5}, "gain is 0.5"),
    ("simclr", {"noise": -1.0}, "noise is -1.0"),
    ("simclr", {"time_out_min": 0.5}, "time_out_min must not be above time_out_max=0.4"),
    ("simsiam", {"bottleneck": 64, "out": 32}, "bottleneck=64 is wider than out=32"),
    ("clocs", {"leads": 1}, "leads is 1"),
    ("merl", {"dropout": 1.0}, "dropout is 1.0"),
    ("merl", {"out": 18}, "out=18 is not a multiple of heads=4"),
    ("merl", {"fidelity": "true"}, "fidelity is 'true'; it must be 'fixed' or 'faithful'"),
    ("ts_tcc", {"gain": 0.5}, "gain is 0.5"),
    ("ts_tcc", {"segments": 0}, "segments is 0"),
    ("ts_tcc", {"ahead": 1.0}, "ahead is 1.0"),
    ("ts_tcc", {"context_width": 99}, "context_width is no multiple of context_heads=4"),
    ("astcl", {"steps": 1}, "steps is 1"),
    ("astcl", {"low": 50.0}, "low=50.0 must be below high=40.0"),
    ("astcl", {"snr_min": 30.0}, "snr_min=30.0 is above snr_max=20.0"),
    ("st_mem", {"drop": 1.0}, "drop is 1.0; .*less than 1"),
    ("crt", {"drop_first": 0.9}, "drop_first=0.9 is above drop_last=0.8"),
]


@pytest.mark.parametrize(("section", "change", "message"), WRONG)
def test_a_value_out_of_its_range_is_named(section, change, message):
    values = {**DEMO, section: {**DEMO[section], **change}}
    with pytest.raises(params.ParamsError, match=rf"^{section}(\.|: (?=unknown key)){message}"):
        check_values(values, [section])


@pytest.mark.parametrize(("method", "change", "message"), WRONG_OPTIONS)
def test_an_option_out_of_its_range_is_named(method, change, message):
    with pytest.raises(params.ParamsError, match=rf"^options\.{message}"):
        check_values({**DEMO, "method": method, "options": change}, [])


def test_options_are_a_mapping():
    with pytest.raises(params.ParamsError, match=r"options is None; it must be a mapping"):
        check_values({**DEMO, "options": None}, [])


def test_there_are_three_profiles_and_the_demo_is_the_default():
    assert [path.stem for path in PROFILES] == ["demo", "paper", "ptbxl"]
    assert Path("params.yaml").read_text() == Path("params/demo.yaml").read_text()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_every_key_is_explained(profile):
    """Each scalar line, or the head of its section, carries a comment."""
    section = ""
    for line in profile.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            section = line
        assert "#" in line or "#" in section or line == section, line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),  # as `dvc exp run -S pretrain.weight_decay=1e-5` leaves it
        ("1e-4", 1e-4),
        ("2.5e-3", 0.0025),
        ("1E5", 1e5),
        ("x1e5", "x1e5"),
        (".5", 0.5),
        ("010", 10),
        ("-3", -3),
        ("~", None),
        ("true", True),
        ("no", "no"),
        ("2026-11-27", "2026-11-27"),
        ("1:30", "1:30"),
        ("'1e-4'", "1e-4"),
    ],
)
def test_yaml_is_read_as_dvc_reads_it(text, value):
    found = files.parse_yaml(text, "here")
    assert (found, type(found)) == (value, type(value))


def test_a_key_that_stands_there_twice_is_an_error(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("seed: 0\nmask: {leads: none, leads: fixed}\n")
    with pytest.raises(ValueError, match=r"params.yaml: 'leads' stands there twice.*line 2"):
        params.read(file)
