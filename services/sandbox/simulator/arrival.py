"""When exactly did a request's bytes reach us?

aiohttp starts a handler some loop turns after the bytes came, so a handler's own clock is late under load.
Here each connection's protocol is wrapped: the wrapper reads both clocks in `data_received`, the first code
of ours that runs after the event loop's `recv`, and only then hands the bytes to aiohttp. A handler finds the
stamp through its transport. One request is in flight on a connection at a time (nobody pipelines), so the
first bytes after the last answer are the beginning of the request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from services.sandbox.simulator.records import Moment

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StampedConnection(asyncio.Protocol):
    """Notes when the first bytes of a request were read; otherwise it is aiohttp's own protocol."""

    def __init__(self, inner: RequestHandler) -> None:
        self._inner = inner
        self.read: Moment | None = None

    def data_received(self, data: bytes) -> None:
        """Stamp, then pass on."""
        if self.read is None:
            self.read = now()
        self._inner.data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass on."""
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Pass on."""
        self._inner.connection_lost(exc)

    def eof_received(self) -> None:
        """Pass on."""
        self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()


def now() -> Moment:
    """This instant on both clocks."""
    return Moment(epoch_ms=time.time_ns() / 1e6, monotonic=time.monotonic())


def read_moment(request: web.Request) -> Moment:
    """When the request's first bytes were read; now, when the connection is gone already."""
    connection = _connection(request)
    return connection.read if connection is not None and connection.read is not None else now()


@web.middleware
async def forget_stamp(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The next bytes after this answer belong to another request."""
    connection = _connection(request)
    try:
        return await handler(request)
    finally:
        if connection is not None:
            connection.read = None


def _connection(request: web.Request) -> StampedConnection | None:
    protocol = None if request.transport is None else request.transport.get_protocol()
    return protocol if isinstance(protocol, StampedConnection) else None
