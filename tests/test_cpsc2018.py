"""CPSC2018 as it was first published, beside the Challenge form, and MERL's five seconds of it."""

import numpy as np
from scipy.io import loadmat, savemat

from kmerl.corpora import cpsc2018
from kmerl.files import write_csv
from kmerl.signal import NAN
from tests import official_layouts as layouts
from tests.official_layouts import REAL, real, run, signal, stored, stored_signals, write_mat


def write_struct(path, digital, **changes):
    """A record of the first publication: int16 microvolt as millivolt in a struct, no header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {"sex": "Male", "age": 74.0, "data": digital / 1000.0} | changes
    savemat(path.with_suffix(".mat"), {"ECG": {k: v for k, v in held.items() if v is not None}})


def reference(root, rows):
    write_csv(root / "REFERENCE.csv", cpsc2018.COLUMNS, rows)


def test_both_forms_give_the_same_store(tmp_path):
    labels = [("A0001", 5, 2, ""), ("A0002", 1, "", ""), ("A0003", 9, "", "")]
    lengths = {"A0001": 5000, "A0002": 3000, "A0003": 7500}
    for seed, (record, samples) in enumerate(lengths.items()):
        write_mat(tmp_path / "challenge" / record, signal(seed, samples), "")
        write_struct(tmp_path / "struct/TrainingSet1" / record, signal(seed, samples))
    made = {}
    for form in ("challenge", "struct"):
        reference(tmp_path / form, labels)
        made[form], rejected = run("cpsc2018", tmp_path / form, tmp_path / f"{form}_out")
        assert rejected == {}
    assert made["challenge"] == made["struct"]
    one, two = (
        (tmp_path / f"{form}_out/store/signals-00000.parquet").read_bytes() for form in made
    )
    assert one == two
    assert set(stored(tmp_path / "struct_out", "codes")["A0001"]["codes"]) == {"2", "5"}


def test_a_folder_may_hold_both_forms(tmp_path):
    root = tmp_path / "mixed"
    write_mat(root / "g1/A0001", signal(1), "59118001")
    write_struct(root / "old/A0002", signal(2))
    write_struct(root / "old/A0001", signal(3))  # the Challenge form comes first
    reference(root, [("A0003", 1, "", "")])
    counts, rejected = run("cpsc2018", root, tmp_path)
    assert counts["records"] == 2
    assert rejected == {"A0001": ("duplicate_id", "listed before")}
    got = stored_signals(tmp_path)
    np.testing.assert_array_equal(got["A0001"], signal(1))
    np.testing.assert_array_equal(got["A0002"], signal(2))
    assert stored(tmp_path, "codes")["A0002"]["codes"] == []  # no header, and not in REFERENCE.csv


def test_samples_that_are_not_finite_are_repaired_as_nan(tmp_path):
    volts = signal(4) / 1000.0
    volts[3, 100:110] = np.nan
    volts[4, 7] = np.inf
    write_struct(tmp_path / "root/A0001", signal(4), data=volts)
    reference(tmp_path / "root", [])
    counts, _ = run("cpsc2018", tmp_path / "root", tmp_path)
    assert counts["repaired_nan"] == 1
    facts = stored(tmp_path, "nan.aVR", "nan.aVL", "nan.I")["A0001"]
    assert [facts[f"nan.{lead}"] for lead in ("aVR", "aVL", "I")] == [10, 1, 0]
    assert NAN not in stored_signals(tmp_path)["A0001"]


def test_a_line_of_reference_csv_that_cannot_be_read_costs_the_records_that_it_may_be_of(tmp_path):
    root = tmp_path / "root"
    for seed, record in enumerate(("A0001", "A0002", "A0003", "A0004")):
        write_mat(root / record, signal(seed), "59118001")
    reference(root, [("A0001", 1, "", ""), ("A0002", 2, "", ""), ("A0002", 3, "", "")])
    table = root / "REFERENCE.csv"
    whole = table.read_text()
    _, rejected = run("cpsc2018", root, tmp_path)
    assert rejected == {
        "A0002": ("unreadable_codes", "REFERENCE.csv line 4: other labels than before")
    }
    assert stored(tmp_path, "codes")["A0004"]["codes"] == ["59118001"]
    table.write_text(whole + "A0003,x,,\n")
    _, rejected = run("cpsc2018", root, tmp_path)
    assert rejected["A0003"][0] == "unreadable_row"
    assert "A0004" in stored(tmp_path)
    table.write_text(whole + "torn\n")
    counts, rejected = run("cpsc2018", root, tmp_path)
    assert set(rejected) == {"A0002", "A0003", "A0004"}
    why = "REFERENCE.csv line 5: 1 of 4 columns"
    assert rejected["A0004"] == ("unreadable_codes", f"perhaps {why}")
    assert counts["unread_lines"] == 1
    assert (tmp_path / "store/unread.csv").read_text().endswith(f",unreadable_row,{why}\n")


def struct(change=lambda digital: digital, **held):
    """Writes a struct of changed samples, or with something else than samples."""
    return lambda path: write_struct(path, change(signal(2)), **held)


def holding(**variables):
    return lambda path: savemat(path, variables)


NO_MATRIX = ("unreadable_signal", "ECG.data")
BAD = {  # what is written in place of a record, the reason, and part of the detail
    "empty": (lambda p: p.write_bytes(b""), "empty_file", ".mat"),
    "garbage": (lambda p: p.write_bytes(b"no MATLAB" * 40), "unreadable_signal", "level 5"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:900]), "unreadable_signal", "are left"),
    "eleven rows": (struct(lambda d: d[:11]), "missing_lead", "11 rows of 12"),
    "turned": (struct(lambda d: d.T), "unreadable_signal", "(5000, 12)"),
    "no data": (struct(data=None), *NO_MATRIX),
    "words": (struct(data="words"), "unreadable_signal", "no matrix of numbers"),
    "complex": (struct(data=signal(2) * 1j), "unreadable_signal", "no matrix of numbers"),
    "a cube": (struct(data=np.zeros((12, 50, 2))), "unreadable_signal", "no matrix"),
    "no struct": (holding(x=1.0), "unreadable_signal", "no ECG.data"),
    "a number": (holding(ECG=3.0), "unreadable_signal", "ECG is no single struct"),
    "challenge": (holding(val=signal(2)), "missing_header", ".hea"),
    "no samples": (struct(lambda d: d[:, :0]), "wrong_length", "no samples"),
    "flat": (struct(lambda d: d * 0), "flat", "12 constant leads"),
    "all NaN": (struct(lambda d: d * np.nan), "all_nan", ""),
}


def test_a_malformed_struct_is_counted_with_its_reason(tmp_path):
    root, wanted = tmp_path / "root", {}
    for number, (spoil, *why) in enumerate(BAD.values()):
        write_struct(root / f"A{number:04d}", signal(number))
        write_struct(root / f"B{number:04d}", signal(2))
        spoil(root / f"B{number:04d}.mat")
        wanted[f"B{number:04d}"] = why
    reference(root, [])
    assert layouts.check_rejections("cpsc2018", root, tmp_path, wanted)["records"] == len(BAD)


def test_only_the_first_seconds_are_kept_where_that_is_asked(tmp_path):
    root = tmp_path / "cpsc2018"
    lengths = {"A0001": 7500, "A0002": 3000, "A0003": 2000}
    for seed, (record, samples) in enumerate(lengths.items()):
        write_mat(root / record, signal(seed, samples), "59118001")
    write_mat(root / "A0004", signal(9, 2500), "59118001", rate=250)
    whole, _ = run("cpsc2018", root, tmp_path)
    full = stored_signals(tmp_path)
    # `crop: centre` is for the other corpora: the first seconds are the first.
    counts, _ = run("cpsc2018", root, tmp_path, first_seconds={"cpsc2018": 5}, crop="centre")
    half = stored_signals(tmp_path)
    for record in ("A0001", "A0002", "A0003"):
        np.testing.assert_array_equal(half[record][:, :2500], full[record][:, :2500])
    for block in half.values():
        assert block.shape == (12, 5000)
        assert not block[:, 2500:].any()
    assert half["A0004"][:, 2499].any()
    assert (whole["cropped"], whole["padded"]) == (1, 2)
    assert (counts["cropped"], counts["padded"]) == (3, 4)
    facts = stored(tmp_path, "max.V1")
    assert all(facts[record]["max.V1"] == block[6].max() for record, block in half.items())
    other, _ = run("cpsc2018", root, tmp_path, first_seconds={"csn": 5})
    assert other == whole
    assert all(np.array_equal(full[k], v) for k, v in stored_signals(tmp_path).items())


# ---------------------------------------------------------------- real recordings


@real
def test_real_records_are_the_same_microvolts_in_both_forms(tmp_path):
    """Written from the Challenge form's own digits (1000 a millivolt), read by two readers."""
    files = sorted((REAL / "cpsc2018").rglob("*.mat"))
    root = tmp_path / "struct"
    for path in files:
        write_struct(root / path.stem, loadmat(path)["val"])
    (root / "REFERENCE.csv").write_bytes((REAL / "cpsc2018/REFERENCE.csv").read_bytes())
    counts, rejected = run("cpsc2018", root, tmp_path / "two")
    assert (counts["records"], rejected) == (7, {})
    run("cpsc2018", REAL / "cpsc2018", tmp_path / "one")
    one, two = (
        (tmp_path / name / "store/signals-00000.parquet").read_bytes() for name in ("one", "two")
    )
    assert one == two
