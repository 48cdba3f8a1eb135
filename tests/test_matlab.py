"""The reader of MATLAB level 5 files against scipy's, and on what scipy's does not survive."""

import struct
import time
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from kmerl.recordings import matlab
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.struct_files import read_struct
from tests.official_layouts import signal

TAG = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
TYPES = ("float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def data_of(content: bytes) -> np.ndarray:
    for variable in matlab.variables(content):
        if variable.name == "ECG" and (data := matlab.field(variable, "data")):
            return matlab.numbers(data)
    raise matlab.MatlabError("no ECG.data")


def saved(path, values, compressed=True, **others) -> bytes:
    held = {"sex": "Male", "age": 74.0, "data": values} | others
    savemat(path, {"x": 1.0, "ECG": held, "y": np.ones(3)}, do_compression=compressed)
    return path.read_bytes()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [*TYPES, "uint64", "bool"])
def test_the_same_numbers_as_scipy(tmp_path, kind, compressed):
    for values in (signal(1, 700) % 100, np.ones((1, 1)), np.ones((1, 3)), np.ones((12, 0))):
        path = tmp_path / "a.mat"
        content = saved(path, values.astype(kind), compressed, extra=np.zeros((2, 2)))
        wanted = loadmat(path)["ECG"]["data"][0, 0]
        got = data_of(content)
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, wanted)


def element(kind: int, data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(data) if size is None else size) + data


def bomb(megabytes: int) -> bytes:
    return element(15, zlib.compress(bytes(megabytes * 2**20), 1))


BAD = {  # the bytes after the tag, and what is said of them
    "a tag alone": (element(14, b"", 2**31), "an element of"),
    "a bomb": (bomb(40), "more than"),
    "many small bombs": (b"".join(bomb(2) for _ in range(60)), "a variable of type 0"),
    "two compressions": (element(15, zlib.compress(bomb(1))), "a variable of type 15"),
    "damaged compression": (element(15, b"nothing of zlib"), "damaged compression"),
    "cut compression": (element(15, zlib.compress(bytes(100))[:9]), "cut"),
    "no matrix": (element(9, bytes(8)), "a variable of type 9"),
    "matrix in name": (element(14, element(14, bytes(8))), "without its flags"),
    "small above four bytes": (struct.pack("<HHI", 1, 60000, 0), "above four bytes"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_what_lies_about_its_size_is_refused_at_once(tmp_path, content, said):
    path = tmp_path / "a.mat"
    path.write_bytes(TAG + content)
    start = time.process_time()
    with pytest.raises(RejectedRecord, match=f"unreadable_signal.*{said}"):
        read_struct(path)
    assert time.process_time() - start < 2


def test_dimensions_and_values_must_agree(tmp_path):
    content = saved(tmp_path / "a.mat", signal(1, 700) / 7, compressed=False)
    sizes = struct.pack("<ii", 12, 700)
    for other in ((12, 701), (12, 2**31 - 1), (12, -700), (2**30, 2**30)):
        with pytest.raises(matlab.MatlabError, match=r"room for|negative"):
            data_of(content.replace(sizes, struct.pack("<ii", *other)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    compressed = data.draw(st.booleans())
    content = bytearray(saved(path, signal(1, 20) / 7, compressed))
    for _ in range(data.draw(st.integers(1, 6))):
        where = data.draw(st.integers(124, len(content) - 1))
        content[where] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(100, len(content)))]
    with suppress(matlab.MatlabError):
        data_of(bytes(content))
