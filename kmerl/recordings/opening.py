"""One's own recordings: which format a file has, by its content, and the reader of it.

Each format is a module of this room with a function `read`: bytes and what a person says in,
`Contents` out. A format that Holters have has `read_long` too, by which the samples of a long file
are read where they are sliced (`kmerl.recordings.long`). What is read is bounded before it is held,
and nothing in a file is ever executed, fetched or unpickled.
"""

import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kmerl.leads import NAMED_SETS
from kmerl.recordings import long, names
from kmerl.recordings.assembling import assemble
from kmerl.recordings.recording import EXTRA, Contents, RecordError, Recording, Told

MOST_BYTES = 2**28  # of a file that is read whole; what is read part by part has another bound
HEAD = 4096  # bytes by which a format is known
WFDB = (".hea", ".dat", ".mat")


@dataclass(frozen=True)
class Kind:
    """A format: its reader's module, title, the suffixes that its files usually have, and the
    libraries of `kmerl[formats]` that it needs."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    libraries: tuple[str, ...] = ()


_KINDS = (
    Kind("wfdb_records", "WFDB", WFDB),
    Kind("edf", "EDF, EDF+, BDF", (".edf", ".bdf"), ("edfio",)),
    Kind("dicom", "DICOM waveform", (".dcm",), ("pydicom",)),
    Kind("aecg", "HL7 aECG", (".xml",), ("lxml",)),
    Kind("muse", "GE MUSE XML", (".xml",), ("lxml",)),
    Kind("sierra", "Philips Sierra XML", (".xml",), ("lxml",)),
    Kind("scp", "SCP-ECG", (".scp", ".ecg")),
    Kind("text_tables", "CSV", (".csv", ".tsv", ".txt")),
    Kind("mat_files", "MATLAB", (".mat",)),
    Kind("numpy_files", "NumPy", (".npy", ".npz")),
    Kind("parquet", "Parquet", (".parquet",)),
)
_BY_NAME = {kind.name: kind for kind in _KINDS}
_ROOTS = {"AnnotatedECG": "aecg", "RestingECG": "muse", "restingecgdata": "sierra"}
_MAGIC: tuple[tuple[int, bytes, str], ...] = (  # offset, bytes, kind
    (128, b"DICM", "dicom"),
    (0, b"0       ", "edf"),
    (0, b"\xffBIOSEMI", "edf"),
    (0, b"\x93NUMPY", "numpy_files"),
    (0, b"PK\x03\x04", "numpy_files"),
    (0, b"PAR1", "parquet"),
    (124, b"\x00\x01IM", "mat_files"),
    (16, b"SCPECG", "scp"),
)
_OTHERS: tuple[tuple[int, bytes, str], ...] = (  # what is known, and not read
    (0, b"%PDF", "a PDF: export the waveforms, a picture of an ECG is not read"),
    (0, b"\x89PNG", "a picture: export the waveforms"),
    (0, b"\xff\xd8\xff", "a picture: export the waveforms"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"\x89HDF", 'HDF5: write it with save -v7, or as .npz with "rate" and "leads"'),
    (0, b"MATLAB 7.3", "MATLAB 7.3: write it with save -v7"),
    (124, b"\x01\x00MI", "a big-endian MATLAB file: write it on another machine"),
    (0, b"ISHNE1.0", "ISHNE: convert it to WFDB or EDF"),
    (0, b"ALIVE\x00\x00\x00", "AliveCor's ATC: export CSV"),
    (0, b"\x80\x04\x95", "a pickle, which can execute what it likes: write .npz"),
)


def kinds() -> tuple[Kind, ...]:
    """The formats that are read."""
    return _KINDS


def read(
    path: Path | str,
    *,
    rate: float | None = None,
    unit: str | None = None,
    channels: Iterable[str] | str = (),
    leads: Mapping[str, str] | str | None = None,
    derive: bool = False,
) -> Recording:
    """A recording of any format that `kinds` lists, which is known by its content.

    Args:
        rate: samples a second, of a file that does not say it.
        unit: of a file that does not say it: mV, uV or V, or what a step is worth, "4.88uV".
        channels: names of the channels in their order, of a file that has none ("I,II", "limb").
        leads: which channel is which lead where their names do not say it: {"ECG1": "I"} or
            "ECG1=I,ECG2=II"; "-" leaves a channel out.
        derive: whether III, aVR, aVL and aVF are computed from two limb leads that are there.

    Raises:
        RecordError: no such file, a format that is not read, or a file that is damaged, names no
            lead, or leaves out what nobody says. The message says which, and what to do.
    """
    path = Path(path)
    told = Told(_rate(path, rate), unit or "", _channels(channels), _leads(leads), derive)
    found, kind = _found(path)
    source = str(found.with_suffix("") if kind.name == "wfdb_records" else found)
    try:
        module = import_module(f"kmerl.recordings.{kind.name}")
        if kind.name == "wfdb_records":
            recording: Recording = module.read(found, told)
            return recording
        contents = _contents(module, found, told)
    except RecordError as error:
        said = str(error)
        raise RecordError(said if said.startswith(str(path)) else f"{source}: {said}") from None
    except ImportError as error:
        if error.name and error.name.startswith("kmerl"):
            raise
        raise RecordError(f"{path}: reading {kind.title} needs {error.name}; {EXTRA}") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a malformed file makes a library raise
        if isinstance(error, OSError) and error.errno is not None:
            raise RecordError(f"{path}: {error.strerror}") from None
        name = type(error).__name__  # its words may quote the file
        raise RecordError(f"{path} is damaged, or no {kind.title} as it is read ({name})") from None
    return assemble(source, kind.title, contents, told)


def _contents(module: Any, path: Path, told: Told) -> Contents:
    """Of the whole file; of a long one of a format that can be read part by part, so."""
    size = path.stat().st_size
    if size > 2 * long.HELD and hasattr(module, "read_long"):
        read_long: Callable[[Path, Told], Contents] = module.read_long
        return read_long(path, told)
    reader: Callable[[bytes, Told], Contents] = module.read
    if size > MOST_BYTES:
        raise RecordError(f"{size} bytes; at most {MOST_BYTES} are read: cut out a part of it")
    return reader(path.read_bytes(), told)


def _found(path: Path) -> tuple[Path, Kind]:
    """The file that holds a recording, and its format.

    Raises:
        RecordError: there is none, or none that is read.
    """
    if not path.name:
        raise RecordError(f"{path} is a folder; give one file, or a WFDB record in it")
    header = path.with_suffix(".hea") if path.suffix.lower() in WFDB else None
    header = header or path.with_name(f"{path.name}.hea")
    if path.suffix.lower() == ".hea" or (header.is_file() and not _is_other(path)):
        if not header.is_file():
            raise RecordError(f"{header} does not exist; give the path of a WFDB record")
        return header, _BY_NAME["wfdb_records"]
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise RecordError(
            f"{path} does not exist, nor does {header.name}; give a file of a format that is "
            f"read, or a WFDB record: {', '.join(kind.title for kind in _KINDS)}"
        ) from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    if stat.S_ISDIR(mode):
        raise RecordError(f"{path} is a folder; give one file, or a WFDB record in it")
    if not stat.S_ISREG(mode):
        raise RecordError(f"{path} is no regular file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None
    return path, _kind_of(path, head)


def _is_other(path: Path) -> bool:
    """Whether a file with a header beside it is of another format that has no header."""
    return path.is_file() and path.suffix.lower() not in WFDB


def _kind_of(path: Path, head: bytes) -> Kind:
    if not head:
        raise RecordError(f"{path} is empty")
    for offset, magic, what in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            raise RecordError(f"{path} is {what}")
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return _BY_NAME[name]
    if _is_level4(head):
        return _BY_NAME["mat_files"]
    if _is_scp(head, path.stat().st_size):
        return _BY_NAME["scp"]
    text = _text(head)
    if text is None:
        if path.suffix.lower() == ".dat":
            raise RecordError(f"{path} needs its WFDB header, {path.stem}.hea, beside it")
        known = ", ".join(kind.title for kind in _KINDS)
        raise RecordError(f"{path} has a format that is not known; read are {known}")
    if text.lstrip().startswith("<"):
        return _xml(path, text)
    return _BY_NAME["text_tables"]


def _is_level4(head: bytes) -> bool:
    """MATLAB's older files begin with a number of the matrix's type below 100, a name behind."""
    kind, length = int.from_bytes(head[:4], "little"), int.from_bytes(head[16:20], "little")
    return kind in (0, 10, 20, 30, 40, 50) and 1 < length < 64 and head[19 + length] == 0


def _is_scp(head: bytes, size: int) -> bool:
    """SCP-ECG files of the first edition do not say so, but their length, then section 0."""
    return int.from_bytes(head[2:6], "little") == size and head[8:10] == b"\0\0"


def _text(head: bytes) -> str | None:
    """The head as text; None where it is none."""
    for mark, code in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head[: len(head) // 2 * 2].decode(code, errors="ignore")
    odd = sum(byte < 9 or 13 < byte < 32 for byte in head)
    return None if odd else head.decode("utf-8-sig", errors="replace")


def _xml(path: Path, text: str) -> Kind:
    """The kind of an XML file, by its first element."""
    body = re.sub(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(\[.*?\]\s*)?>", "", text, flags=re.S)
    match = re.match(r"\s*<(?:[\w.-]+:)?([\w.-]+)", body)
    if match and match[1] in _ROOTS:
        return _BY_NAME[_ROOTS[match[1]]]
    shown = match[1] if match else "nothing"
    raise RecordError(
        f"{path} is XML of <{shown}>; read are {', '.join(map('<{}>'.format, _ROOTS))}"
    )


def _rate(path: Path, rate: float | None) -> float:
    if rate is None:
        return 0.0
    if not 0 < rate < float("inf"):
        raise RecordError(f"{path}: a rate of {rate:g} Hz is none; give samples a second")
    return rate


def _channels(text: Iterable[str] | str) -> tuple[str, ...]:
    if isinstance(text, str):
        return NAMED_SETS.get(text) or tuple(name.strip() for name in text.split(","))
    return tuple(text)


def _leads(told: Mapping[str, str] | str | None) -> Mapping[str, str]:
    return names.parse_map(told) if isinstance(told, str) else told or {}
