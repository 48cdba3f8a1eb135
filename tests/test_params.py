"""params.yaml is read strictly, and the profiles stay in step."""

import copy
import math
import pickle
import pkgutil
import re
from pathlib import Path
from types import NoneType
from typing import Literal

import pytest
from pydantic import TypeAdapter

from kmerl import files, methods, params
from kmerl.errors import one_line
from kmerl.experiments import catalogue
from kmerl.experiments.sections import CLASSES, check_values
from kmerl.experiments.stages import flat
from kmerl.knowledge import overrides
from kmerl.params import Count, Share, checked
from kmerl.report.results import SCALES
from kmerl.training.model import sections_of

PROFILES = sorted(Path("params").glob("*.yaml"))
EVERY = pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
CASES = files.read_yaml(Path("tests/cases/params.yaml"))
HOSTILE = Path("tests/cases/yaml.yaml")
DEMO = params.read("params/demo.yaml")


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
    "rate": 1, "mode": "a", "names": ["x"], "inner": {"size": 3}, "limit": None, "sizes": {"k": 1},
}  # fmt: skip


def test_a_section_becomes_a_frozen_dataclass():
    built = params.build(Kind, GOOD, "s")
    assert built == Kind(1.0, "a", ("x",), Inner(3), None, {"k": 1})
    assert pickle.loads(pickle.dumps(built)) == built
    with pytest.raises(AttributeError):
        built.rate = 0.5


