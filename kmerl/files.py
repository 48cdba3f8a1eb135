"""Files written whole or not at all and read with their names in the errors; metrics, YAML."""

import csv
import errno
import fcntl
import io
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml


class NoSpaceError(OSError):
    """The disk, or this user's share of it, is full; the message is one line that names the file.

    Nothing torn is left: where space is made, the same command goes on.
    """

    def __str__(self) -> str:
        return str(self.strerror)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_MODE = 0o666 & ~_umask()
"""What a file may be that is made by `open`; some libraries write for their user alone."""


@contextmanager
def atomic(path: Path | str, size: int = 0) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    A kill in between leaves the old file, or none, and never a part of the new one.

    Args:
        size: bytes of the new file as far as they are known, for what is said of a full disk.

    Raises:
        NoSpaceError: the disk is full, whatever the writer's own error says.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.chmod(_MODE)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except Exception as error:
        if _is_full(error):
            raise _no_space(path, partial, size) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


class BusyError(ValueError):
    """Another run writes to the same place."""


@contextmanager
def alone(out: Path, what: str) -> Iterator[None]:
    """Nobody else writes to `out` meanwhile. The system lets go of the lock when a process ends,
    however it ends; the file stays.

    Args:
        what: who else may be writing, for the error: "ingest".

    Raises:
        BusyError: somebody does.
    """
    path = out.with_name(f".{out.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"another {what} is writing to {out}; wait for its end, or end it"
            ) from None
        yield


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error; Rust's libraries say it in words alone, and those of
    C++ raise another error while they close the file."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if re.search(r"code: 28\b|os error 28\b|No space left", str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_space(path: Path, partial: Path, size: int) -> NoSpaceError:
    written = partial.stat().st_size if partial.exists() else 0
    free = shutil.disk_usage(path.parent).free
    said = (
        f"no space left on {path}: {max(size, written):,} bytes needed or more, "
        f"{free + written:,} free; make room and run the same command again, what is done is kept"
    )
    return NoSpaceError(errno.ENOSPC, said, str(path))


class DamagedError(ValueError):
    """A file is torn, damaged or of another kind; the message names it."""


REMAKE = "`dvc checkout` brings back what a stage wrote, `dvc repro` makes it again"
"""What to do about a file that a stage wrote."""


