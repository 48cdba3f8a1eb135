"""Connections to the server: through no proxy, to no other host, with no end of neither bytes nor
seconds."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai

MOST_BYTES = 2**24
"""Of a reply: far above the longest completion, and as much as a small machine can hold."""
FAILED = (OSError, httpx2.HTTPError, httpx2.InvalidURL)
"""What a request may raise that gets no answer, its time-out among them."""


class _Bounded(httpx2.AsyncByteStream):
    """A reply's bytes, an error where there are too many."""

    def __init__(self, given: httpx2.AsyncByteStream) -> None:
        self.given = given

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for part in self.given:
            read += len(part)
            if read > MOST_BYTES:
                raise httpx2.ReadError(f"a reply of more than {MOST_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        await self.given.aclose()


class _Transport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()  # what is packed has no bound
            raise httpx2.ReadError("a compressed reply, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response


def http_client(**settings: Any) -> httpx2.AsyncClient:
    """A client for as many requests at a time as are made; a redirect is an answer like another."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    return openai.DefaultAsyncHttpxClient(
        transport=_Transport(trust_env=False, limits=limits),
        trust_env=False,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
        **settings,
    )


def get(url: str, api_key: str | None, seconds: float) -> tuple[int, bytes]:
    """Status and body of a page.

    Raises:
        OSError, httpx2.HTTPError, httpx2.InvalidURL: there is no answer, or not all of it within
            `seconds`, or too much; see `FAILED`.
    """

    async def asked() -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        async with asyncio.timeout(seconds), http_client(timeout=seconds) as client:
            answer = await client.get(url, headers=headers)
            return answer.status_code, answer.content

    return asyncio.run(asked())


def refused(url: str, status: int, *advice: str) -> str:
    """What is said of an answer that is an error or, as a redirect is not followed, leads away."""
    if 300 <= status < 400:
        return (
            f"{url} answered {status}, a redirect, which is not followed: it would take key and "
            "reports to another address; set llm.base_url to the server's own"
        )
    return f"{url} answered {status}; {', '.join(advice)}"
