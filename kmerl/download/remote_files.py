"""Files below an address in https or S3, read without credentials and tried again."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from typing import TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before another try
LATER = (408, 429, 500, 502, 503, 504)  # answers of a server that may give the file after all
REDIRECTIONS = 5
CHUNK = 2**18  # bytes read at a time

Result = TypeVar("Result")


class FetchError(ValueError):
    """Nothing was fetched; the message says why and what to do."""


class NotFetched(Exception):  # noqa: N818 - a verdict on a file, no error of ours
    """One file could not be had; `later`: another try may succeed."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.later = reason, later


def address(place: str) -> URL:
    """Where a folder of files is to be had without credentials: a bucket of S3 by its https name,
    or below AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL where one of them is set.

    Raises:
        FetchError: it is no address in s3, https or http, or holds a password or a query.
    """
    try:
        url = URL(place.rstrip("/"))
    except ValueError:
        url = URL()
    if url.scheme not in ("s3", "https", "http") or not url.host:
        raise FetchError(f"{place!r} is no address such as s3://bucket/folder or https://...")
    if url.user or url.password or url.query_string or url.fragment:
        raise FetchError(
            f"an address with a password or a query is not taken ({url.host}); "
            "passwords go into ~/.netrc"
        )
    if url.scheme != "s3":
        return url
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    bucket = place.removeprefix("s3://").partition("/")[0]  # yarl would make it lower case
    if endpoint:
        start = f"{endpoint.rstrip('/')}/{bucket}"
    elif "." in bucket:  # of which no certificate of S3 is
        start = f"https://s3.amazonaws.com/{bucket}"
    else:
        start = f"https://{bucket}.s3.amazonaws.com"
    return URL(start + url.raw_path.rstrip("/"), encoded=True)


class Server:
    """Files below an address, tried again where that may help."""

    def __init__(self, base: URL) -> None:
        self.base = base
        self._session: aiohttp.ClientSession

    def session(self, parallel: int) -> aiohttp.ClientSession:
        """What is open while files are read, to be closed by `async with`."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=parallel),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60),
            headers={"Accept-Encoding": "identity", "User-Agent": f"kmerl/{version('kmerl')}"},
            trust_env=True,
            auto_decompress=False,
        )
        return self._session

    async def text(self, path: str) -> str:
        """A whole text.

        Raises:
            FetchError: it cannot be had, or is no UTF-8.
        """
        try:
            return (await self.trying(partial(self._bytes, path))).decode()
        except NotFetched as missing:
            raise FetchError(f"{self.base}/{path}: {missing.reason}") from None
        except UnicodeDecodeError:
            raise FetchError(f"{self.base}/{path} is no text") from None

    async def trying(self, once: Callable[[], Awaitable[Result]]) -> Result:
        """What `once` gives, after some pauses if need be.

        Raises:
            NotFetched: it gives nothing, or not in as many tries.
        """
        for pause in (*PAUSES, None):
            try:
                return await once()
            except NotFetched as missing:
                found = missing
            except (aiohttp.ClientError, TimeoutError) as error:
                found = NotFetched(f"{type(error).__name__} {error}".strip(), later=True)
            if pause is None or not found.later:
                break
            await asyncio.sleep(pause)
        raise found

    async def read(self, path: str, take: Callable[[bytes], object]) -> None:
        """Give the bytes of a file to `take`, some at a time.

        Raises:
            NotFetched: the server does not give it, or sends us somewhere unsafe.
        """
        url = URL(f"{self.base}/{quote(path)}", encoded=True)
        for _ in range(REDIRECTIONS + 1):
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    url = _redirected(url, response.headers["Location"])
                    continue
                if response.status != 200:
                    raise NotFetched(f"HTTP {response.status}", later=response.status in LATER)
                async for chunk in response.content.iter_chunked(CHUNK):
                    take(chunk)
                return
        raise NotFetched(f"more than {REDIRECTIONS} redirections")

    async def _bytes(self, path: str) -> bytearray:
        found = bytearray()
        await self.read(path, found.extend)
        return found


def _redirected(url: URL, location: str) -> URL:
    """Where a server sends us on to: never from https to anything else."""
    new = url.join(URL(location, encoded=True))
    if new.scheme not in {"https", url.scheme}:
        raise NotFetched(f"redirected from {url.scheme} to {new.scheme}, which is not safe")
    return new
