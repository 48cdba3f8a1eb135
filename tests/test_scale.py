"""The benchmark at full size: its corpus at a small one, and the page that it writes."""

from benchmarks import scale, scale_corpus
from benchmarks.scale_corpus import CORPUS
from kmerl import params
from kmerl.corpora.conform import Ingest
from kmerl.corpora.ingest import ingest
from kmerl.corpora.listing import read_listing
from kmerl.engines import Engine
from kmerl.files import read_json
from kmerl.store import read_table, row_groups

SETTINGS = params.build(Ingest, params.read()["ingest"] | {"shard": 4, "group": 2}, "ingest")


def test_the_simulated_corpus_is_read_as_any_and_its_store_is_whole(tmp_path):
    whole, sample, store = (tmp_path / name for name in ("whole", "sample", "store"))
    scale_corpus.write_tables(whole, 11)
    listed = read_listing(CORPUS, whole, SETTINGS)
    assert (listed.listed, len(listed.table), len(listed.rejected)) == (11, 11, 0)
    assert len(set(listed.table["patient"].to_pylist())) == 3
    scale_corpus.write_sample(whole, sample, SETTINGS, 4, 1)
    metrics, out = tmp_path / "metrics.json", tmp_path / CORPUS
    ingest(CORPUS, sample, out, metrics, settings=SETTINGS, engine=Engine(workers=1))
    assert read_json(metrics)[CORPUS]["records"] == 4
    scale_corpus.write_store(whole, out, store, SETTINGS, 1)
    for name in ("record", "patient", "split", "report"):
        assert read_table(store, [name])[name].to_pylist() == listed.table[name].to_pylist()
    assert row_groups(store).start.tolist() == [0, 2, 4, 6, 8, 10, 11]


def test_a_part_stands_for_the_whole_and_is_told():
    row = {"cpu_s": 10.0, "wall_s": 6.0, "peak_mib": 512.0}
    runs = [
        {"name": "before", "stages": {"reports": row}},
        {"name": "after", "stages": {"ingest": {**row, "done": 50, "of": 1000}}},
    ]
    lines = scale.table(runs).splitlines()
    assert lines[2] == "| `ingest`, from 50 of 1,000 |  |  |  | ≈ 200 | ≈ 120 | 0.50 |"
    assert lines[3] == "| `reports` | 10 | 6 | 0.50 |  |  |  |"


def test_the_page_shows_the_runs_that_are_kept():
    shown = scale.PAGE.read_text().partition(scale.BEGIN)[2].partition(scale.END)[0]
    assert shown == scale.table(scale.read(scale.KEPT))
