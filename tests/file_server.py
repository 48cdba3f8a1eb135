"""A server of a folder's files in a thread of its own, which fails as it is told to."""

import asyncio
import threading
from collections import Counter
from pathlib import Path

from aiohttp import web


class FileServer:
    """Serves `root` below /data while it is entered.

    Attributes:
        faults: {path: what happens at its first, second, ... request}: a status, "cut" (half of
            the body), "wrong" (another first byte), "hang" (half of the body, then nothing),
            or an address to go to. After the last, the file itself; with "..." last, the one
            before it for ever.
        asked: how often each path was asked for.
        hanging: set once a request hangs.
    """

    def __init__(self, root: Path, faults: dict[str, list] | None = None) -> None:
        self.root, self.faults = root, faults or {}
        self.asked: Counter[str] = Counter()
        self.hanging = threading.Event()

    def __enter__(self) -> "FileServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/data/{path:.+}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = "http://{}:{}/data".format(*self._runner.addresses[0])

    def _fault(self, path: str) -> int | str | None:
        faults = self.faults.get(path, [])
        at = self.asked[path]
        self.asked[path] += 1
        if faults and faults[-1] == "...":
            at = min(at, len(faults) - 2)
        return faults[at] if at < len(faults) else None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        fault, file = self._fault(path), self.root / path
        if isinstance(fault, int) or not file.is_file():
            return web.Response(status=fault or 404)
        if fault and "/" in fault:
            return web.Response(status=302, headers={"Location": fault})
        body = file.read_bytes()
        if fault == "wrong":
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault not in ("cut", "hang"):
            return web.Response(body=body)
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if fault == "hang":
            self.hanging.set()
            while request.transport:  # until the client goes away
                await asyncio.sleep(0.01)
        elif request.transport:
            request.transport.close()
        return response
