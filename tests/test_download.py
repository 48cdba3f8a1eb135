"""`kmerl data`: a corpus that comes over a bad line, is killed, and is whole in the end."""

import hashlib
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner
from yarl import URL

from kmerl import cli
from kmerl.corpora.ptbxl import listing
from kmerl.corpora.records import CORPORA
from kmerl.download import fetch as fetching
from kmerl.download import remote_files
from kmerl.download.remote_files import FetchError, NotFetched, address
from kmerl.download.sources import REMOTE, root_of, sources
from kmerl.download.sums import Sums, SumsError
from tests import official_layouts
from tests.cohorts import read_rows
from tests.file_server import FileServer
from tests.import_closure import ROOT
from tests.s3_server import bucket

RECORDS = 6
HEADER = "records500/00000/00003_hr.hea"
WAVE = "records500/00000/00003_hr.dat"
A, B = "a" * 64, "b" * 64


def files_of(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def sum_line(path: str, content: bytes) -> bytes:
    """Of SHA256SUMS.txt as PhysioNet writes it: one space."""
    return f"{hashlib.sha256(content).hexdigest()} {path}\n".encode()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """PTB-XL in small, with the 100 Hz copies that nothing here reads."""
    root = official_layouts.ptbxl(tmp_path_factory.mktemp("published"), RECORDS)
    shutil.copytree(root / "records500", root / "records100")
    (root / "LICENSE.txt").write_text("CC BY 4.0\n")
    sums = b"".join(sum_line(path, content) for path, content in sorted(files_of(root).items()))
    (root / "SHA256SUMS.txt").write_bytes(sums)
    return root


@pytest.fixture
def wanted(corpus) -> dict[str, bytes]:
    return {
        path: content
        for path, content in files_of(corpus).items()
        if not path.startswith("records100/") and path != "SHA256SUMS.txt"
    }


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remote_files, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(fetching.os, "sync", lambda: None)


def get(*arguments: object, status: int = 0, corpus: str = "ptb-xl") -> str:
    called = CliRunner().invoke(cli.app, ["data", "get", corpus, *map(str, arguments)])
    assert called.exit_code == status, called.output
    return called.output


def is_whole(root: Path, wanted: dict[str, bytes]) -> bool:
    """The files, and the list of them; nothing partial beside."""
    found = files_of(root)
    listed = found.pop("SHA256SUMS.txt", b"").splitlines(keepends=True)
    return found == wanted and set(listed) == {sum_line(*file) for file in wanted.items()}


# ---------------------------------------------------------------- what comes, and what is there


def test_a_corpus_comes_whole_and_is_fetched_once(corpus, wanted):
    with FileServer(corpus) as server:
        out = get("--from", server.address)
        assert f"{len(wanted)} files fetched" in out
        assert "root: raw/ptb-xl, manifest: SHA256SUMS.txt" in out
        assert is_whole(Path("raw/ptb-xl"), wanted)
        assert len(listing(Path("raw/ptb-xl")).table) == RECORDS
        server.asked.clear()
        out = get("--from", server.address)
        assert f"0 in place of one that was not whole; {len(wanted)} already there" in out
        assert list(server.asked) == ["SHA256SUMS.txt"]


def test_what_another_tool_fetched_is_checked(corpus):
    """Also what is not fetched; the published list stands as it is, where all is there."""
    shutil.copytree(corpus, "raw/ptb-xl")
    Path("raw/ptb-xl", WAVE).write_bytes(b"half")
    with FileServer(corpus) as server:
        assert "1 files fetched (0.00 GB), of them 1 in place of" in get("--from", server.address)
        assert server.asked.keys() == {"SHA256SUMS.txt", WAVE}
    assert files_of(Path("raw/ptb-xl")) == files_of(corpus)


FAULTS = {  # what the server does, and why the file is then missing, if it is
    "a pause": ([503, 429], None),
    "half of it": (["cut", "cut"], None),
    "another byte": (["wrong"], None),
    "another place": ([f"/data/{HEADER}?signed=1"], None),
    "another byte, twice": (["wrong", "wrong"], "its sha256 is not that of SHA256SUMS.txt, twice"),
    "no pause": ([500, "..."], "HTTP 500"),
    "never all of it": (["cut", "..."], "ClientPayloadError"),
    "nothing": ([404], "HTTP 404"),
    "round and round": ([f"/data/{HEADER}", "..."], "more than 5 redirections"),
    "an unsafe place": (["ftp://127.0.0.1/x"], "redirected from http to ftp, which is not safe"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_another_try_or_a_line_of_failed_csv(name, corpus, wanted):
    faults, reason = FAULTS[name]
    with FileServer(corpus, {HEADER: faults}) as server:
        out = get("--from", server.address, "--to", "here", status=int(bool(reason)))
        if reason:
            assert f"{len(wanted) - 1} files fetched" in out
            assert "1 failed; 0 not tried" in out
            (row,) = read_rows(Path("here/failed.csv"))
            assert row["path"] == HEADER
            assert row["reason"].startswith(reason)
            assert HEADER not in Path("here/SHA256SUMS.txt").read_text()
            server.faults.clear()
            assert "1 files fetched" in get("--from", server.address, "--to", "here")
    assert is_whole(Path("here"), wanted)


def test_a_killed_run_goes_on_where_it_was(corpus, wanted):
    """kill -9 amid a file: what bears its own name is whole, and the rerun asks for the rest."""
    code = """if True:
        import asyncio, pathlib, sys
        from kmerl.download.fetch import fetch
        here = pathlib.Path("here")
        asyncio.run(fetch(sys.argv[1], here, unread="records100", average=9, parallel=2))
    """
    with FileServer(corpus, {WAVE: ["hang"]}) as server:
        command = [sys.executable, "-c", code, server.address]
        run = subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)})
        assert server.hanging.wait(30)
        run.send_signal(signal.SIGKILL)
        run.wait()
        left = files_of(Path("here"))
        assert "records500/00000/.00003_hr.dat.partial" in left
        left = {path: content for path, content in left.items() if not path.endswith(".partial")}
        assert left
        assert left.items() < wanted.items()  # no list yet, and nothing that is not whole
        server.faults.clear()
        server.asked.clear()
        out = get("--from", server.address, "--to", "here")
        assert f"{len(left)} already there" in out
        assert server.asked.keys() == wanted.keys() - left.keys() | {"SHA256SUMS.txt"}
    assert is_whole(Path("here"), wanted)


