"""params.yaml is read strictly, and the profiles stay in step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml

from kmerl import params

PROFILES = sorted(Path("params").glob("*.yaml"))


@dataclass(frozen=True)
class Inner:
    size: int


@dataclass(frozen=True)
class Kind:
    rate: float
    mode: Literal["a", "b"]
    names: tuple[str, ...]
    inner: Inner
    limit: int | None
    sizes: dict[str, int]


GOOD = {
    "rate": 1,
    "mode": "a",
    "names": ["x"],
    "inner": {"size": 3},
    "limit": None,
    "sizes": {"k": 1},
}


def test_a_section_becomes_a_dataclass():
    built = params.build(Kind, GOOD, "s")
    assert built == Kind(1.0, "a", ("x",), Inner(3), None, {"k": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rat": 1}, r"s: unknown key 'rat'; typo\? did you mean 'rate'"),
        ({"zzz": 1}, "known keys: rate, mode"),
        ({"mode": "c"}, "s.mode is 'c'; choose one of a, b"),
        ({"rate": "fast"}, "s.rate is 'fast'; it must be float"),
        ({"rate": True}, "s.rate is True"),
        ({"names": "x"}, "s.names is 'x'; it must be a list"),
        ({"names": [1]}, r"s.names\[0\] is 1; it must be str"),
        ({"inner": {"sise": 3}}, "s.inner: unknown key 'sise'.*'size'"),
        ({"inner": 3}, "s.inner is 3; it must be a mapping"),
        ({"sizes": {"k": "x"}}, "s.sizes.k is 'x'; it must be int"),
        ({"limit": "many"}, "s.limit is 'many'"),
    ],
)
def test_errors_name_the_key_and_what_to_do(change, message):
    with pytest.raises(params.ParamsError, match=message):
        params.build(Kind, {**GOOD, **change}, "s")


def test_a_missing_key_is_named():
    with pytest.raises(params.ParamsError, match=r"s\.rate is missing"):
        params.build(Kind, {k: v for k, v in GOOD.items() if k != "rate"}, "s")


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
def test_profiles_hold_the_same_keys_in_the_same_order(profile):
    demo = yaml.safe_load(Path("params/demo.yaml").read_text(encoding="utf-8"))
    assert list(keys(params.read(profile))) == list(keys(demo))
    assert list(demo) == list(params.SECTIONS)


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


def test_numbers_are_read_as_dvc_writes_them(tmp_path):
    """`dvc exp run -S pretrain.weight_decay=1e-5` leaves 1e-05 in params.yaml."""
    text = Path("params/demo.yaml").read_text().replace("seed: 0", "seed: 1e-05")
    (tmp_path / "params.yaml").write_text(text)
    assert params.read(tmp_path / "params.yaml")["seed"] == 1e-05
