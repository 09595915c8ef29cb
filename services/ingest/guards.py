"""Who may keep a connection open, and for how long? aiohttp waits for ever; this server does not.

One sweep looks at all connections a few times a second, so that a request costs no timer. It is done in parts: hundreds that come
together become too slow together, and to end them, and to take those that come for them, would keep all others waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import cycle
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics
from services.ingest import answers

log = logging.get(__name__)

_PARTS: Final = 10
"""Of a sweep."""
_LINGER_SECONDS: Final = 1.0
"""A refused body is read and thrown away this long, so that the client sees the answer and not a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may take."""

    header_seconds: float
    body_seconds: float
    body_grace_seconds: float
    body_bytes_per_second: int
    connections: int
    connections_per_source: int
    keepalive_seconds: float

    @property
    def sweep_seconds(self) -> float:
        """Often enough to be at most a tenth late, and at least four times a second."""
        return min(0.25, self.header_seconds / 10, self.body_seconds / 10, self.body_grace_seconds / 2)


class _Phase(Enum):
    HEADERS = auto()
    BODY = auto()
    ANSWER = auto()


class Connection(RequestHandler):
    """aiohttp's connection, which also knows what it waits for."""

    __slots__ = ("_guard", "_partial", "_requests_seen", "part", "since", "source", "state")

    def __init__(self, guard: GuardedServer, **kwargs: Any) -> None:
        super().__init__(guard, **kwargs)
        self._guard = guard
        self._partial = True
        self._requests_seen = 0
        self.part = guard.next_part()
        self.source: str | None = None
        self.state: tuple[_Phase, int] | None = None
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse it at once when there are too many."""
        peer = transport.get_extra_info("peername")
        source = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._guard.admit(source):
            self._force_close = True
            transport.close()
            return
        self.source = source
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give its place back."""
        if self.source is not None:
            self._guard.release(self.source)
            self.source = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note whether a request's headers have begun and not ended."""
        super().data_received(data)
        if self._request_count != self._requests_seen:
            self._requests_seen = self._request_count
            self._partial = False
        elif self._current_request is None and not self._messages:
            self._partial = True

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only when it was paused: aiohttp asks after every read, and each time feeds its parser nothing."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def waits_for(self) -> tuple[_Phase, int] | None:
        """What the client owes us, and in which request; None when nothing, or when the next move is ours."""
        request = self._current_request
        if self._paused:
            return _Phase.ANSWER, self._request_count
        if request is not None:
            return None if request.content.is_eof() else (_Phase.BODY, self._request_count)
        if self._messages or not self._partial:
            return None
        return _Phase.HEADERS, self._request_count

    def body_bytes(self) -> int:
        """How much of the current request's body has come."""
        request = self._current_request
        return 0 if request is None else request.content.total_bytes

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp calls it so
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the input
    ) -> web.StreamResponse:
        """What aiohttp could not parse, or a bug of ours: a constant answer without the page that quotes the input.

        Without memory no answer: something may be half done, and the process ends.
        """
        if status == 400:
            metrics.WEBHOOK_REQUESTS.labels("none", Reason.BAD_REQUEST).inc()
            return answers.BAD_REQUEST.closing
        if isinstance(exc, MemoryError):
            self._loop.call_exception_handler({"message": "a request had no memory", "exception": exc})
        log.error("request.failed", error=type(exc).__name__)
        metrics.WEBHOOK_REQUESTS.labels("none", "failed").inc()
        return answers.BROKEN.closing

    def end(self) -> None:
        """Drop the client."""
        if self.transport is not None:
            self.transport.abort()


class GuardedServer(web.Server):
    """aiohttp's server with limits on connections and on slow clients. Request bodies stay as they were sent."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: Limits) -> None:
        super().__init__(handler)
        self._limits = limits
        self._sources: Counter[str] = Counter()
        self._sweeper: asyncio.TimerHandle | None = None
        self._parts = cycle(range(_PARTS))
        self.next_part = partial(next, cycle(range(_PARTS)))

    def __call__(self) -> RequestHandler:
        """A protocol for one connection."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=self._limits.keepalive_seconds,
            access_log=None,
            auto_decompress=False,
            lingering_time=_LINGER_SECONDS,
        )

    def start_sweeping(self) -> None:
        """Look for slow clients from now on."""
        self._sweeper = self._loop.call_later(self._limits.sweep_seconds / _PARTS, self._sweep)

    def stop_sweeping(self) -> None:
        """Stop looking."""
        if self._sweeper is not None:
            self._sweeper.cancel()

    def admit(self, source: str) -> bool:
        """Count a connection in, if there is room."""
        if self._sources.total() >= self._limits.connections or self._sources[source] >= self._limits.connections_per_source:
            metrics.WEBHOOK_CONNECTIONS_CLOSED.labels(Reason.TOO_MANY_CONNECTIONS).inc()
            return False
        self._sources[source] += 1
        metrics.WEBHOOK_CONNECTIONS.inc()
        return True

    def release(self, source: str) -> None:
        """Count a connection out."""
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        metrics.WEBHOOK_CONNECTIONS.dec()

    def _sweep(self) -> None:
        now, part = self._loop.time(), next(self._parts)
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.part == part:
                self._judge(connection, now)
        self.start_sweeping()

    def _judge(self, connection: Connection, now: float) -> None:
        state = connection.waits_for()
        if state is None or state != connection.state:
            connection.state, connection.since = state, now
            return
        reason = self._broken(state[0], now - connection.since, connection.body_bytes())
        if reason is not None:
            metrics.WEBHOOK_CONNECTIONS_CLOSED.labels(reason).inc()
            connection.end()

    def _broken(self, phase: _Phase, seconds: float, received: int) -> Reason | None:
        limits = self._limits
        if phase is _Phase.HEADERS:
            return Reason.HEADERS_TOO_SLOW if seconds >= limits.header_seconds else None
        if phase is _Phase.ANSWER:
            return Reason.ANSWER_UNREAD if seconds >= limits.body_seconds else None
        crawls = seconds >= limits.body_grace_seconds and received < limits.body_bytes_per_second * seconds
        return Reason.BODY_TOO_SLOW if crawls or seconds >= limits.body_seconds else None
