"""What the page of `kmerl app` does with an upload: read, ask, explain. No page here."""

import html
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kmerl import recordings
from kmerl.leads import in_standard_order
from kmerl.predict import asking, drawing, preparing, printing
from kmerl.predict.explanation import WAYS, How
from kmerl.predict.model import Model
from kmerl.recordings import RecordError, Recording
from kmerl.report.writers import paper
from kmerl.report.writers.html import rendered

MOST_FILES = 4  # a WFDB record is a header and its signals
MOST_NAMES = 100
MOST_TEXT = 5000  # characters of names
PAPER = (
    "<style>.paper svg{width:100%;min-width:640px;height:auto}</style>"
    '<div class="paper" style="overflow-x:auto">'
)
KEPT = 600  # seconds that a download is there


def opened(files: Sequence[str | Path], said: Mapping[str, Any]) -> Recording:
    """The recording in some uploaded files, which are deleted whatever comes of it.

    Args:
        said: what the files do not say, as `kmerl.recordings.read` takes it.

    Raises:
        RecordError: they hold none, or several.
    """
    paths = [Path(file) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:  # each upload lies in a folder of its own
            shutil.move(path, Path(folder) / path.name)
        if not 0 < len(paths) <= MOST_FILES:
            raise RecordError(f"{len(paths)} files: give one recording")
        names = sorted((path.name for path in paths), key=lambda name: not name.endswith(".hea"))
        if len(names) > 1 and len({name.split(".")[0] for name in names}) > 1:
            raise RecordError(f"{', '.join(names)}: give the files of one recording")
        told = {key: value for key, value in said.items() if value}
        try:
            found = recordings.read(Path(folder) / names[0], **told)
        except RecordError as error:
            raise RecordError(str(error).replace(f"{folder}/", "")) from None
    return replace(found, source=found.source.replace(f"{folder}/", ""))


class Desk:
    """A model that answers people, and the folder of what they download."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self.folder = folder

    def names(self, text: str, task: str) -> tuple[str, ...]:
        """The names of a text, with commas, or of a task; the model's entities of neither.

        Raises:
            ValueError: both, an empty name, or too many.
        """
        if len(text) > MOST_TEXT:
            raise ValueError(f"{len(text)} characters of names; at most {MOST_TEXT} are read")
        found = asking.class_names(text.strip() or None, task or None, self.model.entities)
        if len(found) > MOST_NAMES:
            raise ValueError(f"{len(found)} names; at most {MOST_NAMES} are asked at a time")
        return found

    def answer(
        self, recording: Recording, leads: Sequence[str], names: Sequence[str], start: float = 0.0
    ) -> tuple[Recording, preparing.Prepared, list[tuple[str, float]]]:
        """The recording with the chosen leads, what the model was given of it, and its answers.

        Raises:
            RecordError, ValueError: as `Model.predict`.
        """
        if not leads:
            raise ValueError("choose a lead")
        chosen = preparing.choose(recording, ",".join(leads))
        grid = self.model.config.rate, self.model.config.samples
        prepared = preparing.prepare(chosen, *grid, start)
        scores = self.model.score(prepared.signal, prepared.leads, names)
        return chosen, prepared, asking.ranked(names, np.asarray(scores))

    def page(
        self,
        recording: Recording,
        leads: Sequence[str],
        names: Sequence[str],
        how: str,
        explained: str,
        anonymous: bool,
    ) -> tuple[str, str, str, str, str]:
        """Bars, the ECG, what was done to the signal: HTML; the picture and the answers to
        download: paths.

        Args:
            how: to explain, or anything else for none; `explained` is the name, or empty for the
                likeliest.
        """
        chosen, prepared, answers = self.answer(recording, leads, names)
        explanation = None
        if how in WAYS:
            way: How = "attention" if how == "attention" else "occlusion"
            (name,) = asking.class_names([explained or answers[0][0]], None, ())
            explanation = self.model.explain(chosen, name, how=way)
        seconds = self.model.seconds
        look: dict[str, Any] = {"explanation": explanation, "anonymous": anonymous}
        drawn = drawing.drawn(chosen, prepared, seconds, answers, **look)
        notes = [
            *asking.unknown(names, self.model.entities).values(),
            *(explanation or prepared).notes,
        ]
        told = json.loads(printing.as_json(Path(prepared.record), prepared, answers))
        if anonymous:
            del told["record"]
        if explanation is not None:
            told["explanation"] = printing.explained_json(explanation)
        picture, table = self._downloads()
        paper.write(picture, drawn)
        table.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        bars = rendered("answers.html", answers=answers, explained=explanation)
        done = rendered(
            "done.html", notes=notes, left_out=asking.unused(prepared.left_out), leads=leads
        )
        return str(bars), f"{PAPER}{drawn.svg}</div>", str(done), str(picture), str(table)

    def _downloads(self) -> tuple[Path, Path]:
        """Two paths in a new folder; those of older ones are deleted."""
        for old in self.folder.iterdir():
            if old.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(old, ignore_errors=True)
        here = Path(tempfile.mkdtemp(dir=self.folder))
        return here / "ecg.pdf", here / "answers.json"


def described(recording: Recording) -> str:
    """A line of HTML about what was read."""
    seconds = len(next(iter(recording.leads.values()))) / recording.rate
    leads = ", ".join(in_standard_order(recording.leads))
    text = f"{recording.kind}, {seconds:g} s at {recording.rate:g} Hz: {leads}"
    return f"<p>{html.escape(text)}</p>"
