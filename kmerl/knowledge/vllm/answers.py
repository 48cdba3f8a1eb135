"""Answers kept on disk by what was asked, so that no question is asked twice.

`answers.jsonl` is sorted by key and written whole; `journal.jsonl` takes each new answer as it
comes and is folded into it at the end. A kill loses at most the line that was being written. Texts
are not stored, only the hash of the whole question.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from kmerl import files
from kmerl.knowledge.backend import MiningError
from kmerl.knowledge.vllm.replies import Reply

CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
LINE = json.JSONEncoder(ensure_ascii=False)


class Answers:
    """The answers of one stage; `path` is a directory."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.whole, self.journal = path / "answers.jsonl", path / "journal.jsonl"
        self.known: dict[str, Reply] = {}
        for file in (self.whole, self.journal):
            self._load(file)
        self.file = self.journal.open("a", encoding="utf-8")

    def get(self, key: str) -> Reply | None:
        return self.known.get(key)

    def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; it is on its way to the disk when this returns."""
        self.known[key] = reply
        self.file.write(_line(key, reply))
        self.file.flush()

    def close(self) -> None:
        """Fold the journal into answers.jsonl: the same bytes whatever the order of arrival."""
        self.file.close()
        with files.atomic(self.whole) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(_line(key, self.known[key]) for key in sorted(self.known))
        self.journal.unlink()

    def _load(self, path: Path) -> None:
        """Read a file; a last line without its end is what a kill left, and is cut off.

        Raises:
            MiningError: another line is no answer.
        """
        if not path.exists():
            return
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            with path.open("r+b") as file:
                file.truncate(end)
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                row = json.loads(line)
                name = row.pop("key")
                self.known[name] = Reply(**row)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                raise MiningError(f"{path}, line {number} is no answer; remove that line") from None


def key(asked: dict[str, Any]) -> str:
    """SHA-256 of everything that decides an answer: model, revision, prompt, sampling, text."""
    return hashlib.sha256(CANONICAL.encode(asked).encode()).hexdigest()


def _line(key: str, reply: Reply) -> str:
    return LINE.encode({"key": key, **vars(reply)}) + "\n"
