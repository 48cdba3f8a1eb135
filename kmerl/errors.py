"""What a person reads when a stage or a command ends before its time: one line, and no text of a
report.

What our own code raises has words for people. Anything else is a fault of the program, or of a file
that it did not foresee: its words may quote what was being read, so they are left out, on the
terminal and in the file that keeps the traceback.
"""

import dis
import errno
import os
import platform
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

KEPT = Path(".kmerl")
"""Where tracebacks are kept, the last of each stage and command; git does not see the folder."""
WHOLE = "KMERL_TRACEBACK"
"""Environment variable: any value shows a fault as Python does, its own words included."""
INTERRUPTED = 130  # what a shell has for a program that Ctrl-C ended

_ROOT = Path(__file__).parents[1]
_OURS = (_ROOT / "kmerl", _ROOT / "stages")
_NAMELESS = (ArithmeticError, AttributeError, ImportError, MemoryError, NameError)
"""Kinds whose words name parts of the program, and never data."""
_QUEUED = (".dvc", "tmp", "exps")
"""Where DVC makes the folders of queued experiments, below the repository."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = re.compile(r'^\s*File "[^"\n]+", line \d+, in \S+$', re.MULTILINE)
"""A place in the traceback of another process, which is a text."""


@contextmanager
def clear_errors(
    name: str | Callable[[], str], passing: tuple[type[BaseException], ...] = ()
) -> Iterator[None]:
    """Ends the program with one line where this block fails; see `ended`.

    Args:
        name: of the stage or command, with which the line begins; asked for when it is known.
        passing: kinds of errors that are left to others.

    Raises:
        SystemExit: of an error, with status 1, or of Ctrl-C, with 130.
    """
    try:
        yield
    except passing:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if WHOLE in os.environ:
            raise
        raise ended(error, name if isinstance(name, str) else name()) from None


@contextmanager
def about(what: object) -> Iterator[None]:
    """Whatever fails in this block is said to be about `what`: a record or a file, and no text."""
    try:
        yield
    except Exception as error:
        error.add_note(str(what))
        raise


def ended(error: BaseException, name: str) -> SystemExit:
    """Says on standard error how `name`, a stage or a command, failed; answers how it ends.

    The traceback of a fault is kept below `KEPT`.
    """
    if isinstance(error, KeyboardInterrupt):
        print(f"{name}: interrupted", file=sys.stderr)
        return SystemExit(INTERRUPTED)
    words = _words(error)
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    line = words + notes if words else f"{_fault(error)}{notes}; {_keep(error, name)}"
    print(one_line(f"{name}: {line}"), file=sys.stderr)
    return SystemExit(1)


def repository(working: Path) -> Path:
    """Where what a run leaves behind is found again: the working folder, or the repository of a
    queued experiment, for which DVC makes a folder and removes it."""
    above = (folder for folder in working.parents if folder.parts[-3:] == _QUEUED)
    return next((folder.parents[2] for folder in above), working)


def one_line(text: str) -> str:
    """`text` on one line, `printable`."""
    return printable(re.sub(r"\s*[\r\n]\s*", " ", text.strip()))


def printable(text: str) -> str:
    """`text` with an escape in place of each character that a terminal would obey."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _words(error: BaseException) -> str:
    """What a person can put right, in words; empty of a fault."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.errno in _FULL:
            if _is_ours(one):
                return str(one)
            full = one.filename or Path.cwd()
            return f"no space left on {full}: make room, then run it again"
    if _is_ours(error):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return f"{error.filename or error} does not exist"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror.lower()}"
    return ""


def _is_ours(error: BaseException) -> bool:
    """Is it of a kind of ours, or did a `raise` of our own code raise it?"""
    if isinstance(error, ValueError) and type(error).__module__.startswith("kmerl."):
        return True
    frames = [*traceback.walk_tb(error.__traceback__)]
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not _in_our_code(frames[-1][0]):
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _in_our_code(frame: FrameType) -> bool:
    file = Path(frame.f_code.co_filename)
    return any(file.is_relative_to(folder) for folder in _OURS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, the last first."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        yield one
        seen.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _fault(error: BaseException) -> str:
    """Its kind, and the last place in our code that it went through."""
    frames = [*traceback.walk_tb(error.__traceback__)]
    places = [one for one in frames if _in_our_code(one[0])] or frames
    at = ""
    for frame, line in places[-1:]:
        file = Path(frame.f_code.co_filename)
        shown = file.relative_to(_ROOT) if file.is_relative_to(_ROOT) else file.name
        at = f" in {shown}, line {line}"
    return f"{_kind(error)}{at}"


def _kind(error: BaseException) -> str:
    """The kind of an error, and its words where they quote nothing."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name} ({error.strerror})"
    return f"{name} ({error})" if isinstance(error, _NAMELESS) or _is_ours(error) else name


def _keep(error: BaseException, name: str) -> str:
    """Writes the traceback; says where it is."""
    kept = repository(Path.cwd()) / KEPT
    path = kept / f"{name.replace(' ', '-').replace('/', '-')[:60]}.txt"
    shown = os.path.relpath(path)
    head = f"{name}, Python {platform.python_version()}, {platform.platform()}\n\n"
    try:
        kept.mkdir(exist_ok=True)
        (kept / ".gitignore").write_text("*\n", encoding="utf-8")
        path.write_text(head + "\n".join(_traced(error)), encoding="utf-8", errors="replace")
    except OSError as fault:
        where = f"its traceback cannot be kept in {shown} ({fault.strerror})"
    else:
        where = f"its traceback is in {shown}, without the error's own words, which may quote data"
    return f"a fault of the program or of what it read; {where}: {WHOLE}=1 shows all"


def _traced(error: BaseException) -> Iterator[str]:
    """The places of an error, of what it came from and of what it groups, without their words."""
    for number, one in enumerate(_chain(error)):
        yield "which came from\n" if number else "Traceback, the last call last:"
        yield "".join(traceback.format_tb(one.__traceback__)) + f"{_kind(one)}\n"
        yield from _ELSEWHERE.findall(str(one))
        for inner in getattr(one, "exceptions", ()):
            yield from _traced(inner)