@pytest.mark.parametrize(("change", "message"), CASES["kind"])
def test_errors_name_the_key_and_what_to_do(change, message):
    with pytest.raises(params.ParamsError, match=message):
        params.build(Kind, {**GOOD, **change}, "s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"params.yaml does not exist; copy one of params/\*\.yaml"),
        ("seed: 0\nmaks: {min_leads: 9}", "unknown key 'maks'.*'mask'"),
        ("seed: 0\nmask: {leads: none, leads: fixed}", "yaml, line 2: 'leads' stands there twice"),
        ("seed: true", "seed is True"),
        ("mask: {}", "section 'seed' is missing"),
        ("- seed", "holds no mapping"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path, text, message):
    if text is not None:
        (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        params.seed(tmp_path / "params.yaml")


RAW = [  # texts that YAML itself cannot hold
    (b"seed: 1\nmask: \xe9", "line 2: this is no UTF-8"),
    ("seed: 1".encode("utf-16"), "line 1: this is no UTF-8"),
    (b"seed: 1\nmask: \0", r"line 2: control character '.x00'"),
    (b"seed: 1\x1b[2J", r"line 1: control character '.x1b'"),
]
READERS = {  # of a file that a person writes
    "params.yaml": params.seed,
    "overrides.yaml": overrides.read,
    "experiments.yaml": lambda path: catalogue.read(path, "params/demo.yaml"),
}


def expanded(text):
    return re.sub(r"@(.+?)x(\d+)", lambda found: found[1] * int(found[2]), text).encode()


@pytest.mark.parametrize(
    ("text", "message"), RAW + [(expanded(t), m) for t, m in files.read_yaml(HOSTILE)]
)
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_none_of_ours_is_one_line_that_names_it(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(params.ParamsError, match=rf"{name}.*{message}") as raised:
        READERS[name](path)
    assert one_line(str(raised.value)) == str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_not_there_or_a_folder(name, tmp_path):
    for place, message in (("gone", "does not exist; "), ("", "cannot be read: Is a directory")):
        with pytest.raises(params.ParamsError, match=message):
            READERS[name](tmp_path / place)


BAD = {
    "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "huge": 10**400, "too long": 10**5000,
    "large": 1e300, "-1": -1, "-0.5": -0.5, "0": 0, "text": "text", "[]": [], "{}": {},
    "null": None, "true": True, "surrogate": "\ud800", "lists": [[]], "list of nan": [math.nan],
}  # fmt: skip
NEVER = {"nan", "inf", "-inf", "huge", "too long", "large", "surrogate", "lists", "list of nan"}
MAY = {  # what else a key may be
    "-1": {"seed", "llm.seed", "seen_unseen.threshold"},
    "-0.5": {"seen_unseen.threshold"},
    "null": {"llm.base_url"},
    "{}": {"corpora", "ingest.first_seconds", "options", "options.barlow_twins", "options.crt"},
}


def places(values, above=()):
    """Each value at any depth, by the keys that lead to it."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in pairs:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from places(value, (*above, key))


def with_value(place, value):
    values = copy.deepcopy(dict(DEMO))
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return values


@pytest.mark.parametrize("name", BAD)
def test_every_key_takes_a_wrong_value_or_says_in_one_line_what_is_wrong(name):
    taken = set()
    for place in places(DEMO):
        values = with_value(place, BAD[name])
        try:
            params.check_finite(values, "params.yaml: ")
            check_values(values, [place[0]])
        except params.ParamsError as error:
            said = str(error)
            assert place[0] in said or place[-1] in said
            assert one_line(said) == said and len(said) < 1000
        else:
            taken.add(".".join(map(str, place)))
    if name in NEVER:
        assert not taken
    if name in MAY:
        assert taken == MAY[name]
    kinds = {"true": bool, "text": str, "[]": list}
    if name in kinds:  # a key that holds such a value
        held = flat(DEMO) | {".".join(map(str, place)): value_at(place) for place in places(DEMO)}
        assert all(isinstance(held[key], kinds[name] | NoneType) for key in taken)
    if name == "0":
        assert not {key for key in taken if key.split(".")[-1] in NEVER_ZERO}


NEVER_ZERO = {"epochs", "batch", "learning_rate", "seeds", "share", "rate", "seconds", "replicates"}


def value_at(place):
    inner = DEMO
    for key in place:
        inner = inner[key]
    return inner


def numbers(schema, place):
    """Each number of a JSON schema, by its place, and the ends of its range."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number") and "enum" not in schema:
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            yield place, low, schema.get("maximum", schema.get("exclusiveMaximum"))
        for key, inner in schema.items():
            yield from numbers(inner, f"{place}.{key}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from numbers(inner, place)


KINDS = {name: pkgutil.resolve_name(path) for name, path in CLASSES.items()}
KINDS |= {
    f"options.{module.name}": pkgutil.resolve_name(f"kmerl.methods.{module.name}:Options")
    for module in pkgutil.iter_modules(methods.__path__)
    if module.name != "kmerl"
}
CHECKED_AS_A_WHOLE = {"seed", "llm.seed", "mask.min_leads", "mask.max_leads"}


@pytest.mark.parametrize("name", KINDS)
def test_every_number_has_a_range_where_its_section_is(name):
    """`seed` may be any; those of `mask` are bound by one another."""
    schema = TypeAdapter(KINDS[name]).json_schema()
    for place, *ends in numbers(schema, name):
        where = place.replace(".properties", "")
        assert where in CHECKED_AS_A_WHOLE or None not in ends, where


OF_A_PROFILE = ("options", "ingest.first_seconds")
"""Mappings whose keys, methods and corpora, are a profile's choice."""


def keys(values, prefix=""):
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict) and f"{prefix}{key}" not in OF_A_PROFILE:
            yield from keys(value, f"{prefix}{key}.")


@EVERY
def test_profiles_hold_the_same_keys_in_the_same_order_and_no_wrong_value(profile):
    values = params.read(profile)
    assert list(keys(values)) == list(keys(DEMO))
    assert list(values) == list(params.SECTIONS) == list(CLASSES)
    check_values(values)


def cases(kind):
    """Each (section or method, change, message) of a wrong value."""
    return [(name, *case) for name, found in CASES[kind].items() for case in found]


@pytest.mark.parametrize(("section", "change", "message"), cases("sections"))
def test_a_value_out_of_its_range_is_named(section, change, message):
    values = {**DEMO, section: {**DEMO[section], **change}}
    with pytest.raises(params.ParamsError, match=rf"^{section}(\.|: (?=unknown key)){message}"):
        check_values(values, [section])


@pytest.mark.parametrize(("method", "change", "message"), cases("options"))
def test_an_option_out_of_its_range_is_named(method, change, message):
    with pytest.raises(params.ParamsError, match=rf"^options\.{message}"):
        check_values({**DEMO, "method": method, "options": change}, [])


def test_options_are_a_mapping():
    with pytest.raises(params.ParamsError, match=r"options is None; it must be a mapping"):
        check_values({**DEMO, "options": None}, [])


def test_each_profile_has_words_and_the_demo_is_the_default():
    assert {path.stem for path in PROFILES} | {"own"} == set(SCALES)
    assert Path("params.yaml").read_text() == Path("params/demo.yaml").read_text()


PROTOCOLS = {  # the paper's, which is MERL's (docs/evaluation.md), and ours
    "splits.source": ("merl", "official"),
    "splits.labels": ("merl", "corrected"),
    "ingest.first_seconds.cpsc2018": (5, None),
    "signal.normalise": ("minmax", "zscore"),
    "signal.over": ("global12", "available"),
    "linear_probe.merl_max_test": (True, False),
}


def test_a_profile_has_one_protocol():
    paper, ours = (
        flat(params.read(f"params/{name}.yaml")) for name in ("paper", "paper-corrected")
    )
    assert paper["signal.normalise"] == "minmax"
    assert {
        key: (paper.get(key), ours.get(key))
        for key in {*paper, *ours}
        if paper.get(key) != ours.get(key)
    } == PROTOCOLS
    for name in ("demo", "ptbxl", "simulated"):
        here = flat(params.read(f"params/{name}.yaml"))
        own = {"signal.normalise": "root"} if name == "simulated" else {}
        wanted = {key: theirs for key, (_, theirs) in PROTOCOLS.items()} | own
        assert {key: here.get(key) for key in PROTOCOLS} == wanted


@pytest.mark.parametrize(
    ("method", "key", "own"), [("barlow_twins", "out", 256), ("crt", "patch", 50)]
)
@EVERY
def test_an_option_for_small_machines_is_their_profiles(profile, method, key, own):
    """Rows of experiments.yaml choose a method alone; the paper's scale has its defaults."""
    values = {**params.read(profile), "method": method}
    default = sections_of(method, {**values, "options": {}})["options"][key]
    wanted = default if profile.stem.startswith("paper") else own
    check_values(values, [])
    assert sections_of(method, values)["options"][key] == wanted != default + 1
    asked = {**values["options"], key: default + 1}  # -S +options.out=2049
    assert sections_of(method, {**values, "options": asked})["options"][key] == default + 1


@EVERY
def test_every_key_is_explained(profile):
    """Each scalar line, or the head of its section, carries a comment."""
    section = ""
    for line in profile.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            section = line
        assert "#" in line or "#" in section or line == section, line


READ = {  # 1e-05 is what `dvc exp run -S pretrain.weight_decay=1e-5` leaves
    "1e-05": 1e-05, "1e-4": 1e-4, "2.5e-3": 0.0025, "1E5": 1e5, "x1e5": "x1e5", "'1e-4'": "1e-4",
    ".5": 0.5, "010": 10, "-3": -3, "~": None, "true": True, "no": "no",
    "2026-11-27": "2026-11-27", "1:30": "1:30",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_yaml_is_read_as_dvc_reads_it(text, value):
    found = files.parse_yaml(text, "here")
    assert (found, type(found)) == (value, type(value))
