"""Which text stands for each record: its report as written, or sentences from its codes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kmerl.files import read_yaml
from kmerl.knowledge.statements import ReportsParams, clean, split, why_dropped
from kmerl.params import checked

COLUMNS = ("record", "patient", "split", "report", "codes")
"""Of a store: what `gather` reads."""


@checked
class TextParams:
    """The `text` section of params.yaml."""

    source: Literal["report", "scp"]


@dataclass(frozen=True)
class Corpus:
    """The reports that are mined, the distinct statements they consist of, and what was dropped."""

    reports: pa.Table  # record, patient, split, text, codes, statements: list<int32>; by record
    statements: pa.Table  # statement int32, text, records int64; sorted by text
    dropped: tuple[tuple[str, str], ...]  # (record, reason), sorted

    def counts(self) -> dict[str, object]:
        """Records, kept reports, distinct reports and statements, and drops by reason."""
        reasons = Counter(reason for _, reason in self.dropped)
        return {
            "records": self.reports.num_rows + len(self.dropped),
            "reports": self.reports.num_rows,
            "distinct_reports": pc.count_distinct(self.reports["text"]).as_py(),
            "statements": self.statements.num_rows,
            "dropped": dict(sorted(reasons.items())),
        }


def gather(store: pa.Table, source: str, settings: ReportsParams) -> Corpus:
    """Reports and distinct statements from the `COLUMNS` of a store.

    Where `settings.unit` is "report", a report is one statement: its whole cleaned text. Codes are
    kept where they can judge the text, that is, where the text was not written from them.

    Raises:
        ValueError: no report is left, or `source` is scp and a code has no sentence.
    """
    table = store.sort_by("record").combine_chunks()
    given, report = _distinct(table["codes" if source == "scp" else "report"])
    if source == "scp":
        given = [from_codes(codes) for codes in given]
    reasons = [why_dropped(texts, settings.min_words) for texts in given]
    is_kept = np.array([why is None for why in reasons], bool)[report]
    kept, report_of = table.filter(pa.array(is_kept)), pa.array(report[is_kept])
    if not len(kept):
        raise ValueError(
            f"none of {len(table)} records has a report of {settings.min_words} words or more; "
            "see reports.min_words, text.source and pretrain.corpus"
        )
    # what is dropped stands in no record, so it is neither cut nor counted
    texts = [clean(t) if why is None else "" for t, why in zip(given, reasons, strict=True)]
    whole = settings.unit == "report"
    cut = [
        [] if why is not None else [text] if whole else split(lines)
        for lines, text, why in zip(given, texts, reasons, strict=True)
    ]
    carried = Counter[str]()
    for statements, records in zip(cut, np.bincount(report, minlength=len(cut)), strict=True):
        carried.update(dict.fromkeys(statements, int(records)))
    number = {statement: place for place, statement in enumerate(sorted(carried))}
    numbered = [[number[statement] for statement in statements] for statements in cut]
    lists = pa.list_(pa.string())
    unjudged = pa.array([[]], lists).take(pa.array(np.zeros(len(kept), int)))
    reports = pa.table(
        {
            **{name: kept[name] for name in ("record", "patient", "split")},
            "text": pa.array(texts, pa.string()).take(report_of),
            "codes": kept["codes"].cast(lists) if source == "report" else unjudged,
            "statements": pa.array(numbered, pa.list_(pa.int32())).take(report_of),
        }
    )
    dropped = [
        (record, why)
        for record, one in zip(table["record"].to_pylist(), report.tolist(), strict=True)
        if (why := reasons[one]) is not None
    ]
    return Corpus(reports.combine_chunks(), _statements(carried), tuple(dropped))


def _distinct(column: pa.ChunkedArray) -> tuple[list[list[str]], np.ndarray]:
    """The lists of a column, each once in the order of the rows, and which one each row has: of
    800,035 reports a fifth."""
    words = column.combine_chunks().flatten().dictionary_encode()
    codes, known = words.indices.to_numpy(), words.dictionary.to_pylist()
    ends = np.cumsum(pc.list_value_length(column).to_numpy(), dtype=np.int64).tolist()
    place: dict[bytes, int] = {}
    rows = [
        place.setdefault(codes[start:end].tobytes(), len(place))
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    lists = [[known[code] for code in np.frombuffer(key, codes.dtype)] for key in place]
    return lists, np.array(rows, np.int64)


def from_codes(codes: Sequence[str]) -> list[str]:
    """One sentence a code, in the order of the codes (PTB-XL's scp codes only).

    Raises:
        ValueError: a code that sentences.yaml does not have.
    """
    sentences = scp_sentences()
    unknown = sorted(set(codes) - set(sentences))
    if unknown:
        raise ValueError(
            f"text.source is scp, but {unknown[0]!r} is no scp code; "
            "set pretrain.corpus to ptb-xl or text.source to report"
        )
    return [sentences[code] for code in codes]


@lru_cache(maxsize=1)
def scp_sentences() -> Mapping[str, str]:
    """The packaged sentence of each of the 71 scp codes."""
    path = resources.files("kmerl.knowledge.lexicon") / "sentences.yaml"
    sentences: dict[str, str] = read_yaml(path)
    return sentences


def _statements(carried: Mapping[str, int]) -> pa.Table:
    texts = sorted(carried)
    return pa.table(
        {
            "statement": pa.array(range(len(texts)), pa.int32()),
            "text": pa.array(texts, pa.string()),
            "records": pa.array([carried[text] for text in texts], pa.int64()),
        }
    )
