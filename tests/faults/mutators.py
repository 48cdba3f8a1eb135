"""Damage to a file: bytes in, other bytes out. All chance comes from the generator given.

Bits flip and ends are cut off in any file; lines, fields and numbers change in texts; and what is
a tree (YAML, JSON, the head of safetensors) or a table (Parquet) is also changed as such, so that
the damage reaches what lies behind the parser.
"""

import io
import json
import math
import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Mutator = Callable[[bytes, Random], bytes]
NUMBERS = [
    *(str(n) for bits in (7, 15, 16, 31, 32, 63, 64) for n in (2**bits - 1, 2**bits, -(2**bits))),
    "0", "1", "-1", "2", "3", "12", "-0", "0.1", "1e-300", "1e308", "-1e308", "1e999", "nan", "inf",
    "-inf", "1e5", "1_000", "0x10", "00012", "9" * 30, "9" * 5000, "", "null", "true", "no", "1,5",
    "\u0663",
]  # fmt: skip
WORDS = [
    '"', "'", '""', ",", ";", "\t", "\n", "\r\n", "\r", "\0", "\x1b[31m", "\ufeff", "\u2028",
    "\u00b5V", "\u03bcV", "e\u0301", "\u202e", "\U0001f600", "\x85", "../", "/", ".", "..", "~",
    "%s", "{}", "${key}", "$(true)", "`true`", "# ", ": ", "- ", "*a", "&a ", "!!python/none ",
    "[" * 3000, "{" * 3000, "a" * 70_000, " ", "-", "+", "(", ")", "x", "record", "__class__",
]  # fmt: skip
BYTES = [b"\xff", b"\xed\xa0\x80", b"\xc3", b"\0\0\0\0", b"\xff\xfe", b"PK\3\4", b"MATLAB"]
INTEGERS = [*range(20), 64, 255, 2**15, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 1]
TREES = [
    None, True, False, 0, 1, -1, 10**6, 2**31, 2**63, 10**30, 0.5, -0.1, 1e-300, 1e308, math.nan,
    math.inf, "", "x", "nan", "record", "../x", "a\0b", "\ud800", "a" * 5000, [], [[]], {},
    {"x": 1}, [1, "1"], {"": None}, [None] * 50,
]  # fmt: skip
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")


def mutated(name: str, content: bytes, other: bytes, random: Random) -> bytes:
    """`content` with one to three faults, or as a whole another file of its kind.

    Args:
        name: of the file; its suffix says what the content is.
        other: another file of the kind, to splice with.
    """
    suffix = name.rpartition(".")[2]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if suffix in _STRUCTURED and random.random() < 0.6:
            content = _STRUCTURED[suffix](content, random)
        elif suffix in ("hea", "csv", "yaml", "json", "jsonl", "txt") and random.random() < 0.8:
            content = _text(content, other, random)
        else:
            content = _binary(content, other, random)
    return content


def _binary(content: bytes, other: bytes, random: Random) -> bytes:
    size = len(content)
    where = random.choice((random.randrange(size + 1), random.randrange(min(size, 200) + 1),
                           max(size - random.randrange(64), 0)))  # fmt: skip
    match random.randrange(8):
        case 0:  # a bit
            where = min(where, size - 1)
            flipped = bytes([content[where] ^ 1 << random.randrange(8)]) if size else b""
            return content[:where] + flipped + content[where + 1 :]
        case 1:
            return content[:where]
        case 2:
            return content[:where] + content[where + random.choice((1, 2, 4, 8, 100)) :]
        case 3:
            added = random.choice((*BYTES, random.randbytes(random.randrange(1, 9)), bytes(4096)))
            return content[:where] + added + content[where:]
        case 4:  # what follows is of the other file
            return content[:where] + other[random.randrange(len(other) + 1) :]
        case 5:  # bytes as an integer, where such would lie
            where, number = where & ~3, random.choice(INTEGERS)
            form = random.choice("<>") + random.choice("IHQ")
            raw = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
            return content[:where] + raw + content[where + len(raw) :]
        case 6:
            raw = struct.pack("<d", random.choice((math.nan, math.inf, 1e308, -1e-300, 1e10)))
            return content[: where & ~7] + raw + content[(where & ~7) + 8 :]
        case _:  # a piece stands elsewhere too
            start, length = random.randrange(size + 1), random.choice((1, 8, 64, 1000))
            return content[:where] + content[start : start + length] + content[where + length :]


