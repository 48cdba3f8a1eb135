"""Ingest as a whole: bad records, other rates and lengths, same bytes, clear errors."""

import fcntl
import hashlib
import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from kmerl.corpora import ingest as ingest_module
from kmerl.corpora import shards
from kmerl.corpora.records import CorpusError
from kmerl.corpora.staging import Written
from kmerl.signal import NAN
from kmerl.store import read_table
from stages import ingest as stage
from tests import official_layouts as layouts
from tests.official_layouts import run, signal, stored, stored_signals, write_dat, write_mat


def data(change):
    """Writes a record's .dat anew, or another file as its bytes are changed."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def header(change):
    return lambda path: data(change)(path.with_suffix(".hea"))


def samples(change, names=layouts.UPPER):
    return lambda path: write_dat(path.with_suffix(""), change(signal(9)), names)


def with_value(lead, when, value):
    digital = signal(9)
    digital[lead, when] = value
    return lambda _: digital


ALL = slice(None)
BAD = {  # what is done to a record's .dat (or .hea), the reason, and part of the detail
    "truncated": (data(lambda b: b[:60_000]), "truncated", "2500 samples a lead"),
    "longer": (
        data(lambda b: b + bytes(2400)),
        "wrong_length",
        "5100 samples a lead, the header says",
    ),
    "empty .dat": (data(lambda _: b""), "empty_file", "_hr.dat"),
    "no .dat": (Path.unlink, "missing_file", "_hr.dat"),
    "no .hea": (lambda p: p.with_suffix(".hea").unlink(), "missing_header", "_hr.hea"),
    "empty .hea": (header(lambda _: b""), "empty_file", "_hr.hea"),
    "garbage": (header(lambda _: b"\x93\xfa\x00 nothing"), "unreadable_header", "no record line"),
    "a line short": (header(lambda b: b[:400]), "unreadable_header", ""),
    "eleven leads": (samples(lambda d: d[:11], layouts.UPPER[:11]), "missing_lead", "V6"),
    "a lead twice": (header(lambda b: b.replace(b" V5", b" V6")), "duplicate_lead", "V6"),
    "no voltage": (header(lambda b: b.replace(b"/mV", b"/mmHg")), "unknown_unit", "mmHg"),
    "format": (header(lambda b: b.replace(b".dat 16 ", b".dat 999 ")), "unreadable_signal", "wfdb"),
    "absurd rate": (header(lambda b: b.replace(b" 500 ", b" 5 ")), "wrong_rate", "5 Hz"),
    "all NaN": (samples(with_value(ALL, ALL, NAN)), "all_nan", ""),
    "a NaN lead": (samples(with_value(7, ALL, NAN)), "nan_lead", "V2: 5000"),
    "too many NaN": (samples(with_value(7, slice(1251), NAN)), "nan_lead", "V2: 1251"),
    "flat": (samples(with_value(ALL, ALL, 3)), "flat", "12 constant leads"),
}


def test_a_bad_record_is_counted_with_its_reason_and_the_rest_go_on(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 2 * len(BAD))  # every second record is spoilt
    wanted = {}
    for number, (spoil, *why) in zip(range(2, 100, 2), BAD.values(), strict=False):
        spoil(root / f"records500/00000/{number:05d}_hr.dat")
        wanted[str(number)] = why
    counts = layouts.check_rejections("ptb-xl", root, tmp_path, wanted)
    assert counts["records"] == len(BAD)
    assert set(stored(tmp_path)) == {str(number) for number in range(1, 2 * len(BAD), 2)}


def test_bad_rows_of_the_table_are_rejections_too(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 3)
    table = root / "ptbxl_database.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace("{'NORM'", "{'NORM")
    lines += [lines[2], "7,1.0,too short", lines[3].replace("3,", "8,", 1).replace(",3,", ",11,")]
    table.write_text("\n".join(lines) + "\n")
    counts, rejected = run("ptb-xl", root, tmp_path)
    assert {record: reason for record, (reason, _) in rejected.items()} == {
        "1": "unreadable_codes", "2": "duplicate_id", "7": "unreadable_row", "8": "unknown_fold",
    }  # fmt: skip
    assert "too short" not in (tmp_path / "store/rejected.csv").read_text()
    assert counts["records"] == 2


def test_flat_and_nan_are_repaired_up_to_the_parameters(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 2)
    digital = signal(5)
    digital[2] = 0
    digital[6, 100:200] = NAN
    write_dat(root / "records500/00000/00001_hr", digital)
    counts, _ = run("ptb-xl", root, tmp_path)
    assert (counts["records"], counts["repaired_nan"]) == (2, 1)
    assert stored(tmp_path, "nan.V1")["1"]["nan.V1"] == 100
    line = np.interp(np.arange(100, 200), [99, 200], digital[6, [99, 200]])
    np.testing.assert_array_equal(stored_signals(tmp_path)["1"][6, 100:200], np.round(line))
    _, rejected = run("ptb-xl", root, tmp_path, flat_leads=0, repair_nan=0.0)
    assert rejected["1"][0] in ("flat", "nan_lead")


def test_rates_and_lengths_become_one(tmp_path):
    root = tmp_path / "cpsc2018"
    long, short = signal(1, 7500), signal(2, 3000)
    write_mat(root / "A0001", long, "59118001")
    write_mat(root / "A0002", short, "426783006")
    write_mat(root / "A0003", signal(3, 2500), "", rate=250)
    counts, _ = run("cpsc2018", root, tmp_path)
    got = stored_signals(tmp_path)
    np.testing.assert_array_equal(got["A0001"], long[:, :5000])
    np.testing.assert_array_equal(got["A0002"][:, :3000], short)
    assert not got["A0002"][:, 3000:].any()
    np.testing.assert_allclose(got["A0003"][:, ::2], signal(3, 2500), atol=40)
    assert [counts[k] for k in ("cropped", "padded", "resampled")] == [1, 1, 1]
    facts = stored(tmp_path, "source_rate", "source_samples", "min.II", "max.II")
    assert (facts["A0003"]["source_rate"], facts["A0001"]["source_samples"]) == (250, 7500)
    for record, block in got.items():
        extremes = (facts[record]["min.II"], facts[record]["max.II"])
        assert extremes == (block[1].min(), block[1].max())
    run("cpsc2018", root, tmp_path, crop="centre")
    np.testing.assert_array_equal(stored_signals(tmp_path)["A0001"], long[:, 1250:6250])
    _, rejected = run("cpsc2018", root, tmp_path, pad="reject", resample="reject")
    reasons = {record: reason for record, (reason, _) in rejected.items()}
    assert reasons == {"A0002": "wrong_length", "A0003": "wrong_rate"}


def test_same_bytes_whatever_the_workers_and_whatever_an_earlier_run_left(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 7)
    data(lambda b: b[:9])(root / "records500/00000/00005_hr.dat")
    run("ptb-xl", root, tmp_path / "one", shard=3, group=2)
    run("ptb-xl", root, tmp_path / "two", shard=1)
    (tmp_path / "two/store/.signals-00009.parquet.partial").write_bytes(b"killed")
    run("ptb-xl", root, tmp_path / "two", workers=2, shard=3, group=2)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name / "store").iterdir()}
        for name in ("one", "two")
    )
    assert len(one) == 5  # three shards, index.parquet and rejected.csv
    records = list(stored(tmp_path / "one"))
    assert records == sorted(records, key=lambda record: hashlib.sha256(record.encode()).digest())
    assert one == two
    metrics = [(tmp_path / name / "metrics.json").read_bytes() for name in ("one", "two")]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("error", [OverflowError, MemoryError, struct.error, RecursionError])
def test_any_error_of_one_record_is_its_own(tmp_path, monkeypatch, error):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 3)
    read = shards.read_recording

    def fails(path, header):
        if header.name == "00002_hr":
            raise error("sinus rhythm")
        return read(path, header)

    monkeypatch.setattr(shards, "read_recording", fails)
    counts, rejected = run("ptb-xl", root, tmp_path)
    assert rejected == {"2": ("unreadable_record", error.__name__)}
    assert (counts["listed"], counts["records"]) == (3, 2)


def test_a_record_that_gets_lost_is_an_error(tmp_path, monkeypatch):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 2)
    monkeypatch.setattr(ingest_module, "write_shard", lambda *_, **__: Written({"records": 1}, []))
    with pytest.raises(
        CorpusError, match="ptb-xl lists 2 records, but 1 are stored and 0 rejected"
    ):
        run("ptb-xl", root, tmp_path)


def test_two_ingests_into_one_folder_exclude_each_other(tmp_path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 1)
    run("ptb-xl", root, tmp_path)
    with (tmp_path / ".store.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CorpusError, match=r"another ingest is writing to .*store; wait"):
            run("ptb-xl", root, tmp_path)
        assert set(stored(tmp_path)) == {"1"}
    run("ptb-xl", root, tmp_path)  # the file is there still, the lock is not


PATHS = {  # what ptbxl_database.csv names, and why it is not read
    "/{root}/records500/00000/00001_hr": ("outside_root", "leaves the folder"),
    "../ptb-xl/records500/00000/00001_hr": ("outside_root", "leaves the folder"),
    "linked/00001_hr": ("outside_root", "a link out of the folder"),
    "records500/00000/pipe": ("no_regular_file", "pipe.hea"),
    "": ("unreadable_row", "ptbxl_database.csv line 3: column 'filename_hr'"),
    "sinus rhythm": ("unreadable_row", "ptbxl_database.csv line 3: column 'filename_hr'"),
    "none": ("missing_header", "none.hea"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leaves_the_root_is_not_followed(tmp_path, path):
    root = layouts.ptbxl(tmp_path / "ptb-xl", 3)
    os.mkfifo(root / "records500/00000/pipe.hea")
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(root / "records500/00000/00001_hr.hea", tmp_path / "elsewhere")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    table = root / "ptbxl_database.csv"
    named = path.format(root=root)
    table.write_text(table.read_text().replace("records500/00000/00002_hr", named))
    counts = layouts.check_rejections("ptb-xl", root, tmp_path, {"2": PATHS[path]})
    assert counts["records"] == 2


def test_a_corpus_of_no_records_is_an_empty_store(tmp_path):
    counts, _ = run("ptb-xl", layouts.ptbxl(tmp_path / "ptb-xl", 0), tmp_path)
    assert counts["records"] == 0
    assert read_table(tmp_path / "store", ["record"]).num_rows == 0


def test_errors_name_file_column_and_remedy(tmp_path):
    with pytest.raises(CorpusError, match=r"corpora\.csn\.root is .*nowhere.*dvc repro synthesize"):
        run("csn", tmp_path / "nowhere", tmp_path)
    root = layouts.ptbxl(tmp_path / "ptb-xl", 1)
    database = root / "ptbxl_database.csv"
    database.write_text(database.read_text().replace("scp_codes", "codes"))
    with pytest.raises(CorpusError, match=r"ptbxl_database\.csv has no column 'scp_codes'; it has"):
        run("ptb-xl", root, tmp_path)
    header = b"ecg_id,patient_id,report,scp_codes,strat_fold,filename_hr\n"
    for text, said in (
        (header + b"1,\xff,,,,\n", r"has no row that can be read, first line 2: no UTF-8"),
        (b"\xff" + header, r"cannot be read as UTF-8 CSV: its first line"),
        (b"report," + header, r"has twice the column 'report'"),
    ):
        database.write_bytes(text)
        with pytest.raises(CorpusError, match=r"ptbxl_database\.csv " + said):
            run("ptb-xl", root, tmp_path)
    database.unlink()
    with pytest.raises(CorpusError, match=r"ptbxl_database\.csv does not exist"):
        run("ptb-xl", root, tmp_path)


def test_the_stage_writes_where_the_chain_looks(tmp_path, monkeypatch):
    text = layouts.DEMO.read_text().replace("raw/synthetic/ptb-xl", "official")
    (tmp_path / "params.yaml").write_text(text)
    layouts.ptbxl(tmp_path / "official", 2)
    monkeypatch.chdir(tmp_path)
    stage.main("ptb-xl")
    assert read_table("data/ecg/ptb-xl", ["record"]).num_rows == 2
    assert json.loads(Path("metrics/ingest/ptb-xl.json").read_text())["ptb-xl"]["records"] == 2
    with pytest.raises(CorpusError, match=r"corpora\.csn\.root is raw/synthetic/csn"):
        stage.main("csn")
    with pytest.raises(ValueError, match="unknown corpus"):
        stage.main("ptbxl")
