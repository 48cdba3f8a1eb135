"""Every stage and every command ends with one line, and says nothing of a report."""

import contextlib
import errno
import functools
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kmerl import cli, errors, files, params
from kmerl.errors import about, clear_errors, one_line
from kmerl.leads import canonical
from kmerl.params import ParamsError
from kmerl.store import read_table, row_groups
from tests.import_closure import ROOT

SECRET = "mrs smith has a rare finding"
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py"))
IN = {  # what ends a program, its status and the line that is read, behind its name
    "ours": (lambda: ParamsError("seed is\nwrong\x1b[2J"), 1, r"seed is wrong\\x1b\[2J"),
    "no file": (lambda: FileNotFoundError(2, "No such file", "x.csv"), 1, r"x\.csv does not exist"),
    "full": (lambda: OSError(errno.ENOSPC, "No space"), 1, r"no space left on /.*: make room"),
    "fault": (
        lambda: KeyError(SECRET),
        1,
        r"KeyError.* traceback is in \.kmerl/.*TRACEBACK=1",
    ),
    "interrupt": (KeyboardInterrupt, 130, "interrupted"),
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(errors.WHOLE, raising=False)


def run_stage(name, monkeypatch):
    """As `python -m stages.NAME` does, `csn` behind ingest; the exit status."""
    monkeypatch.setattr(sys, "argv", [name, *(["csn"] if name == "ingest" else [])])
    monkeypatch.delitem(sys.modules, f"stages.{name}", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"stages.{name}", run_name="__main__")
    return ended.value.code


def raising(error):
    def fail(*_, **__):
        raise error()

    return fail


@pytest.mark.parametrize("kind", IN)
@pytest.mark.parametrize("name", STAGES)
def test_every_stage_ends_with_one_line(name, kind, monkeypatch, capfd):
    error, status, said = IN[kind]
    for module, function in ((params, "read_file"), (files, "read_table"), (files, "read_json")):
        monkeypatch.setattr(module, function, raising(error))
    assert run_stage(name, monkeypatch) == status
    assert re.fullmatch(rf"{name}( csn)?: {said}.*\n", capfd.readouterr().err)
    check_kept(name, kind)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_without_its_inputs_says_what_is_missing(name, monkeypatch, capfd):
    assert run_stage(name, monkeypatch) == 1
    line = capfd.readouterr().err
    assert re.fullmatch(rf"{name}( csn)?: .*does not exist.*\n", line)
    assert not Path(".kmerl").exists()


def commands(app=cli.app, above=()):
    """Each command of the program: its name, and how it is registered."""
    for one in app.registered_commands:
        yield " ".join((*above, one.name or one.callback.__name__)), one
    for group in app.registered_groups:
        yield from commands(group.typer_instance, (*above, group.name))


def arguments(name):
    """The least that a command takes."""
    command = typer.main.get_command(cli.app)
    for part in name.split():
        command = command.commands[part]
    needed = [one for one in command.params if one.required]
    flags = {one.name: one.opts[:1] if one.param_type_name == "option" else [] for one in needed}
    return [*name.split(), *(word for one in needed for word in [*flags[one.name], "x"])]


@pytest.mark.parametrize("kind", IN)
@pytest.mark.parametrize(("name", "command"), [*commands()])
def test_every_command_ends_with_one_line(name, command, kind, monkeypatch):
    error, status, said = IN[kind]
    fail = functools.wraps(command.callback)(raising(error))
    monkeypatch.setattr(command, "callback", fail)
    found = CliRunner().invoke(cli.app, arguments(name), prog_name="kmerl")
    assert found.exit_code == status
    assert re.fullmatch(rf"kmerl {name}: {said}.*\n", found.stderr)
    assert found.stdout == ""
    check_kept(f"kmerl {name}", kind)


def check_kept(name, kind):
    """The traceback of a fault is there, and holds no word of it; of the others there is none."""
    kept = sorted(Path(".kmerl").glob("*.txt"))
    assert bool(kept) == (kind == "fault")
    for path in kept:
        text = path.read_text()
        assert path.name.startswith(name.replace(" ", "-"))
        assert "KeyError" in text and ", in fail\n" in text
        assert SECRET not in text
        assert Path(".kmerl/.gitignore").read_text() == "*\n"


def said(error, capfd, name="it"):
    """The line and what is kept of an error that this raises."""
    with pytest.raises(SystemExit), clear_errors(name):
        error()
    kept = Path(".kmerl") / f"{name}.txt"
    return capfd.readouterr().err, kept.read_text() if kept.exists() else ""


def test_what_our_code_raises_is_for_people_and_what_fails_in_it_is_not(tmp_path, capfd):
    """A `raise` of ours has our words; what a built-in says of the same line may quote a report."""
    line, kept = said(lambda: canonical("V9"), capfd)
    assert line.startswith("it: unknown lead 'V9'; the leads are I, II") and not kept
    line, kept = said(lambda: files.rounded([1.0, object()]), capfd)
    assert line.startswith("it: TypeError in kmerl/files.py, line ")
    assert "in rounded" in kept


def test_what_an_error_is_about_is_said(capfd):
    def work(error):
        with about("data/ecg/csn"), about("record 17"):
            raise error

    assert said(lambda: work(ParamsError("no")), capfd)[0] == "it: no (record 17) (data/ecg/csn)\n"
    line, _ = said(lambda: work(KeyError(SECRET)), capfd)
    assert "(record 17) (data/ecg/csn); a fault of" in line and SECRET not in line


def test_what_came_before_and_from_elsewhere_is_kept_without_words(capfd):
    def work():
        remote = '\n  File "worker.py", line 7, in read\n    a = report\n' + SECRET
        try:
            raise RuntimeError(remote)
        except RuntimeError as error:
            raise ExceptionGroup(SECRET, [KeyError(SECRET), ZeroDivisionError("by 0")]) from error

    line, kept = said(work, capfd)
    for part in ("RuntimeError", 'File "worker.py", line 7, in read', "KeyError", "(by 0)"):
        assert part in kept
    assert "smith" not in line + kept and "a = report" not in kept


def test_a_disk_so_full_that_no_traceback_fits(monkeypatch, capfd):
    monkeypatch.setattr(Path, "mkdir", raising(lambda: OSError(errno.EROFS, "Read-only")))
    assert "its traceback cannot be kept" in said(raising(lambda: KeyError("x")), capfd)[0]


def test_all_is_shown_where_that_is_asked_for(monkeypatch):
    monkeypatch.setenv(errors.WHOLE, "1")
    with pytest.raises(KeyError, match="smith"), clear_errors("it"):
        raise KeyError(SECRET)


@pytest.mark.parametrize("given", ["nan", "inf", "0", "-1"])
def test_a_number_that_is_none_is_named(given):
    for options in (["compare", "a", "b", "--level"], ["experiments", "cost", "x", "--flops"]):
        found = CliRunner().invoke(cli.app, [*options, given])
        assert found.exit_code in (1, 2) and options[-1] in found.stderr


def test_a_line_is_one_whatever_is_in_it():
    every = "".join(map(chr, range(0x2100))) + "\ud800\u2028\u202e\U000e0001"
    assert one_line(every).isprintable()
    assert one_line("a\r\n   b\tc") == "a b\\tc"


def test_typers_own_errors_and_a_closed_pipe_are_left_to_it(monkeypatch):
    found = CliRunner().invoke(cli.app, ["predict", "--nothing"])
    assert found.exit_code == 2 and "No such option" in found.stderr
    (leads,) = (one for name, one in commands() if name == "leads")
    pipe = raising(lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"))
    monkeypatch.setattr(leads, "callback", functools.wraps(leads.callback)(pipe))
    with contextlib.redirect_stdout(None):
        assert CliRunner().invoke(cli.app, ["leads"]).exit_code == 1


DAMAGE = {
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "page": lambda _: b"<",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_a_stage_is_named(damage, evaluation_cohort, tmp_path):
    shutil.copytree(evaluation_cohort / "data/ecg/csn", "csn")
    files.write_json("a.json", {"a": 1})
    shard = next(Path("csn").glob("*.parquet"))
    readers = {
        "a.json": files.read_json,
        str(shard): files.read_table,
        f"{shard} ": lambda _: read_table("csn", ["record"]),
        f"{shard}  ": lambda _: row_groups("csn"),
    }
    for path in ("a.json", shard):
        Path(path).write_bytes(DAMAGE[damage](Path(path).read_bytes()))
    for name, read in readers.items():
        with pytest.raises(files.DamagedError, match=rf"^{name.strip()} is .*; .*`dvc "):
            read(name.strip())
        with pytest.raises(FileNotFoundError):
            files.read_table("nowhere")