def test_a_server_that_is_gone_is_left_alone(corpus, monkeypatch):
    monkeypatch.setattr(fetching, "IN_A_ROW", 3)
    faults = {path: [503, "..."] for path in files_of(corpus) if path.endswith(".dat")}
    with FileServer(corpus, faults) as server:
        out = get("--from", server.address, "--to", "here", "--parallel", 1, status=1)
        assert "stopped: the last 3 files could not be had" not in out  # others came in between
        assert not Path("here/SHA256SUMS.txt").read_text().count(".dat")
        server.faults |= {path: [503, "..."] for path in files_of(corpus) if path.endswith(".hea")}
        shutil.rmtree("here")
        out = get("--from", server.address, "--to", "here", "--parallel", 1, status=1)
    assert "stopped: the last 3 files could not be had, records500/00000/00002_hr.dat for" in out
    assert "3 failed; 10 not tried" in out
    assert not Path("here/SHA256SUMS.txt").exists()
    assert "SHA256SUMS.txt: ClientConnectorError" in get("--from", server.address, status=1)


def test_a_disk_that_is_full_is_said_before_or_stops_everything(corpus, monkeypatch):
    with FileServer(corpus) as server:
        Path("here").mkdir()
        Path("here/records500").write_text("in the way, as a full disk would be")
        out = get("--from", server.address, "--to", "here", "--parallel", 1, status=1)
        assert "stopped: here/records500/00000/00001_hr.dat: " in out
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage(10**9))
        out = get("--from", server.address, "--to", "there", status=1)
    assert "there: 15 files of about 1.0 GB are to come and 1.0 GB are free; make room" in out
    assert not Path("there").exists()


# ---------------------------------------------------------------- which files


@pytest.mark.parametrize(
    "records, numbers",
    [
        ("2", {1, 2}),
        ("00003_hr,records500/00000/00005_hr", {3, 5}),
        ("names.txt", {4}),
        ("7", "7 records are asked for and SHA256SUMS.txt lists 6"),
        ("00003_lr", "lists no record 00003_lr (1 of 1)"),
        (",", "lists no record without a name"),
    ],
)
def test_some_records_come_with_all_tables(records, numbers, corpus, wanted):
    Path("names.txt").write_text("00004_hr.hea\n")
    with FileServer(corpus) as server:
        asked = ["--from", server.address, "--to", "here", "--records"]
        out = get(*asked, records, status=int(isinstance(numbers, str)))
        if isinstance(numbers, str):
            assert numbers in out
            return
        kept = {f"records500/00000/{n:05d}_hr" for n in numbers}
        tables = {path for path in wanted if not path.startswith("records500/")}
        some = {path: wanted[path] for path in wanted if path[:-4] in kept or path in tables}
        assert is_whole(Path("here"), some)
        get(*asked, "00006_hr")  # what is there stays part of it
        some |= {path: wanted[path] for path in wanted if "00006_hr" in path}
        assert is_whole(Path("here"), some)


@pytest.mark.parametrize(
    "text, said",
    [
        ("<html>\n", "line 1 of SHA256SUMS.txt is no sha256 and a path"),
        ("\n\n", "lists no file"),
        (f"{A} x/SHA256SUMS.txt\n{A[1:]} b\n", "line 2 of"),
        (f"{A} a\n{B} a\n", "has two checksums of a"),
        *[
            (f"{A}  {path}\n", "is no path inside a folder")
            for path in ("../a", "/a", "a/../../b", "a//b", "a/.", "a\\b", "a\x1bb", ".//a")
        ],
    ],
)
def test_a_list_that_is_none_or_leads_elsewhere_is_refused(text, said):
    with pytest.raises(SumsError) as refused:
        Sums(text)
    assert said in str(refused.value)


