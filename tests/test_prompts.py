"""What classes are asked by: names, MERL's prompts, and what stages embed_text and encode do."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

from kmerl import params
from kmerl.evaluation.encode import Corpus, CorpusEncoder
from kmerl.models.inputs import SignalParams
from kmerl.synthetic.layouts import merl
from kmerl.tasks import of_run, prompts
from kmerl.tasks.classes import TASKS, classes, official
from stages import embed_text, encode
from tests.methods import small
from tests.test_encode import FakeTower
from tests.test_merl_splits import ROOT, released

OFFICIAL = [official(task) for task in TASKS]
KEYS = [f"{task}/{kind.code}" for task in TASKS for kind in classes(task)]


@released
def test_merls_file_has_a_text_for_every_class():
    found = prompts.by_ckepe(ROOT / prompts.CKEPE, OFFICIAL)
    assert list(found) == KEYS
    assert found["ptbxl_super/NORM"].startswith("normal ecg, normal electrocardiogram, sinus")
    assert found["csn/AF"] == found["csn/AF"].lower()
    assert found["ptbxl_sub/STTC"] == found["csn/STTC"]  # one text a code


def by_ckepe(folder: Path, texts: object) -> dict[str, str]:
    path = folder / prompts.CKEPE
    path.write_text(texts if isinstance(texts, str) else json.dumps(texts))
    return prompts.by_ckepe(path, OFFICIAL)


def test_the_synthetic_file_has_a_text_for_every_class(tmp_path):
    found = by_ckepe(tmp_path, merl.prompts())
    assert list(found) == KEYS
    assert found["csn/1AVB"] == "first degree av block, 1 degree atrioventricular block."
    assert "left posterior fascicular block" in found["ptbxl_super/CD"]
    assert all(kind.name in found[f"{t}/{kind.code}"] for t in TASKS for kind in classes(t))
    texts = {"AF": "Atrial Flutter,  AF..", "no class": "x"}  # in lower case, otherwise as it is
    assert by_ckepe(tmp_path, texts) == {"csn/AF": "atrial flutter,  af.."}


@pytest.mark.parametrize("texts", [["AF"], {"AF": 1}, {"AF": None}, "{"])
def test_a_file_of_another_form_is_refused(tmp_path, texts):
    message = "is no JSON file" if texts == "{" else "must map each class code to one"
    with pytest.raises(ValueError, match=rf"CKEPE_prompt\.json {message}"):
        by_ckepe(tmp_path, texts)


def test_the_parameter_is_checked():
    assert prompts.chosen("ckepe") == "ckepe"
    with pytest.raises(params.ParamsError, match="prompts is 'ckpe'; choose one of names, ckepe"):
        prompts.chosen("ckpe")


# ---------------------------------------------------------------- stages


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """Inside a directory in which stage embed_text has run with a tower that draws vectors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(embed_text, "TextTower", lambda *_: FakeTower())
    demo = params.read(Path(__file__).parents[1] / "params/demo.yaml")
    Path("params.yaml").write_text(yaml.safe_dump(demo | {"splits": {"merl": "raw/merl"}}))
    of_run.write(OFFICIAL, Path("data/tasks.json"))
    for folder in ("raw/merl", "data/labels", "data/reports"):
        Path(folder).mkdir(parents=True)
    texts = merl.prompts() | {"JEB": " "}
    Path("raw/merl", prompts.CKEPE).write_text(json.dumps(texts))
    labels = pa.table({"record": ["r1"], "sinus rhythm": [1]})
    pq.write_table(labels, "data/labels/labels.parquet")
    reports = pa.table({"record": ["r1", "r2"], "text": ["normal", "normal"]})
    pq.write_table(reports, "data/reports/reports.parquet")
    embed_text.main()


def test_both_kinds_are_embedded_whatever_is_asked_and_missing_ones_are_named(embedded):
    """A name by its own vector."""
    asked = prompts.read_asked(Path("data/asked"), "names", OFFICIAL)
    assert list(asked.texts) == KEYS
    assert asked.texts["cpsc2018/CLBBB"] == "left bundle branch block"
    np.testing.assert_array_equal(asked.vectors, FakeTower().embed(list(asked.texts.values())))
    texts = json.loads(Path("data/asked/ckepe.json").read_text())["texts"]
    assert list(texts) == [name for name in KEYS if name != "csn/JEB"]
    vectors = load_file("data/asked/ckepe.safetensors")["asked"]
    np.testing.assert_array_equal(vectors, FakeTower().embed(list(texts.values())))
    message = r"raw/merl/CKEPE_prompt\.json has no text for class 'JEB' .* of csn"
    with pytest.raises(ValueError, match=message):
        prompts.read_asked(Path("data/asked"), "ckepe", OFFICIAL)


@pytest.mark.parametrize("kind", ["names", "ckepe"])
def test_encoding_asks_with_what_is_chosen(embedded, monkeypatch, kind):
    Path("raw/merl", prompts.CKEPE).write_text(json.dumps(merl.prompts()))
    embed_text.main()
    values = params.read() | {"prompts": kind}
    Path("params.yaml").write_text(yaml.safe_dump(values))
    given, model = [], small("random")
    described = SimpleNamespace(signal=SignalParams("zscore", "available"))
    monkeypatch.setattr(encode, "load", lambda *_: (described, model))
    monkeypatch.setattr(encode, "initial", lambda *_: model)
    monkeypatch.setattr(encode, "read_cohort", lambda *_: None)
    nobody = np.arange(0)
    nothing = [], nobody, nobody, (nobody, nobody), {}
    monkeypatch.setattr(Corpus, "read", lambda name, *_: Corpus(name, Path("models"), *nothing))
    monkeypatch.setattr(CorpusEncoder, "write", lambda self, *_: given.append(self.asked))
    for folder in ("models", "data/splits"):
        Path(folder).mkdir()
    encode.main()
    assert len(given) == 3
    asked = {"names": "left bundle branch block", "ckepe": merl.prompts()["CLBBB"].lower()}
    row = [one.code for one in classes("cpsc2018")].index("CLBBB")
    for one in given:
        vector = one.of("cpsc2018", classes("cpsc2018"))[row]
        np.testing.assert_array_equal(vector, FakeTower().embed([asked[kind]])[0])


def test_files_that_do_not_belong_together_are_refused(embedded):
    shutil.copy("data/asked/ckepe.safetensors", "data/asked/names.safetensors")
    with pytest.raises(ValueError, match=r"names\.safetensors has other rows"):
        prompts.read_asked(Path("data/asked"), "names", OFFICIAL)
    Path("data/asked/names.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"names\.safetensors is damaged"):
        prompts.read_asked(Path("data/asked"), "names", OFFICIAL)
    with pytest.raises(FileNotFoundError, match="dvc repro embed_text"):
        prompts.read_asked(Path("data"), "names", OFFICIAL)
