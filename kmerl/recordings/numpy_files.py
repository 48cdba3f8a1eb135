"""NumPy's .npy and .npz. Arrays of numbers and of words alone: nothing is unpickled."""

import io
import math
import zipfile
from typing import IO

import numpy as np

from kmerl.recordings import arrays
from kmerl.recordings.recording import Contents, RecordError, Told
from kmerl.recordings.samples import MOST_VALUES

MOST_MEMBERS = 100
MOST_HEADER = 10_000  # bytes


def read(content: bytes, told: Told) -> Contents:
    """
    Raises:
        RecordError: an array of objects, one larger than its bytes, or no signal among several.
    """
    if not content.startswith(b"PK"):
        return arrays.contents(
            {"signal": _array("its array", io.BytesIO(content), len(content))}, told
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        raise RecordError("it is no .npz: its archive is damaged") from None
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or sum(one.file_size for one in members) > 8 * MOST_VALUES:
        raise RecordError(f"{len(members)} arrays of more bytes than are read")
    if not all(one.filename.endswith(".npy") for one in members):
        raise RecordError("it is a zip archive and no .npz; unpack it first")
    held: dict[str, arrays.Value] = {}
    for one in members:
        with archive.open(one) as file:
            name = one.filename.removesuffix(".npy")
            held[name] = _array(name, file, one.file_size)
    return arrays.contents(held, told)


def _array(name: str, file: IO[bytes], size: int) -> np.ndarray:
    """An array of `size` bytes, its header with them: nothing is allocated that is not there."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, MOST_HEADER)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file, MOST_HEADER)
    else:
        raise RecordError(f"{name}: .npy of version {version} is not read")
    if dtype.hasobject or dtype.kind not in "iufbUS":
        raise RecordError(f"{name} holds {dtype}, neither numbers nor words; it is not unpickled")
    count = math.prod(shape)
    if not 0 <= count <= MOST_VALUES or count * dtype.itemsize > size:
        raise RecordError(f"{name} says {shape} of {dtype}, which is more than its {size} bytes")
    flat = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return flat.reshape(shape, order="F" if fortran else "C")
