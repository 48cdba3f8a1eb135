"""Known vulnerabilities are told where they can be known, and no licence comes in unseen."""

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests import audit
from tests.import_closure import ROOT

PACKAGES = [("a", "1"), ("b", "2")]


def answered(body):
    """What is made of a reply of the advisory source, and what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing is printed."""

    asked = []
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = audit.vulnerable(PACKAGES, f"http://127.0.0.1:{server.server_address[1]}/")
        thread.join()
    return found, asked[0]["queries"]


def test_what_is_known_of_a_version_is_told():
    found, asked = answered(b'{"results": [{}, {"vulns": [{"id": "X-1"}, {"id": "X-2"}]}]}')
    assert found == {("b", "2"): ["X-1", "X-2"]}
    assert asked[0] == {"package": {"name": "a", "ecosystem": "PyPI"}, "version": "1"}
    assert answered(b'{"results": [{}, {}]}')[0] == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"results": []}', b'{"results": [1, 2]}']
)
def test_no_answer_is_not_taken_for_no_vulnerability(body):
    assert answered(body)[0] is None


def test_a_source_out_of_reach_is_said_and_fails_nothing(monkeypatch, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        assert audit.vulnerable(PACKAGES, url) is None
    monkeypatch.setattr(audit, "vulnerable", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert not ended.value.code
    assert "out of reach" in capsys.readouterr().out


def test_every_gpl_package_stands_in_docs_licences_and_is_not_imported():
    page = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w-]+)` \|", page, re.M)
    assert sorted(audit.copyleft(audit.licences(audit.pins()))) == sorted(listed)
    source = [path for room in ("kmerl", "stages") for path in (ROOT / room).rglob("*.py")]
    imported = re.compile(rf"^\s*(import|from) ({'|'.join(listed)})\b", re.M)
    assert not [path for path in source if imported.search(path.read_text(encoding="utf-8"))]
    assert len(source) > 100
