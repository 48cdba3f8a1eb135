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
    demo, values = params.read("params/demo.yaml"), params.read(profile)
    assert list(keys(values)) == list(keys(demo))
    assert list(demo) == list(params.SECTIONS) == list(CLASSES)
    check_values(values)


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
