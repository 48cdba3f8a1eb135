"""MATLAB level 5 files, as far as the corpora use them: a struct with a matrix of numbers in it.

Written against MathWorks' "MAT-File Format": a header of 128 bytes, then data elements, each a
tag of type and length and that many bytes, padded to eight. A general reader trusts those lengths;
this one reads one field of one struct, and nothing whose length it has not checked.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

HEADER = 128  # bytes
MOST_BYTES = 2**25  # of a file, and of all its elements once they are decompressed
MOST_VALUES = 2**22  # of a matrix: eleven minutes of twelve leads at 500 Hz
MOST_FIELDS = 1000
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"} | {
    12: "<i8", 13: "<u8"
}  # fmt: skip
CELL_CLASS, STRUCT_CLASS, TEXT_CLASS, NUMBER_CLASSES, COMPLEX = 1, 2, 4, range(6, 16), 0x08
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}


class MatlabError(ValueError):
    """A file is none of the few that are read; the message says in which way."""


class Matrix(NamedTuple):
    """A matrix element up to its values: what it is called, and what follows."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    rest: memoryview


def variables(content: bytes) -> Iterator[Matrix]:
    """The variables of a file, in its order; those behind the first damaged one are not reached.

    Raises:
        MatlabError: no little-endian MATLAB level 5 file, or one that is cut or damaged.
    """
    if len(content) > MOST_BYTES:
        raise MatlabError(f"above {MOST_BYTES} bytes")
    if len(content) < HEADER or content[124:128] != b"\x00\x01IM":
        raise MatlabError("no little-endian MATLAB level 5 file")
    rest, room = memoryview(content)[HEADER:], MOST_BYTES
    while rest:
        kind, value, rest = _element(rest)
        if kind == COMPRESSED:
            inflated = _inflated(value, room)
            room -= len(inflated)
            kind, value, _ = _element(memoryview(inflated))
        if kind != MATRIX:
            raise MatlabError(f"a variable of type {kind}")
        yield _matrix(value)


def field(matrix: Matrix, name: str) -> Matrix | None:
    """A field of a struct of one element; None where it has none of that name.

    Raises:
        MatlabError: it is no such struct, or damaged.
    """
    if matrix.kind != STRUCT_CLASS or math.prod(matrix.shape) != 1:
        raise MatlabError(f"{matrix.name} is no single struct")
    kind, value, rest = _element(matrix.rest)
    if kind != INT32 or len(value) != 4 or not 0 < (width := int.from_bytes(value, "little")) < 65:
        raise MatlabError("the length of field names")
    kind, value, rest = _element(rest)
    if kind != INT8 or len(value) % width or len(value) // width > MOST_FIELDS:
        raise MatlabError("the names of fields")
    for start in range(0, len(value), width):
        kind, held, rest = _element(rest)
        if kind != MATRIX:
            raise MatlabError("a field that is no matrix")
        if bytes(value[start : start + width]).split(b"\0")[0] == name.encode():
            return _matrix(held)
    return None


def numbers(matrix: Matrix) -> np.ndarray:
    """A real matrix of two dimensions as float64 (row, column), whatever type it is stored in.

    Raises:
        MatlabError: it is another thing, or has another number of values than its shape says.
    """
    if matrix.kind not in NUMBER_CLASSES or matrix.is_complex or len(matrix.shape) != 2:
        raise MatlabError("no matrix of numbers")
    kind, value, _ = _element(matrix.rest)
    dtype, count = np.dtype(NUMBERS.get(kind, "V1")), math.prod(matrix.shape)
    if kind not in NUMBERS or count > MOST_VALUES or len(value) != count * dtype.itemsize:
        raise MatlabError("other values than its shape has room for")
    stored = np.frombuffer(value, dtype).reshape(matrix.shape, order="F")
    with np.errstate(invalid="ignore"):  # a NaN may be of a kind that warns
        return stored.astype(np.float64)


def text(matrix: Matrix) -> str:
    """A row of characters.

    Raises:
        MatlabError: it is another thing.
    """
    kind, value, _ = _element(matrix.rest)
    if matrix.kind != TEXT_CLASS or min(matrix.shape, default=0) > 1 or kind not in TEXTS:
        raise MatlabError(f"{matrix.name or 'a cell'} is no row of characters")
    return bytes(value).decode(TEXTS[kind], errors="replace")


def cells(matrix: Matrix) -> Iterator[Matrix]:
    """What a cell array holds, in its order.

    Raises:
        MatlabError: it is another thing, or damaged.
    """
    count, rest = math.prod(matrix.shape), matrix.rest
    if matrix.kind != CELL_CLASS or count > MOST_FIELDS:
        raise MatlabError(f"{matrix.name} is no cell array of at most {MOST_FIELDS}")
    for _ in range(count):
        kind, value, rest = _element(rest)
        if kind != MATRIX:
            raise MatlabError("a cell that is no matrix")
        yield _matrix(value)


def _element(data: memoryview) -> tuple[int, memoryview, memoryview]:
    """Type and bytes of the data element at the start, and what follows its padding."""
    if len(data) < 8:
        raise MatlabError("cut within a tag")
    kind, size = struct.unpack_from("<II", data)
    if kind >> 16:  # small: length and type share four bytes, four bytes of data follow
        size, kind = kind >> 16, kind & 0xFFFF
        if size > 4:
            raise MatlabError("a small element above four bytes")
        return kind, data[4 : 4 + size], data[8:]
    if size > len(data) - 8:
        raise MatlabError(f"an element of {size} bytes where {len(data) - 8} are left")
    padded = size if kind == COMPRESSED else (size + 7) // 8 * 8
    return kind, data[8 : 8 + size], data[8 + padded :]


def _inflated(value: memoryview, most: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(value, most + 1)
    except zlib.error:
        raise MatlabError("damaged compression") from None
    if not inflater.eof or len(content) > most:
        raise MatlabError(f"compression that is cut, or of more than {MOST_BYTES} bytes")
    return content


def _matrix(data: memoryview) -> Matrix:
    kind, flags, rest = _element(data)
    if kind != UINT32 or len(flags) != 8:
        raise MatlabError("a matrix without its flags")
    kind, sizes, rest = _element(rest)
    if kind != INT32 or not 8 <= len(sizes) <= 128 or len(sizes) % 4:
        raise MatlabError("a matrix without its dimensions")
    shape = struct.unpack(f"<{len(sizes) // 4}i", sizes)
    if min(shape) < 0:
        raise MatlabError("a negative dimension")
    kind, name, rest = _element(rest)
    if kind != INT8 or len(name) > 64:
        raise MatlabError("a matrix without a name")
    called = bytes(name).decode("ascii", errors="replace")
    return Matrix(flags[0], bool(flags[1] & COMPLEX), shape, called, rest)
