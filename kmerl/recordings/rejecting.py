"""Why one recording cannot be used, in one word for a table and in a detail for a person."""

from typing import Literal

Reason = Literal[
    "all_nan",
    "duplicate_id",
    "duplicate_lead",
    "empty_file",
    "flat",
    "implausible",
    "missing_file",
    "missing_header",
    "missing_lead",
    "missing_report",
    "nan_lead",
    "no_regular_file",
    "outside_root",
    "truncated",
    "unknown_fold",
    "unknown_unit",
    "unreadable_codes",
    "unreadable_file",
    "unreadable_header",
    "unreadable_record",
    "unreadable_row",
    "unreadable_signal",
    "unusable_name",
    "wrong_length",
    "wrong_rate",
]
"""Why a record is left out of the store: the `reason` column of rejected.csv."""


class RejectedRecord(Exception):  # noqa: N818 - a verdict on a record, no error of ours
    """One record cannot be used; the rest go on. Never carries report text or absolute paths."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail
