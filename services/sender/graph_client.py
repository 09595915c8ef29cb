"""How is one message put to Meta? One call, its time-outs, and the exact instant its first byte leaves. No policy.

The token of the limiter is taken when a connection is in hand, directly before the bytes are written: so neither the wait for
Postgres nor for a connection disturbs the pace, and everything before that instant is known as not sent.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_reqrep import ClientRequest, ClientResponse
from aiohttp.connector import AddrInfoType, Connection

from services.common.platform import logging, metrics
from services.common.platform.faults import fault, is_armed
from services.common.platform.lifecycle import EXIT_FATAL, exit_now
from services.sender import response
from services.sender.headway import Turn
from services.sender.request import MESSAGES
from services.sender.response import Result

log = logging.get(__name__)

_IDLE_SECONDS: Final = 15.0
"""Shorter than Meta keeps a connection: it is better closed by us than found closed after a write."""


_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


class _NotWritten(Exception):  # noqa: N818 - what happened
    """The request was given up before its first byte; `late` when its token came too late."""

    def __init__(self, detail: str, *, late: bool = False) -> None:
        super().__init__(detail)
        self.detail, self.late = detail, late


@dataclass(slots=True, kw_only=True)
class _Write:
    """The permission to write one attempt, and whether it was used. Only a committed STARTED row leads to one."""

    pacer: Turn
    started: float
    timeout: asyncio.Timeout
    answer_seconds: float
    written_at: float | None = None
    charged_at: float | None = None
    has_turn: bool = False

    def end_turn(self) -> None:
        """The bytes are out, or never will be: the token is charged, or given back."""
        if self.has_turn:
            self.has_turn = False
            if self.written_at is None:
                self.pacer.not_written()
            else:
                self.charged_at = self.pacer.written()

    def end_exchange(self) -> None:
        """Nothing of it is on its way any more, as far as that is in our hands: what was not answered was reset."""
        self.end_turn()
        if self.charged_at is not None:
            self.pacer.answered(self.charged_at)


_write: ContextVar[_Write | None] = ContextVar("_write", default=None)


class _Body(aiohttp.BytesPayload):
    """The body, in one write with the headers. Only for an armed `sender.mid_write` it is in two, with the bytes out between."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if not is_armed("sender.mid_write"):
            await super().write_with_length(writer, content_length)
            return
        body = self._value[:content_length]
        half = len(body) // 2
        if writer.transport is not None:
            writer.transport.set_write_buffer_limits(0)  # a drain then waits until nothing is left that would die with us
        await writer.write(body[:half])
        await writer.drain()
        fault("sender.mid_write")
        await writer.write(body[half:])


class _PacedRequest(ClientRequest):
    """Waits for the token between the connection and the first byte."""

    async def send(self, conn: Connection) -> ClientResponse:
        write = _write.get()
        if write is None or write.written_at is not None:
            log.critical("send.write_without_started")
            exit_now(EXIT_FATAL)
            raise AssertionError
        write.has_turn = await write.pacer.admit(write.started)
        # Meta may have closed the connection while we waited for the token.
        if not write.has_turn or conn.protocol is None or not conn.protocol.is_connected():
            conn.release()
            raise _NotWritten("no token in time" if not write.has_turn else "connection closed", late=not write.has_turn)
        fault("sender.before_write")
        write.written_at = time.monotonic()
        write.timeout.reschedule(asyncio.get_running_loop().time() + write.answer_seconds)
        return await super().send(conn)

    async def write_bytes(self, writer: Any, conn: Connection, content_length: int | None = None) -> None:
        await super().write_bytes(writer, conn, content_length)
        write = _write.get()
        if write is not None:
            write.end_turn()
        fault("sender.after_write")


def _taken_back_when_closed(address: AddrInfoType) -> socket.socket:
    """A socket that drops what the other side has not taken yet when it is closed, or when we are killed.

    Otherwise the kernel goes on trying for a minute or more: after a black hole the requests that were given up long ago would
    arrive all at once, above the number's limit, and perhaps after the same command was sent again.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    return made


def session_options(connect_seconds: float, *, trust: ssl.SSLContext | None = None) -> dict[str, Any]:
    """How a session has to be for `GraphClient`: paced requests, our own time-outs, nothing followed or remembered.

    `trust` says whose certificates are good, here and below; without it, those that this machine trusts.
    """
    return {
        "connector": aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=_IDLE_SECONDS,
            ttl_dns_cache=600,
            socket_factory=_taken_back_when_closed,
            ssl=trust or True,
        ),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "request_class": _PacedRequest,
        "timeout": aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_connect=connect_seconds),
        "headers": {"Content-Type": "application/json", "User-Agent": "parley"},
        "auto_decompress": True,
        "trust_env": False,
    }


class GraphClient:
    """Posts to the edges of `/{version}/{phone_number_id}`."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, version: str, answer_seconds: float) -> None:
        """`session` is made with `session_options`."""
        self._session = session
        self._url = f"{base_url}/{version}"
        self._answer_seconds = answer_seconds

    async def post(
        self,
        phone_number_id: str,
        *,
        token: str,
        body: bytes,
        attempt_no: int,
        pacer: Turn,
        started: float,
        edge: str = MESSAGES,
        is_message: bool = True,
    ) -> tuple[Result, float | None]:
        """Send one attempt; what the exchange proved, and the monotonic instant of the write, if there was one.

        `started` is when its STARTED row was about to be written.
        """
        timeout = asyncio.timeout(None)
        write = _Write(pacer=pacer, started=started, timeout=timeout, answer_seconds=self._answer_seconds)
        try:
            async with timeout:
                posting = self._session.post(
                    f"{self._url}/{phone_number_id}/{edge}",
                    data=_Body(body),
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                )
                result = await self._exchange(posting, attempt_no, write, is_message=is_message)
        except TimeoutError:
            # Armed by the write and by nothing else.
            result = response.no_answer("TimeoutError")
        finally:
            write.end_exchange()
        metrics.GRAPH_REQUESTS.labels(result.proof).inc()
        if write.written_at is not None:
            metrics.GRAPH_REQUEST_SECONDS.observe(time.monotonic() - write.written_at)
        return result, write.written_at

    async def _exchange(
        self, posting: AbstractAsyncContextManager[ClientResponse], attempt_no: int, write: _Write, *, is_message: bool
    ) -> Result:
        permission = _write.set(write)
        try:
            async with posting as answer:
                payload = await answer.read()
                fault("sender.after_response")
                return response.classify(answer.status, payload, attempt_no=attempt_no, is_message=is_message)
        except _NotWritten as given_up:
            return response.late() if given_up.late else response.not_sent(given_up.detail, attempt_no=attempt_no)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            # TimeoutError is an OSError. The type alone is told: texts may quote addresses.
            if write.written_at is None:
                return response.not_sent(type(problem).__name__, attempt_no=attempt_no)
            return response.no_answer(type(problem).__name__)
        finally:
            _write.reset(permission)
