"""Whose results an experiment's files are, at which scale, and what `list` says of experiments."""

from typer.testing import CliRunner

from kmerl.cli import app
from kmerl.experiments import collecting
from kmerl.experiments.collecting import scale, words
from kmerl.experiments.lock import Lock
from kmerl.experiments.stages import flat
from tests.dvc_file import PROFILES, profile
from tests.import_closure import ROOT


def run_list(*arguments: str):
    return CliRunner().invoke(app, ["experiments", "list", *arguments])


def test_the_list_shows_tables_and_what_an_experiment_changes(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert "table-2d" in run_list().output
    lines = run_list("figure-8").output.splitlines()
    assert lines[0] == "size-nano    encoder.size='nano'"
    assert lines[-4] == "size-small   encoder.size='small'  (needs gpu)"
    assert lines[-1].startswith("before that, each: query_network.self_attention=true mask.leads=")
    unknown = run_list("table-9")
    assert "there is no table 'table-9'; choose one of table-1" in unknown.output
    assert unknown.exit_code == 1
    monkeypatch.chdir(tmp_path)  # no repository: what comes with the package
    assert "table-2d" in run_list().output


def lock(**changes) -> Lock:
    stages = {
        "pretrain": {
            "deps": [{"path": "kmerl", "md5": "code"}],
            "params": {"params.yaml": {"mask": {"min_leads": 9, "sizes": {}}, "seed": 0}},
            "outs": [{"path": "models", "md5": "m"}],
        },
        "zero_shot": {
            "deps": [{"path": "models", "md5": changes.get("read", "m")}],
            "params": {"params.yaml": {"seed": changes.get("seed", 0)}},
            "outs": [{"path": "metrics/zero_shot.json", "md5": "z"}],
        },
    }
    params = {"seed": 0, "mask.min_leads": 9, **changes.get("params", {})}
    return Lock({"stages": stages}, params)


def test_metrics_of_another_model_or_other_parameters_are_not_this_runs():
    assert lock().is_of_this_run("metrics/zero_shot.json")
    assert lock(params={"masks": 1}).is_of_this_run("metrics/zero_shot.json")  # of nothing read
    assert not lock().is_of_this_run("metrics/linear_probe.json")
    assert not lock(read="other").is_of_this_run("metrics/zero_shot.json")
    assert not lock(seed=1).is_of_this_run("metrics/zero_shot.json")
    above = {"params": {"mask.min_leads": 8}}
    assert not lock(**above).is_of_this_run("metrics/zero_shot.json")
    new = {"params": {"mask.another": 8}}
    assert not lock(**new).is_of_this_run("metrics/zero_shot.json")


def test_the_scale_is_the_profile_but_for_what_the_experiment_and_the_machine_change():
    known = {name: flat(profile(name)) for name in PROFILES}
    own = (*collecting.OF_THE_MACHINE, "encode.sets", "options.backbone", "method")
    moved = known["paper"] | {"corpora.ptb-xl.root": "/elsewhere", "seed": 2, "runtime.threads": 1}
    moved |= {"method": "merl", "options.backbone": "vit", "encode.sets": []}
    assert scale(moved, known, own) == "paper"
    assert [scale(known[name], known, own) for name in PROFILES] == PROFILES
    assert scale(known["demo"] | {"pretrain.epochs": 2}, known, own) == "own"
    assert scale(moved | {"options.out": 2}, known, own) == "own"


def test_the_scale_in_words():
    trained, demo = {"epoch": 8.0, "pairs": 1168}, flat(profile("demo"))
    assert words(demo, trained) == "1,200 simulated records, nano encoder, 8 epochs"
    assert words(demo, trained | {"pairs": 1166}) == words(demo, trained)  # another seed's
    few = words(demo | {"pretrain.share": 1.0}, trained | {"pairs": 12})
    assert few == "1 % of 1,200 simulated records, nano encoder, 8 epochs"
    assert words(demo, {"epoch": 0.0, "pairs": 1168}) == "nano encoder, untrained"
    real = flat(profile("ptbxl")) | {"text.source": "scp"}
    assert words(real, trained) == "1,168 pairs, texts from labels, nano encoder, 25 epochs"
    few = words(real | {"pretrain.share": 10.0}, trained)
    assert few == "10 % of the pairs, texts from labels, nano encoder, 25 epochs"
