"""Connections to servers: through no proxy, to no other host, with no end of neither bytes nor
seconds."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import aiohttp
from yarl import URL

MOST_BYTES = 2**24
"""Of a reply: far above the longest completion, and as much as a small machine can hold."""
IDLE_SECONDS = 4.0
"""A connection may be idle: less than the five of vLLM, or a question would meet its end."""
FAILED = (OSError, aiohttp.ClientError)
"""What a request may raise that gets no answer, its time-out among them."""


@dataclass(frozen=True)
class Running:
    """A server that answers. `alive()` raises an error where it is known to have stopped."""

    base_url: str
    api_key: str | None
    alive: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Page:
    """What a server answered; a redirect is an answer like another."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def session(connections: int) -> aiohttp.ClientSession:
    """For so many requests at a time; to be closed by `async with`."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # who asks has a deadline
        headers={"Accept-Encoding": "identity", "User-Agent": f"kmerl/{version('kmerl')}"},
        auto_decompress=False,
        trust_env=False,
    )


async def page(
    asking: aiohttp.ClientSession, url: URL, api_key: str | None, body: bytes | None = None
) -> Page:
    """What is at an address, or the answer to a body of JSON.

    Raises:
        OSError, aiohttp.ClientError: there is no answer, or not all of it, or too much, or it is
            compressed; see `FAILED`.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    method = "GET" if body is None else "POST"
    async with asking.request(
        method, url, data=body, headers=headers, allow_redirects=False
    ) as answer:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise aiohttp.ClientPayloadError("a compressed reply, which was not asked for")
        return Page(answer.status, answer.headers, await _bounded(answer.content))


def get(url: str, api_key: str | None, seconds: float) -> Page:
    """A page, all of it within `seconds`.

    Raises:
        OSError, aiohttp.ClientError: see `page`.
    """

    async def asked() -> Page:
        async with asyncio.timeout(seconds), session(1) as asking:
            return await page(asking, URL(url), api_key)

    return asyncio.run(asked())


def refused(url: str, status: int, *advice: str) -> str:
    """What is said of an answer that is an error or, as a redirect is not followed, leads away."""
    if 300 <= status < 400:
        return (
            f"{url} answered {status}, a redirect, which is not followed: it would take key and "
            "reports to another address; set llm.base_url to the server's own"
        )
    return f"{url} answered {status}; {', '.join(advice)}"


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    read = bytearray()
    while not content.at_eof():
        read += await content.readany()
        if len(read) > MOST_BYTES:
            raise aiohttp.ClientPayloadError(f"a reply of more than {MOST_BYTES} bytes")
    return bytes(read)