def _text(content: bytes, other: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    row = random.randrange(len(lines))
    separator = b"," if lines[row].count(b",") > 1 else b" "
    fields = lines[row].split(separator)
    column = random.randrange(len(fields))
    match random.randrange(9):
        case 0 | 1 | 2:
            found = list(_NUMBER.finditer(lines[row]))
            if found:
                start, end = random.choice(found).span()
                number = random.choice(NUMBERS).encode()
                lines[row] = lines[row][:start] + number + lines[row][end:]
        case 3:
            place = random.randrange(len(lines[row]) + 1)
            word = random.choice((*(word.encode() for word in WORDS), *BYTES))
            lines[row] = lines[row][:place] + word + lines[row][place:]
        case 4:
            fields[column] = random.choice((*WORDS, *NUMBERS)).encode()
            lines[row] = separator.join(fields)
        case 5:
            fields[column : column + 1] = random.choice(([], [fields[column]] * 2))
            lines[row] = separator.join(fields)
        case 6:
            lines[row : row + 1] = random.choice(([], [lines[row]] * 2, [lines[row]] * 40))
        case 7:
            lines.insert(row, random.choice(other.splitlines(keepends=True) or [b"\n"]))
        case _:
            place = random.randrange(len(lines))
            lines[row], lines[place] = lines[place], lines[row]
    return b"".join(lines)


def _tree(value: Any, random: Random) -> Any:
    """A branch or leaf is another one, is gone, or bears another name."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return random.choice(TREES)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key, copy = random.choice(list(keys)), value.copy()
    match random.randrange(12):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[random.choice(("x", "", f"{key}x", "record", *keys))] = copy.pop(key)
        case 2:
            copy[key] = copy[random.choice(list(keys))]
        case _:
            copy[key] = _tree(copy[key], random)
    return copy


def _reparsed(load: Callable[[bytes], Any], dump: Callable[[Any], str]) -> Mutator:
    def mutate(content: bytes, random: Random) -> bytes:
        try:
            return dump(_tree(load(content), random)).encode()
        except (
            yaml.YAMLError,
            ValueError,
            RecursionError,
        ):  # an earlier fault, or half a character
            return content

    return mutate


_json = _reparsed(json.loads, json.dumps)


def _safetensors(content: bytes, random: Random) -> bytes:
    size = int.from_bytes(content[:8], "little")
    head = _json(content[8 : 8 + size], random)
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


def _parquet(content: bytes, random: Random) -> bytes:
    """A column is gone, twice there, empty or of another type; or rows or the metadata are."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError):
        return content
    rows, column = table.num_rows, random.randrange(table.num_columns or 1)
    name = table.column_names[column] if table.num_columns else "x"
    other = random.choice((pa.nulls(rows), pa.array(["x"] * rows), pa.array([2**40] * rows),
                           pa.array([[1]] * rows), pa.array([math.nan] * rows)))  # fmt: skip
    told = random.choice((None, {b"kmerl.rate": b"nan", b"kmerl.samples": b"-1"}))
    table = random.choice((
        lambda: table.select([one for one in table.column_names if one != name]),
        lambda: table.append_column(name, other),
        lambda: table.select([one for one in table.column_names if one != name]).append_column(
            name, other),
        lambda: table.slice(random.randrange(rows + 1)),
        lambda: pa.concat_tables([table, table.slice(0, 1)]),
        lambda: table.replace_schema_metadata(told),
    ))()  # fmt: skip
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=random.choice((1, 4, 1000)))
    return out.getvalue()


def _mat(content: bytes, random: Random) -> bytes:
    """A tag of a MATLAB 5 file, its size or a flag is another one; packed again where it was."""
    head, tag, body = content[:128], content[128:136], content[136:]
    packed = tag[:4] == struct.pack("<I", 15)
    try:
        inner = bytearray(zlib.decompress(body) if packed else tag + body)
    except zlib.error:
        return content
    for _ in range(random.choice((1, 1, 2, 3))):
        where = 4 * random.randrange(min(len(inner), 600) // 4 or 1)
        form, number = random.choice(("<I", "<H", "B")), random.choice(INTEGERS)
        raw = struct.pack(form, number % 2 ** (8 * struct.calcsize(form)))
        inner[where : where + len(raw)] = raw
    if not packed and random.random() < 0.8:
        return head + bytes(inner)
    squeezed = zlib.compress(bytes(inner), 1)
    return head + struct.pack("<II", 15, len(squeezed)) + squeezed


_STRUCTURED = {
    "mat": _mat,
    "yaml": _reparsed(
        partial(yaml.load, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)),
        partial(yaml.dump, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)),
    ),
    "json": _json,
    "safetensors": _safetensors,
    "parquet": _parquet,
}
