"""SCP-ECG (EN 1064, ISO 11073-91064): the rhythm of section 6, raw or Huffman-coded.

A reader of our own, since no kept library in Python reads the format. It reads lossless files:
samples, first or second differences, the default Huffman table or the file's own. Reference beats
that are to be added and bimodal compression, which the standard's third edition gave up, are
refused by name.
"""

import struct
from datetime import datetime

import numpy as np

from kmerl.recordings import names
from kmerl.recordings.recording import Channel, Contents, Person, RecordError, Told, age_of
from kmerl.recordings.samples import MOST_VALUES

HEADER, POINTER = 16, 10  # bytes before a section's data, and of each pointer in section 0
FIRST = 6  # bytes before section 0: a checksum and the file's length
DEFAULT = 19999  # in place of the number of Huffman tables: the standard's own
END = 255  # the tag that ends section 1
YEARS = {1: 1.0, 2: 12.0, 3: 52.18, 4: 365.25, 5: 8766.0}  # of an age's units in a year
Code = tuple[int, int, int]  # bits behind the prefix, value, switch to a table (0 for none)
Table = dict[tuple[int, int], Code]  # by length and value of the prefix
Found = tuple[int, int, int, int] | None  # length of the prefix, and the code
WIDTH = 12  # bits of a prefix that is looked up at once; longer ones are rare


def read(content: bytes, told: Told) -> Contents:
    """The leads of the rhythm, in their order.

    Raises:
        RecordError: a section is missing or leaves the file, or the compression is lossy.
    """
    sections = _sections(content)
    for number, what in ((3, "lead definitions"), (6, "rhythm data")):
        if number not in sections:
            raise RecordError(f"it has no section {number} ({what})")
    leads, spans, subtracted = _leads(sections[3])
    rhythm = sections[6]
    step, interval, differences, bimodal = struct.unpack_from("<HHBB", rhythm)
    if subtracted or bimodal:
        how = "bimodal compression" if bimodal else "reference beats subtracted"
        raise RecordError(f"its rhythm has {how}, which is not read; export it without")
    if not step or not interval or differences > 2:
        raise RecordError("its rhythm data have no step, no interval, or unknown differences")
    if sum(spans) > MOST_VALUES or min(spans) < 1:
        raise RecordError(f"{sum(spans)} samples; 1 to {MOST_VALUES} are read")
    tables = _tables(sections[2]) if 2 in sections else []
    lengths = struct.unpack_from(f"<{len(leads)}H", rhythm, 6)
    channels, offset = [], 6 + 2 * len(leads)
    for lead, span, length in zip(leads, spans, lengths, strict=True):
        part = rhythm[offset : offset + length]
        offset += length
        values = _huffman(part, tables, span) if tables else _raw(part)
        if len(part) < length or len(values) < span:
            raise RecordError(f"lead {lead} is cut: {len(values)} of {span} samples")
        summed = _summed(values[:span], differences)
        channels.append(Channel(lead, summed, "nV", 1e6 / interval, float(step)))
    date, person = _about(sections.get(1, b""))
    left_out = {}
    if 5 in sections and len(sections[5]) > 6:
        left_out["reference beat"] = "computed by the device"
    return Contents(tuple(channels), left_out=left_out, date=date, person=person)


def _sections(content: bytes) -> dict[int, bytes]:
    """The data of the sections that section 0 points at."""
    if len(content) < FIRST + HEADER:
        raise RecordError("it is cut within its first section")
    length = struct.unpack_from("<I", content, FIRST + 4)[0]
    if not HEADER <= length <= len(content) - FIRST:
        raise RecordError(f"section 0 says {length} bytes; the file has {len(content)}")
    found = {}
    for start in range(FIRST + HEADER, FIRST + length - POINTER + 1, POINTER):
        number, size, place = struct.unpack_from("<HII", content, start)
        if not size or number == 0:
            continue
        if size < HEADER or place < 1 or place - 1 + size > len(content):
            raise RecordError(f"section {number} is not within the file; it is cut")
        found[number] = content[place - 1 + HEADER : place - 1 + size]
    return found


def _leads(section: bytes) -> tuple[list[str], list[int], bool]:
    """Names and samples of the leads, and whether reference beats were subtracted."""
    count, flags = section[0], section[1]
    if not count or len(section) < 2 + 9 * count:
        raise RecordError(f"section 3 describes {count} leads in {len(section)} bytes")
    leads, spans = [], []
    for row in range(count):
        first, last, number = struct.unpack_from("<IIB", section, 2 + 9 * row)
        leads.append(names.NUMBERED.get(number, f"lead {number} of SCP-ECG"))
        spans.append(last - first + 1)
    return leads, spans, bool(flags & 1)


