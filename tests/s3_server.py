"""S3 on this machine: moto's server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import requests

PUBLIC = {"x-amz-acl": "public-read"}


@contextmanager
def bucket(name: str) -> Iterator[tuple[str, Callable[[str, bytes], None]]]:
    """Its S3's address, and what puts a file into it; everybody may list and read it."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: make setup-dev")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())

    def put(path: str, content: bytes) -> None:
        to = f"{endpoint}/{name}/{quote(path)}"
        requests.put(to, content, headers=PUBLIC, timeout=30).raise_for_status()

    try:
        requests.put(f"{endpoint}/{name}", headers=PUBLIC, timeout=30).raise_for_status()
        yield endpoint, put
    finally:
        server.stop()
