"""Philips Sierra XML, 1.03 and 1.04: plain, base64 or XLI-compressed waveforms.

XLI holds each lead as LZW codes of 10 bits, which give the high bytes of second differences and
then the low ones. Of the limb leads III, aVR, aVL and aVF it stores what the others do not say.
"""

from typing import Any

import numpy as np

from kmerl.recordings import names, xml_trees
from kmerl.recordings.recording import Channel, Contents, Person, RecordError, Told, sex_of, when
from kmerl.recordings.samples import MOST_VALUES

VERSIONS = ("1.03", "1.04", "1.04.01", "1.04.02")
STANDARD = ("STD-12", "10-WIRE")
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
BITS, START = 10, 256  # of an LZW code, and the first code that stands for several bytes
BIAS = 64  # added to each second difference


def read(content: bytes, told: Told) -> Contents:
    """The leads of the parsed waveforms; representative beats are left out by name.

    Raises:
        RecordError: another version, encoding or compression, or a lead that is cut.
    """
    root = xml_trees.parse(content)
    version = xml_trees.text(root, "documentinfo/documentversion")
    if version not in VERSIONS:
        raise RecordError(f"version {version!r} is not read; {', '.join(VERSIONS)} are")
    about = root.find("dataacquisition/signalcharacteristics")
    waves = next(root.iter("parsedwaveforms"), None)
    if waves is None or about is None:
        raise RecordError("it has no parsed waveforms")
    labels = _labels(waves, about)
    rate = xml_trees.number(about, "samplingrate", "sampling rate")
    step = xml_trees.text(about, "resolution") or xml_trees.text(about, "signalresolution")
    leads = _samples(waves, labels, rate)
    gain = xml_trees.as_number(step, "resolution in microvolts") if step else 1.0
    beats = [str(one.get("leadname", "")) for one in root.iter("repbeat")]
    left_out: dict[str, str] = {}
    if beats:
        names.add(left_out, f"repbeats ({', '.join(beats)})", 0, "computed by the device")
    channels = tuple(
        Channel(label, values, "uV" if step else "", rate, gain)
        for label, values in zip(labels, leads, strict=False)
    )
    where = root.find("dataacquisition")
    date = when(f"{where.get('date', '')} {where.get('time', '')}", "%Y-%m-%d %H:%M:%S")
    return Contents(channels, left_out=left_out, date=date, person=_person(root))


def _labels(waves: Any, about: Any) -> list[str]:
    if said := str(waves.get("leadlabels", "")).split():
        return said[: int(waves.get("numberofleads", len(said)))]
    count = int(xml_trees.number(about, "numberchannelsallocated", "number of channels"))
    standard = xml_trees.text(about, "acquisitiontype") in STANDARD
    known = LEADS if standard else ()
    return [known[k] if k < len(known) else f"Channel {k + 1}" for k in range(min(count, 64))]


def _samples(waves: Any, labels: list[str], rate: float) -> list[np.ndarray]:
    words, encoding = "".join(waves.itertext()), str(waves.get("dataencoding", ""))
    said = xml_trees.as_number(waves.get("durationperchannel", "0"), "duration a channel")
    count = round(said * rate / 1000)
    how = str(waves.get("compressmethod") or waves.get("compression") or "Uncompressed")
    if str(waves.get("compressflag", "True")).lower() == "false":
        how = "Uncompressed"
    if encoding == "Plain":
        try:
            flat = np.array(words.split(), np.float64)
        except ValueError:
            raise RecordError("its waveforms are no numbers") from None
    elif encoding != "Base64":
        raise RecordError(f"waveforms encoded as {encoding!r} are not read")
    elif how == "XLI":
        return _limbs(labels, _xli(xml_trees.from_base64(words, "XLI"), len(labels), count))
    elif how != "Uncompressed":
        raise RecordError(f"waveforms compressed by {how!r} are not read")
    else:
        flat = xml_trees.int16(words, "its leads")
    count = count or len(flat) // max(len(labels), 1)
    if count < 1 or len(flat) < count * len(labels):
        raise RecordError(f"{len(flat)} samples, of {count} in {len(labels)} leads")
    return list(flat[: count * len(labels)].reshape(len(labels), count))


def _xli(data: bytes, leads: int, count: int) -> list[np.ndarray]:
    """The leads of XLI-compressed chunks: int16 each; what is behind `count` is a device's mark."""
    found: list[np.ndarray] = []
    offset = 0
    while len(found) < leads:
        size = int.from_bytes(data[offset : offset + 4], "little", signed=True)
        first = int.from_bytes(data[offset + 6 : offset + 8], "little", signed=True)
        chunk = data[offset + 8 : offset + 8 + size]
        if size < 1 or len(chunk) < size:
            raise RecordError(f"XLI is cut: {len(found)} of {leads} leads are whole")
        found.append(_undone(_lzw(chunk, 2 * MOST_VALUES // max(leads, 1)), first))
        offset += 8 + size
    short = min(map(len, found), default=0)
    if short < count:
        raise RecordError(f"a lead has {short} samples, the file says {count}")
    return [values[: count or short] for values in found]


def _lzw(data: bytes, most: int) -> bytes:
    """The bytes of LZW codes of `BITS` bits, the most significant first."""
    table = [bytes([value]) for value in range(START)]
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    rows = bits[: len(bits) // BITS * BITS].reshape(-1, BITS)
    out, length, before = [], 0, b""
    for code in (rows @ (1 << np.arange(BITS)[::-1])).tolist():
        if code > 2**BITS - 2:  # the end
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            raise RecordError("XLI is damaged: a code that is not yet known")
        if before and len(table) < 2**BITS - 1:
            table.append(before + entry[:1])
        out.append(entry)
        before, length = entry, length + len(entry)
        if length > most:
            raise RecordError(f"XLI of more than {most} bytes a lead")
    return b"".join(out)


def _undone(data: bytes, first: int) -> np.ndarray:
    """Samples from second differences, which stand one place behind what they change."""
    half = (len(data) + 1) // 2
    raw = np.frombuffer(data.ljust(2 * half, b"\0"), np.uint8).astype(np.int64)
    stored = ((raw[:half] << 8 | raw[half:]) + 2**15) % 2**16 - 2**15
    if len(stored) < 3:
        return stored.astype(np.int16)
    bends = -np.concatenate([[first], stored[2:-1] - BIAS])
    slope = stored[1] - stored[0] + np.cumsum(bends)
    values = np.concatenate([stored[:2], stored[1] + np.cumsum(slope)])
    return values.astype(np.int16)  # as the device counts: modulo 2 ** 16


def _limbs(labels: list[str], leads: list[np.ndarray]) -> list[np.ndarray]:
    """The leads with III, aVR, aVL and aVF as they are, where I and II are there."""
    held = {label: values.astype(np.int64) for label, values in zip(labels, leads, strict=True)}
    if "I" in held and "II" in held:
        one, two = held["I"], held["II"]
        if "III" in held:
            held["III"] = two - one - held["III"]
        three = held.get("III", two - one)
        rest = {"aVR": -((one + two) // 2), "aVL": (one - three) // 2, "aVF": (two + three) // 2}
        for lead, expected in rest.items():
            if lead in held:
                held[lead] = expected - held[lead]
    return [held[label] for label in labels]


def _person(root: Any) -> Person:
    about = root.find("patient/generalpatientdata")
    years = xml_trees.text(about, "age/years")
    return Person(
        xml_trees.text(about, "patientid"),
        float(years) if years.isdigit() else None,
        sex_of(xml_trees.text(about, "sex")),
    )
