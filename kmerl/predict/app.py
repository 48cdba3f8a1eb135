"""`kmerl app`: a page to drop a recording on, which is also an API (`/predict`) and can be a Space.

It listens on this machine alone unless told otherwise, asks no other machine for anything, and
keeps no upload: a file is deleted when it has been read, what was read goes with the browser's tab.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from kmerl.predict import options
from kmerl.predict.printing import NOTICE

HOST, PORT = "127.0.0.1", 7860
MEGABYTES = 64  # of an upload
STATE_SECONDS = 1800  # that a recording is held for the next question
SUFFIXES = [
    ".hea", ".dat", ".mat", ".edf", ".bdf", ".dcm", ".xml", ".scp", ".ecg", ".csv", ".tsv", ".txt",
    ".npy", ".npz", ".parquet",
]  # fmt: skip
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SHARE": "False",
    "DO_NOT_TRACK": "1",
}
FONTS = ("system-ui", "sans-serif")


def app_command(
    model: options.ModelName = options.MODEL,
    revision: options.Revision = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than this lets others in.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=1, max=65535)] = PORT,
    device: options.Device = "auto",
) -> None:
    """Open a page to drop a recording on, at http://127.0.0.1:7860; needs the extra `app`."""
    page = build(options.told(model), revision=revision, device=device)
    if host != HOST:
        typer.echo(f"note: whoever reaches {host} can ask; there is no password", err=True)
    typer.echo(f"http://{host}:{port}   {NOTICE}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that its folder is deleted
    page.launch(server_name=host, server_port=port, **LAUNCH)


LAUNCH: dict[str, Any] = {
    "share": False, "quiet": True, "max_file_size": MEGABYTES * 2**20, "footer_links": ["api"],
    "run_history": False, "enable_monitoring": False, "ssr_mode": False, "pwa": False,
    "mcp_server": False, "strict_cors": True,
}  # fmt: skip


def build(model: str = "", *, revision: str | None = None, device: str = "auto") -> Any:
    """The page, as gradio's `Blocks`; `build().launch(**LAUNCH)` is all that a Space's app.py says.

    Raises:
        ImportError: gradio is not there.
    """
    folder = Path(tempfile.mkdtemp(prefix="kmerl-app-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {**QUIET, "GRADIO_TEMP_DIR": str(folder / "uploads")}
    try:
        import gradio
    except ImportError as error:
        raise ImportError(f'kmerl app needs {error.name}: pip install "kmerl[app]"') from None
    from kmerl.predict.model import load
    from kmerl.predict.serving import Desk

    downloads = folder / "answers"
    downloads.mkdir()
    desk = Desk(load(model, revision=revision, device=device), downloads)
    LAUNCH["theme"] = gradio.themes.Default(font=FONTS, font_mono=("ui-monospace", "monospace"))
    LAUNCH["allowed_paths"] = [str(downloads)]
    with gradio.Blocks(
        title="K-MERL", analytics_enabled=False, delete_cache=(60, 600), fill_width=True
    ) as page:
        _fill(gradio, desk)
    page.queue(max_size=20, default_concurrency_limit=1)
    return page


def _fill(gradio: Any, desk: Any) -> None:
    """The page's parts and what they do."""
    from kmerl.predict import serving
    from kmerl.tasks.classes import TASKS

    gradio.Markdown(f"# K-MERL\n\nAny leads, any names. **{NOTICE}**")
    recording = gradio.State(None, time_to_live=STATE_SECONDS)
    with gradio.Row():
        with gradio.Column(scale=1, min_width=320):
            files = gradio.File(
                label=f"Recording (at most {MEGABYTES} MB; a WFDB record's files together)",
                file_count="multiple", file_types=SUFFIXES,
            )  # fmt: skip
            with gradio.Accordion("What the file does not say, before it is dropped", open=False):
                rate = gradio.Number(label="Samples a second", value=None)
                unit = gradio.Textbox(label="Unit: mV, uV, V, or of a step: 4.88uV", max_length=20)
                channels = gradio.Textbox(label="Names of channels: I,II,V1", max_length=2000)
                named = gradio.Textbox(label="Which is which: ECG1=I,ECG2=II", max_length=2000)
                derive = gradio.Checkbox(label="Compute III, aVR, aVL, aVF from two limb leads")
            read = gradio.HTML()
            leads = gradio.CheckboxGroup(label="Leads to use", choices=[])
            names = gradio.Textbox(
                label="Names, with commas", max_length=serving.MOST_TEXT,
                placeholder="atrial fibrillation, left bundle branch block",
            )  # fmt: skip
            task = gradio.Dropdown(
                label="or the classes of a task", choices=[("", ""), *((t, t) for t in TASKS)],
                value="",
            )  # fmt: skip
            how = gradio.Radio(
                label="Explain by", choices=["occlusion", "attention", "nothing"],
                value="occlusion",
            )  # fmt: skip
            explained = gradio.Textbox(label="Name to explain; by default the likeliest")
            anonymous = gradio.Checkbox(label="Without the file's name, date, id, age and sex")
            ask = gradio.Button("Ask", variant="primary")
        with gradio.Column(scale=2, min_width=320):
            bars, ecg = gradio.HTML(label="Answers"), gradio.HTML(label="ECG")
            done = gradio.HTML(label="What was done to the signal")
            with gradio.Row():
                picture = gradio.DownloadButton("Picture (PDF)", interactive=False)
                table = gradio.DownloadButton("Answers (JSON)", interactive=False)
    said = [rate, unit, channels, named, derive]

    def opened(given: list[str] | None, *told: Any) -> tuple[Any, ...]:
        found = _said(gradio, serving.opened, given or [], _told(told))
        held = list(found.leads)
        return None, found, serving.described(found), gradio.CheckboxGroup(held, value=held)

    def answered(found: Any, used: list[str], text: str, *rest: Any) -> tuple[Any, ...]:
        if found is None:
            raise gradio.Error("Drop a recording first.", print_exception=False)
        asked = _said(gradio, desk.names, text, rest[0] or "")
        made = _said(gradio, desk.page, found, used, asked, *rest[1:])
        return *made[:3], *(gradio.DownloadButton(value=one, interactive=True) for one in made[3:])

    def predict(given: list[str] | None, used: str, text: str, asked_task: str) -> dict[str, Any]:
        """Probabilities of names for one recording: {"predictions": {name: probability}, ...}."""
        found = _said(gradio, serving.opened, given or [], {})
        asked = _said(gradio, desk.names, text, asked_task)
        wanted = used.split(",") if used else list(found.leads)
        _, prepared, answers = _said(gradio, desk.answer, found, wanted, asked)
        return {
            "leads": list(prepared.leads),
            "left_out": prepared.left_out,
            "predictions": dict(answers),
            "notes": list(prepared.notes),
            "notice": NOTICE,
        }

    private = {"api_visibility": "private"}
    files.upload(opened, [files, *said], [files, recording, read, leads], **private)
    ask.click(
        answered,
        [recording, leads, names, task, how, explained, anonymous],
        [bars, ecg, done, picture, table],
        **private,
    )
    used, wanted = (gradio.Textbox(label=one, visible=False) for one in ("leads", "task"))
    called, answer = gradio.Button(visible=False), gradio.JSON(visible=False)
    called.click(predict, [files, used, names, wanted], answer, api_name="predict")


def _told(values: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("rate", "unit", "channels", "leads", "derive"), values, strict=True))


def _said(gradio: Any, work: Any, *given: Any) -> Any:
    """`work`, whose complaints about what it was given are shown on the page, and not logged."""
    try:
        return work(*given)
    except ValueError as error:
        raise gradio.Error(str(error), print_exception=False, duration=None) from None
