"""Which text stands for each record: its report as written, or sentences from its codes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import pyarrow as pa

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
            "distinct_reports": len(set(self.reports["text"].to_pylist())),
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
    rows = sorted(store.to_pylist(), key=lambda row: str(row["record"]))
    given = [from_codes(row["codes"]) if source == "scp" else row["report"] for row in rows]
    reasons = [why_dropped(texts, settings.min_words) for texts in given]
    kept = [(r, t) for r, t, why in zip(rows, given, reasons, strict=True) if why is None]
    if not kept:
        raise ValueError(
            f"none of {len(rows)} records has a report of {settings.min_words} words or more; "
            "see reports.min_words, text.source and pretrain.corpus"
        )
    whole = settings.unit == "report"
    cut = [[clean(texts)] if whole else split(texts) for _, texts in kept]
    carried = Counter(statement for statements in cut for statement in set(statements))
    number = {statement: place for place, statement in enumerate(sorted(carried))}
    reports = pa.table(
        {
            **{name: [row[name] for row, _ in kept] for name in ("record", "patient", "split")},
            "text": [clean(texts) for _, texts in kept],
            "codes": pa.array(
                [row["codes"] if source == "report" else [] for row, _ in kept],
                pa.list_(pa.string()),
            ),
            "statements": pa.array(
                [[number[statement] for statement in statements] for statements in cut],
                pa.list_(pa.int32()),
            ),
        }
    )
    dropped = [
        (row["record"], why) for row, why in zip(rows, reasons, strict=True) if why is not None
    ]
    return Corpus(reports, _statements(carried), tuple(dropped))


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
