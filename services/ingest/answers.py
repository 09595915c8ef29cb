"""What do we say to a client? Constant bytes: no server name, no echo of what was sent, no page about what went wrong."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

_RETRY: Final = ("Retry-After: 1",)
_METHODS: Final = ("Allow: GET, POST",)
_TEXT: Final = (
    "Content-Type: text/plain; charset=utf-8",
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-store",
)


class _Date:
    """The Date header's value, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = b"Date: " + formatdate(now, usegmt=True).encode("ascii") + b"\r\n"
        return self._line


_date: Final = _Date()


class Answer(web.StreamResponse):
    """A whole response, ready as bytes. Without state of a request, so that one serves all requests."""

    def __init__(self, status: HTTPStatus, *, headers: tuple[str, ...] = (), body: bytes = b"", close: bool = False) -> None:
        super().__init__(status=status)
        self._closes = close
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *headers, f"Content-Length: {len(body)}"]
        if close:
            lines.append("Connection: close")
        self._before_date = "".join(line + "\r\n" for line in lines).encode("ascii")
        self._after_date = b"\r\n" + body

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after this answer."""
        return not self._closes

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it; aiohttp calls this once, when the handler has returned."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        transport.write(self._before_date + _date.line() + self._after_date)
        if request.protocol.writing_paused:
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


class Answers:
    """One answer in its two forms: the connection stays open, or is closed."""

    def __init__(self, status: HTTPStatus, *, headers: tuple[str, ...] = (), body: bytes = b"") -> None:
        self._open = Answer(status, headers=headers, body=body)
        self.closing = Answer(status, headers=headers, body=body, close=True)

    def to(self, request: web.BaseRequest) -> Answer:
        """The form that the client asked for."""
        return self._open if request.keep_alive and request.version == HttpVersion11 else self.closing


def challenge(text: str) -> Answers:
    """Meta's challenge, given back to Meta."""
    return Answers(HTTPStatus.OK, headers=_TEXT, body=text.encode("ascii"))


ACCEPTED: Final = Answers(HTTPStatus.OK)
BAD_REQUEST: Final = Answers(HTTPStatus.BAD_REQUEST)
UNSIGNED: Final = Answers(HTTPStatus.UNAUTHORIZED)
FORBIDDEN: Final = Answers(HTTPStatus.FORBIDDEN)
NOT_FOUND: Final = Answers(HTTPStatus.NOT_FOUND)
METHOD_NOT_ALLOWED: Final = Answers(HTTPStatus.METHOD_NOT_ALLOWED, headers=_METHODS)
TOO_LARGE: Final = Answers(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
ENCODING_CHANGED: Final = Answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
EXPECTATION_FAILED: Final = Answers(HTTPStatus.EXPECTATION_FAILED)
BROKEN: Final = Answers(HTTPStatus.INTERNAL_SERVER_ERROR)
UNAVAILABLE: Final = Answers(HTTPStatus.SERVICE_UNAVAILABLE, headers=_RETRY)
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
