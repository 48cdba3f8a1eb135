"""MATLAB files of level 4 and 5: a matrix with a rate, names and a unit beside it, or CPSC2018's
struct."""

import math

import numpy as np

from kmerl.leads import LEADS
from kmerl.recordings import arrays, matlab, struct_files
from kmerl.recordings.recording import Channel, Contents, RecordError, Told

LEVEL4 = {0: "<f8", 10: "<f4", 20: "<i4", 30: "<i2", 40: "<u2", 50: "u1"}  # by type, little-endian
START = 20  # bytes before a level 4 matrix's name


def read(content: bytes, told: Told) -> Contents:
    """
    Raises:
        RecordError: it is damaged, or the rate of a WFDB record's .mat is asked for that has lost
            its header.
    """
    try:
        held = _level5(content) if content[124:128] == b"\x00\x01IM" else _level4(content)
    except matlab.MatlabError as error:
        raise RecordError(f"it is no MATLAB file that is read: {error}") from None
    if isinstance(held, Contents):
        return held
    if list(held) == ["val"] and not told.rate:
        raise RecordError("missing header: put its WFDB header (.hea) beside it, or give --rate, "
                          "--unit and --channels")  # fmt: skip
    return arrays.contents(held, told)


def _level5(content: bytes) -> Contents | dict[str, arrays.Value]:
    held: dict[str, arrays.Value] = {}
    for variable in matlab.variables(content):
        if variable.name == struct_files.STRUCT and variable.kind == matlab.STRUCT_CLASS:
            return _struct(variable)
        if variable.kind in matlab.NUMBER_CLASSES:
            held[variable.name] = matlab.numbers(variable)
        elif variable.kind == matlab.TEXT_CLASS:
            held[variable.name] = matlab.text(variable)
        elif variable.kind == matlab.CELL_CLASS:
            held[variable.name] = [matlab.text(one) for one in matlab.cells(variable)]
    return held


def _struct(variable: matlab.Matrix) -> Contents:
    """CPSC2018's first form: twelve leads in millivolt."""
    data = matlab.field(variable, struct_files.DATA)
    if data is None:
        raise RecordError(f"its struct {struct_files.STRUCT} has no {struct_files.DATA}")
    values = matlab.numbers(data)
    if len(values) != len(LEADS):
        raise RecordError(
            f"{struct_files.STRUCT}.{struct_files.DATA} has {len(values)} rows, of 12"
        )
    rate = struct_files.RATE
    return Contents(tuple(Channel(*one, "mV", rate) for one in zip(LEADS, values, strict=True)))


def _level4(content: bytes) -> dict[str, arrays.Value]:
    """Real full matrices of numbers and of characters."""
    held: dict[str, arrays.Value] = {}
    offset = 0
    while offset + START <= len(content):
        kind, rows, columns, imaginary, length = np.frombuffer(content, "<i4", 5, offset).tolist()
        form = kind % 10
        dtype = np.dtype(LEVEL4.get(kind - form, "V1"))
        start = offset + START + length
        count = math.prod((rows, columns))
        if dtype.kind == "V" or form > 1 or imaginary or min(rows, columns, length) < 0:
            raise matlab.MatlabError("a matrix of another kind")
        if count > matlab.MOST_VALUES or start + count * dtype.itemsize > len(content):
            raise matlab.MatlabError("a matrix larger than the file")
        values = np.frombuffer(content, dtype, count, start).reshape(rows, columns, order="F")
        name = content[offset + START : start].split(b"\0")[0].decode("ascii", errors="replace")
        words = "".join(map(chr, values[:1].ravel().astype(int) % 0x110000)) if form else values
        held[name] = words
        offset = start + count * dtype.itemsize
    return held
