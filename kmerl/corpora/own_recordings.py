"""A recording of one's own, in any format that is read, as the twelve leads of the store."""

from pathlib import Path

import numpy as np

from kmerl.corpora.own_table import read_told
from kmerl.corpora.records import Entry, inside
from kmerl.leads import LEADS
from kmerl.recordings import RecordError
from kmerl.recordings.headers import read_header
from kmerl.recordings.rejecting import RejectedRecord
from kmerl.recordings.wfdb_files import Channels, read_recording


def read_any(root: Path, entry: Entry) -> Channels:
    """A WFDB record with the twelve leads by their names as every corpus's is read; any other with
    the leads that its table's row names, and those that follow from two limb leads.

    Raises:
        RejectedRecord: it cannot be read, leaves `root`, or a lead is missing.
    """
    path = inside(root, entry.path)
    header_path = inside(root, f"{entry.path.removesuffix('.hea')}.hea")
    if header_path.is_file():
        header = read_header(header_path)
        for file in {line.file for line in header.signals}:
            inside(root, str(header_path.relative_to(root).parent / file))
        if not entry.told:
            try:
                return read_recording(header_path, header)
            except RejectedRecord as why:
                if why.reason != "missing_lead":
                    raise
    try:
        found = read_told(path, entry.told)
    except RecordError as error:
        told = str(error).replace(f"{root}/", "")
        raise RejectedRecord("unreadable_signal", told) from None
    if missing := [lead for lead in LEADS if lead not in found.leads]:
        raise RejectedRecord("missing_lead", " ".join(missing))
    saturated = int("saturated" in found.doubts)
    doubts = {fact: told for fact, told in found.doubts.items() if fact != "saturated"}
    signal = np.stack([found.leads[lead] for lead in LEADS])
    return Channels(LEADS, signal, found.rate, saturated, tuple(found.left_out), doubts)