@contextmanager
def reading(path: Path | str, again: str) -> Iterator[None]:
    """A block that reads one file, whose damage is told with the file's name.

    Args:
        again: what to do, such as "run `dvc repro encode` again".

    Raises:
        DamagedError: the file is torn, is no such file, or lacks what is sought in it.
    """
    try:
        yield
    except (DamagedError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # whatever the bytes made a library raise
        if isinstance(error, OSError) and error.errno is not None:
            raise  # unreadable: it names the file itself
        kind = type(error).__name__
        said = " ".join(f"{kind}: {error}".split())
        raise DamagedError(f"{path} is damaged or of another kind ({said}); {again}") from error


def write_text(path: Path | str, text: str) -> None:
    content = text.encode()
    with atomic(path, len(content)) as partial:
        partial.write_bytes(content)


def write_json(path: Path | str, value: Any) -> None:
    """Sorted keys, four significant digits, NaN as null: a diff shows only what moved."""
    write_text(path, json.dumps(rounded(value), indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """
    Raises:
        DamagedError: the file is no JSON, or a torn one.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is no JSON file ({error}); {REMAKE}") from None


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> Any:
    """The Arrow table of a Parquet file, or some columns of it.

    Raises:
        DamagedError: it is torn, or no such file.
    """
    import pyarrow.parquet as pq  # slow to import, and most who import this file need it not

    with reading(path, REMAKE):
        return pq.read_table(path, columns=columns)


class _Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2's words, as DVC reads and writes them, and no key twice in a mapping.

    PyYAML itself reads YAML 1.1: 1e-05 is a word, `no` is false, of two keys the last holds.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (those below, in place of 1.1's)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key is one word, no list and no mapping", key.start_mark)
            if key.value in seen:
                raise _fault(f"{key.value!r} stands there twice", key.start_mark)
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found

    def construct_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MOST_DIGITS:  # Python refuses more than 4,300
            raise _fault(f"a number of {len(node.value)} digits", node.start_mark)
        return int(node.value)


for _kind, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?\d+",
    "float": r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}.items():
    _known = re.compile(f"({_pattern})$", re.ASCII)
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _known, None)
_Yaml.add_constructor("tag:yaml.org,2002:int", _Yaml.construct_int)

MOST_DIGITS = 1000
MOST_DEPTH = 50
"""Lists and mappings inside one another; the parser's own recursion would end the process."""
MOST_VALUES = 200_000
"""In a file, what its aliases repeat counted each time."""
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _fault(words: str, mark: Any) -> yaml.YAMLError:
    return yaml.error.MarkedYAMLError(problem=words, problem_mark=mark)


def parse_yaml(text: str | bytes, where: str) -> Any:
    """What a text in YAML 1.2 holds.

    Raises:
        ValueError: it is no YAML in UTF-8, a mapping has a key twice, a tag asks for more than
            plain values, or there is more of it than a file of ours can need: deeper, longer, or
            repeated by aliases. The message is one line and begins with `where`.
    """
    try:
        given = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        words = given.decode("utf-8-sig")
        if odd := _CONTROL.search(words):
            at = words.count("\n", 0, odd.start()) + 1
            raise ValueError(f"{where}, line {at}: control character {odd[0]!r}; remove it")
        _check_events(words)
        return yaml.load(words, Loader=_Yaml)
    except UnicodeDecodeError as error:
        at = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{where}, line {at}: this is no UTF-8; save the file as that") from None
    except yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise ValueError(f"{where}{line}: {said}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from None


def _check_events(text: str) -> None:
    """Depth, tags and size before anything is built: the parser alone does not recurse."""
    size: dict[str, int] = {}  # of what an alias may repeat
    open_ones: list[list[Any]] = [["", 0]]  # anchor and values of each list and mapping
    event: Any
    for event in yaml.parse(text, Loader=_Yaml):
        if getattr(event, "tag", None) not in (None, "!"):
            raise _fault(f"tag {event.tag}; plain values alone are read", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            open_ones.append([event.anchor, 1])
            if len(open_ones) > MOST_DEPTH:
                raise _fault(f"more than {MOST_DEPTH} levels inside one another", event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, values = open_ones.pop()
            open_ones[-1][1] += values
            if anchor:
                size[anchor] = values
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, _ in open_ones]:
                raise _fault(f"*{event.anchor} stands inside itself", event.start_mark)
            open_ones[-1][1] += size.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            open_ones[-1][1] += 1
            if odd := _CONTROL.search(event.value):
                raise _fault(f"control character {odd[0]!r} as an escape", event.start_mark)
        if open_ones[-1][1] > MOST_VALUES:
            raise _fault(f"more than {MOST_VALUES:,} values", event.start_mark)


def read_yaml(path: Path | Traversable) -> Any:
    """What a file, or one of a package, holds; see `parse_yaml`."""
    return parse_yaml(path.read_bytes(), str(path))


def write_csv(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header and rows, in the order given; numbers as in `write_json`, nothing for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rounded(list(row)) for row in rows)
    write_text(path, text.getvalue())


def rounded(value: Any, digits: int = 4) -> Any:
    """`value` with every float at `digits` significant digits and NaN/Inf as None, recursively."""
    if isinstance(value, dict):
        return {str(k): rounded(v, digits) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    if isinstance(value, int | str) or value is None:
        return value
    number = float(value)
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None


def fresh_directory(path: Path | str) -> Path:
    """An empty directory at `path`, whatever an earlier run left there."""
    path = Path(path)
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path