def _raw(part: bytes) -> np.ndarray:
    return np.frombuffer(part[: len(part) // 2 * 2], "<i2").astype(np.int64)


def _summed(values: np.ndarray, differences: int) -> np.ndarray:
    """Samples from differences of this order; the first ones are stored as they are."""
    if differences == 0 or len(values) <= differences:
        return values
    if differences == 1:
        return np.cumsum(values)
    slopes = values[1] - values[0] + np.concatenate([[0], np.cumsum(values[2:])])
    return np.concatenate([values[:1], values[0] + np.cumsum(slopes)])


def _default() -> Table:
    """Prefixes of the standard: zeros are one bit, -8 to 8 up to ten, others follow their
    prefix."""
    table: Table = {(1, 0): (0, 0, 0)}
    for size in range(1, 9):
        ones = 2**size - 1
        table[(size + 2, ones << 2)] = (0, size, 0)
        table[(size + 2, ones << 2 | 1)] = (0, -size, 0)
    return table | {(10, 0b1111111110): (8, 0, 0), (10, 0b1111111111): (16, 0, 0)}


def _tables(section: bytes) -> list[Table]:
    """The Huffman tables of section 2; the standard's own where it says so."""
    (count,) = struct.unpack_from("<H", section)
    if count == DEFAULT:
        return [_default()]
    tables, offset = [], 2
    for _ in range(count):
        (codes,) = struct.unpack_from("<H", section, offset)
        offset += 2
        table: Table = {}
        for _ in range(codes):
            prefix, total, mode, base, code = struct.unpack_from("<BBBhI", section, offset)
            offset += 9
            if not 0 < prefix <= 32 or not prefix <= total <= prefix + 32:
                raise RecordError("a Huffman code of a length that can be none")
            turned = int(f"{code & (2**prefix - 1):0{prefix}b}"[::-1], 2)  # first bit lowest
            switch = 0 if mode else base
            table[(prefix, turned)] = (total - prefix, base, switch)
        tables.append(table)
    if not tables:
        raise RecordError("section 2 has no Huffman table")
    return tables


def _huffman(part: bytes, tables: list[Table], most: int) -> np.ndarray:
    """At most so many values."""
    part = part[: 8 * (most + 1)]  # a value has 64 bits at most
    end = 8 * len(part)
    words = _words(part).data
    lookups = [_lookup(table) for table in tables]
    values: list[int] = []
    (width, lookup), table, place = lookups[0], tables[0], 0
    while len(values) < most and place < end:
        word = words[place]
        found = lookup[word >> (32 - width)] or _longer(word, table, width)
        if found is None and end - place > 32:
            raise RecordError("bits that are no code of the Huffman table")
        if found is None or place + found[0] > end:
            break
        length, behind, value, switch = found
        place += length
        if switch:
            if not 0 < switch <= len(tables):
                raise RecordError(f"a Huffman code switches to table {switch}, of {len(tables)}")
            (width, lookup), table = lookups[switch - 1], tables[switch - 1]
            continue
        if behind:
            value = words[place] >> (32 - behind)
            value -= value >> (behind - 1) << behind  # its first bit is its sign
            place += behind
        values.append(value)
    return np.array(values, np.int64)


def _words(part: bytes) -> np.ndarray:
    """Of each bit, itself and the 31 behind it as a number; zeros follow the last."""
    padded = np.frombuffer(part + bytes(8), np.uint8).astype(np.uint64)
    count = len(part) + 4
    shifted = [padded[k : k + count] << np.uint64(8 * (4 - k)) for k in range(5)]
    five = np.bitwise_or.reduce(shifted)
    words = five[:, None] >> np.arange(8, 0, -1, dtype=np.uint64)
    return words.astype(np.uint32).ravel()


def _lookup(table: Table) -> tuple[int, list[Found]]:
    """A table's codes by so many bits, as far as they are not longer."""
    width = min(max((length for length, _ in table), default=1), WIDTH)
    found: list[Found] = [None] * 2**width
    for (length, prefix), code in sorted(table.items(), reverse=True):  # the shortest counts
        if length <= width:
            several = 2 ** (width - length)
            found[prefix * several : (prefix + 1) * several] = [(length, *code)] * several
    return width, found


def _longer(word: int, table: Table, width: int) -> Found:
    for length in range(width + 1, 33):
        if (code := table.get((length, word >> (32 - length)))) is not None:
            return length, *code
    return None


def _about(section: bytes) -> tuple[datetime | None, Person]:
    """Date, id, age and sex; the other tags, names among them, are passed over."""
    tags: dict[int, bytes] = {}
    offset = 0
    while offset + 3 <= len(section) and section[offset] != END:
        tag, length = struct.unpack_from("<BH", section, offset)
        tags.setdefault(tag, section[offset + 3 : offset + 3 + length])
        offset += 3 + length
    date = _date(tags.get(25, b""), tags.get(26, b""))
    age = None
    if len(tags.get(4, b"")) >= 3:
        value, unit = struct.unpack_from("<HB", tags[4])
        age = value / YEARS[unit] if unit in YEARS else None
    if age is None:
        age = age_of(_date(tags.get(5, b""), b""), date)
    sex = {1: "male", 2: "female"}.get(tags.get(8, b"\0")[0] if tags.get(8) else 0, "")
    identity = tags.get(2, b"").split(b"\0")[0].decode("utf-8", errors="replace")
    return date, Person(identity, age, sex)


def _date(day: bytes, time: bytes) -> datetime | None:
    try:
        return datetime(*struct.unpack("<HBB", day), *time[:3])
    except (struct.error, ValueError, TypeError):
        return None