def test_a_list_may_be_of_the_project_or_of_the_corpus_alone():
    of_all = Sums(f"{A} training/cpsc_2018/g1/A1.hea\n{B} *./README.md\n", "training/cpsc_2018")
    assert of_all.inside + "".join(of_all.files) == "training/cpsc_2018/g1/A1.hea"
    assert of_all.lines({"g1/A1.hea"}) == f"{A} g1/A1.hea\n"
    alone = Sums(f"{A}  g1/A1.hea\r\n", "training/cpsc_2018")
    assert alone.inside == ""
    assert alone.lines({"g1/A1.hea"}) == f"{A}  g1/A1.hea\n"


@pytest.mark.parametrize(
    "place, endpoint, url",
    [
        ("s3://physionet-open/x/1.0/", "", "https://physionet-open.s3.amazonaws.com/x/1.0"),
        ("s3://a.b/x", "", "https://s3.amazonaws.com/a.b/x"),
        ("s3://bucket/a b", "http://127.0.0.1:9/", "http://127.0.0.1:9/bucket/a%20b"),
        ("https://physionet.org/files/x/", "", "https://physionet.org/files/x"),
        ("ftp://x/y", "", "is no address"),
        ("/etc", "", "is no address"),
        ("https://", "", "is no address"),
        ("https://me:secret@host/x", "", "not taken (host)"),
        ("https://host/x?key=secret", "", "not taken (host)"),
    ],
)
def test_addresses(place, endpoint, url, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if url.startswith("http"):
        assert str(address(place)) == url
        return
    with pytest.raises(FetchError) as refused:
        address(place)
    assert url in str(refused.value)
    assert "secret" not in str(refused.value)


def test_https_is_never_left():
    with pytest.raises(NotFetched, match="from https to http"):
        remote_files._redirected(URL("https://host/a"), "http://host/a")
    assert str(remote_files._redirected(URL("https://host/a"), "/b%20c")) == "https://host/b%20c"


# ---------------------------------------------------------------- S3


def test_a_bucket_of_s3_without_credentials(wanted, monkeypatch):
    """The corpus is a folder of a project; of two files, one is not there yet and one not whole."""
    project = "challenge-2020/1.0.2"
    with bucket("physionet-open") as (endpoint, put):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert "SHA256SUMS.txt: HTTP 404" in get(corpus="cpsc2018", status=1)
        sums = [sum_line(f"training/cpsc_2018/{path}", content) for path, content in wanted.items()]
        sums.append(sum_line("training/georgia/g1/E00001.hea", b"not asked for"))
        put(f"{project}/SHA256SUMS.txt", b"".join(sums))
        for path, content in wanted.items() - {(HEADER, wanted[HEADER])}:
            put(f"{project}/training/cpsc_2018/{path}", content[: None if path != WAVE else 9])
        out = get(corpus="cpsc2018", status=1)
        assert "2 failed; 0 not tried" in out
        assert "lists 6 records, and 6,877 are known: another release, or a list cut short" in out
        assert {row["path"] for row in read_rows(Path("raw/cpsc2018/failed.csv"))} == {HEADER, WAVE}
        for path in (HEADER, WAVE):
            put(f"{project}/training/cpsc_2018/{path}", wanted[path])
        assert "2 files fetched" in get(corpus="cpsc2018")
    assert is_whole(Path("raw/cpsc2018"), wanted)


# ---------------------------------------------------------------- the facts


def test_every_corpus_is_told_of_and_the_page_says_the_same():
    assert list(sources()) == list(CORPORA)
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8").splitlines()
    said = CliRunner().invoke(cli.app, ["data", "list"]).output.splitlines()
    for name, known in sources().items():
        assert str(address(known.project)).startswith("https://physionet-open.s3.amazonaws.com/")
        cells = [
            f"`{name}`",
            f"{known.title}, version {known.version}",
            f"{known.records:,}",
            f"{known.bytes / 1e9:.1f} GB, {known.files:,} files",
            known.licence,
            known.credentials,
            f"`raw/{name}`",
        ]
        assert f"| {' | '.join(cells)} |" in page
        commands = {f"    {one}" for one in known.commands(name, f"raw/{name}").values()}
        assert commands <= set(page) & set(said)
    remote = {f"    {line}" for line in REMOTE.splitlines()}
    assert remote <= set(page) & set(said)


def test_a_real_corpus_never_goes_into_the_place_of_the_synthetic_one():
    shutil.copy(ROOT / "params/demo.yaml", "params.yaml")
    assert root_of("csn") == "raw/csn"
    text = (ROOT / "params/paper.yaml").read_text().replace("raw/csn", "/data/csn")
    Path("params.yaml").write_text(text)
    assert root_of("csn") == "/data/csn"
    Path("params.yaml").write_text("corpora: {mine: {root: r, manifest: m, kind: table}}")
    assert root_of("csn") == "raw/csn"  # left out
