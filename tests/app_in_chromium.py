"""The page of `kmerl app` as a person uses it, in headless Chromium (`make test-app`)."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from kmerl.leads import LEADS
from kmerl.predict import app
from tests.report_run import heartbeats
from tests.test_cli import write_wfdb

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium here"),
]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_a_recording_dropped_asked_and_downloaded(tmp_path, scheme, width):
    pytest.importorskip("gradio", reason='pip install "kmerl[app]"')
    driver = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    write_wfdb(tmp_path, "ward", 500, heartbeats(72, np.random.default_rng(3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = app.build("simulated")
        _, url, _ = page.launch(prevent_thread_lock=True, server_name=app.HOST, **app.LAUNCH)
    hosts = set()
    with driver.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        seen = browser.new_page(
            color_scheme=scheme, viewport={"width": width, "height": 1200}, accept_downloads=True
        )
        seen.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        seen.goto(url)
        seen.set_input_files(
            "input[type=file]", [tmp_path / f"ward.{end}" for end in ("hea", "dat")]
        )
        seen.wait_for_selector("text=WFDB, 10 s at 500 Hz")
        for lead in set(LEADS) - {"II", "V2"}:
            seen.get_by_role("checkbox", name=lead, exact=True).uncheck()
        seen.get_by_label("Names, with commas").fill("sinus rhythm, <b>x</b>")
        seen.get_by_role("button", name="Ask", exact=True).click()
        seen.wait_for_selector("svg.ecg", timeout=120_000)
        with seen.expect_download() as download:
            seen.get_by_text("Answers (JSON)").click()
        answer = json.loads(Path(download.value.path()).read_text())
        browser.close()
    page.close()
    assert answer["leads"] == ["II", "V2"]
    assert {one["name"] for one in answer["predictions"]} == {"sinus rhythm", "<b>x</b>"}
    assert answer["explanation"]["how"] == "occlusion"
    assert hosts == {url.split("/")[2]}  # it asks no other machine for anything
    uploads = Path(app.LAUNCH["allowed_paths"][0]).with_name("uploads")
    assert not [path for path in uploads.rglob("ward*") if path.stat().st_size]
