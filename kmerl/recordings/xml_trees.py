"""XML as a tree, whatever its namespace; no entity is expanded and nothing is fetched."""

import base64
import binascii
from typing import Any

import numpy as np

from kmerl.recordings.recording import RecordError

MOST_BYTES = 2**26  # of an XML file: an hour of twelve leads in digits


def parse(content: bytes) -> Any:
    """The root of a document. Element names lose their namespace.

    Raises:
        RecordError: it is no well-formed XML, declares entities, or is too large.
    """
    from lxml import etree

    if len(content) > MOST_BYTES:
        raise RecordError(f"{len(content)} bytes of XML; at most {MOST_BYTES} are read")
    safe = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, safe)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise RecordError(f"line {line}: it is no well-formed XML, or cut") from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise RecordError("it declares entities, which no ECG needs and which are not expanded")
    for element in root.iter():
        element.tag = etree.QName(element).localname
    return root


def text(element: Any, path: str) -> str:
    """The words at a path below an element; empty where it has none."""
    found = None if element is None else element.findtext(path)
    return (found or "").strip()


def number(element: Any, path: str, what: str) -> float:
    """
    Raises:
        RecordError: there is none at this path.
    """
    return as_number(text(element, path), what)


def as_number(words: str | None, what: str) -> float:
    try:
        return float(words or "")
    except ValueError:
        raise RecordError(f"its {what} is no number") from None


def int16(words: str, what: str) -> np.ndarray:
    """Little-endian int16 samples in base64.

    Raises:
        RecordError: it is no base64, or half a sample.
    """
    data = from_base64(words, what)
    if len(data) % 2:
        raise RecordError(f"{what}: its waveform ends within a sample")
    return np.frombuffer(data, "<i2")


def from_base64(words: str, what: str) -> bytes:
    """
    Raises:
        RecordError: it is no base64.
    """
    try:
        return base64.b64decode("".join(words.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RecordError(f"{what}: its waveform is no base64") from None
