"""Is this process alive, is it ready, what does it count? `/live`, `/ready` and `/metrics` on a port of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.common.platform import logging, metrics

log = logging.get(__name__)

Check = Callable[[], "str | None"]
"""Why not, in a few words; None when all is well."""


class Ops:
    """The operations listener of one process. `ready` and `live` are asked at each request."""

    def __init__(self, *, service: str, host: str, port: int, ready: Check, live: Check = lambda: None) -> None:
        self._host, self._port = host, port
        self._ready, self._live = ready, live
        self._runner: web.AppRunner | None = None
        metrics.BUILD_INFO.labels(version("parley"), service).set(1)
        metrics.READY.labels(service).set_function(lambda: float(ready() is None))

    async def start(self) -> int:
        """Listen; returns the port."""
        app = web.Application()
        app.router.add_get("/live", self._answer(self._live))
        app.router.add_get("/ready", self._answer(self._ready))
        app.router.add_get("/metrics", _metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = int(self._runner.addresses[0][1])
        log.info("ops.listening", host=self._host, port=port)
        return port

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()

    @staticmethod
    def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_: web.Request) -> web.Response:
            why_not = check()
            return web.Response(status=503 if why_not else 200, text=(why_not or "ok") + "\n")

        return answer


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
