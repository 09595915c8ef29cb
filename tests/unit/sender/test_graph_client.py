"""Which requests does Meta receive, each how often, and what is known of those that nobody answered? Over plain sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import pytest
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult

from services.common.domain.limiter import Throughput
from services.common.domain.pair_limit import PairPolicy
from services.common.platform import faults
from services.sender.graph_client import GraphClient, session_options
from services.sender.headway import Headway, Turn
from services.sender.pacer import Pacer
from services.sender.response import Proof

BODY = b'{"messaging_product":"whatsapp"}'
ANSWER = b'{"messages":[{"id":"wamid.1"}]}'
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
NAME: Final = "graph.test"
PATIENCE_SECONDS: Final = 5.0


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


class Meta:
    """Answers each request and keeps the connection, unless told to leave the next one without an answer."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.hangs_up = False
        self._open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._serving: list[asyncio.Task[None]] = []

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody has come."""
        self._open.append((reader, writer))
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def close_idle(self) -> None:
        """Close every connection, and return when the other side has, too."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for reader, writer in self._open:
            if not writer.is_closing():
                writer.write_eof()
                with suppress(ConnectionError):
                    await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
            writer.close()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head + await reader.readexactly(len(BODY)))
                if self.hangs_up:
                    break
                writer.write(RESPONSE)
        writer.close()


class Resolver(AbstractResolver):
    """Knows where everybody is, as long as it answers."""

    def __init__(self) -> None:
        self.answers = True
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Our own machine."""
        self.asked += 1
        if not self.answers:
            raise OSError("no name server answers")
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)]

    async def close(self) -> None:
        """Nothing is open."""


class Client:
    """Posts to Meta as the sender does; it finds it by name where it has a resolver."""

    def __init__(self, session: aiohttp.ClientSession, meta: Meta, host: str) -> None:
        self._meta = meta
        self._graph = GraphClient(
            session, base_url=f"http://{host}:{meta.port}", version="v25.0", answer_seconds=PATIENCE_SECONDS
        )

    async def post(self, turn: type[Turn] = Turn) -> tuple[Proof, bool]:
        """What one attempt proved, and whether a byte of it was written."""
        pacer = Pacer.inherited(Throughput(limit=80), PairPolicy())
        result, written_at = await self._graph.post(
            "1", token="t", body=BODY, attempt_no=1, pacer=turn(pacer, Headway(), "recipient"), started=time.monotonic()
        )
        return result.proof, written_at is not None


@asynccontextmanager
async def talking(resolver: Resolver | None = None) -> AsyncIterator[tuple[Meta, Client]]:
    """Both sides."""
    meta = Meta()
    async with await asyncio.start_server(meta.connect, "127.0.0.1", 0) as server:
        meta.port = server.sockets[0].getsockname()[1]
        options = session_options(PATIENCE_SECONDS)
        if resolver is not None:
            options["connector"]._resolver = resolver
        async with aiohttp.ClientSession(**options) as session:
            yield meta, Client(session, meta, "127.0.0.1" if resolver is None else NAME)
        await meta.close_idle()


def run(work: Coroutine[Any, Any, None]) -> None:
    """On the loop that the services have."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@pytest.mark.usefixtures("_disarmed")
def test_a_request_cut_in_two_is_the_same_request() -> None:
    async def work() -> None:
        async with talking() as (meta, client):
            assert await client.post() == (Proof.ACCEPTED, True)
            faults.arm("sender.mid_write:1:sleep=0.001")
            assert await client.post() == (Proof.ACCEPTED, True)
            assert not faults.is_armed("sender.mid_write"), "the point was passed"
            whole, cut = meta.requests
            assert cut == whole
            assert f"content-length: {len(BODY)}\r\n".encode() in whole.lower()
            assert whole.endswith(b"\r\n\r\n" + BODY)

    run(work())


@pytest.mark.failure("S14")
def test_a_connection_that_meta_closed_while_it_was_idle_is_not_written_to() -> None:
    async def work() -> None:
        async with talking() as (meta, client):
            for _ in range(3):
                assert await client.post() == (Proof.ACCEPTED, True)
                await meta.close_idle()
            assert len(meta.requests) == 3

    run(work())


@pytest.mark.failure("S14")
def test_a_connection_that_meta_closes_while_the_token_is_waited_for_has_seen_nothing() -> None:
    async def work() -> None:
        async with talking() as (meta, client):

            class Late(Turn):
                async def admit(self, started: float) -> bool:
                    await meta.close_idle()
                    return await super().admit(started)

            assert await client.post() == (Proof.ACCEPTED, True)
            assert await client.post(Late) == (Proof.NOT_SENT, False)
            assert len(meta.requests) == 1
            assert await client.post() == (Proof.ACCEPTED, True)

    run(work())


@pytest.mark.failure("S7", "S14")
def test_a_connection_that_meta_closes_at_the_write_is_not_written_to_again_by_the_client_itself() -> None:
    async def work() -> None:
        async with talking() as (meta, client):
            assert await client.post() == (Proof.ACCEPTED, True)
            meta.hangs_up = True
            assert await client.post() == (Proof.UNKNOWN, True)
            assert len(meta.requests) == 2

    run(work())


@pytest.mark.failure("S13")
def test_without_a_name_server_nothing_is_sent_unless_the_last_answer_is_still_known() -> None:
    async def work() -> None:
        resolver = Resolver()
        async with talking(resolver) as (meta, client):
            resolver.answers = False
            assert await client.post() == (Proof.NOT_SENT, False)
            resolver.answers = True
            assert await client.post() == (Proof.ACCEPTED, True)
            resolver.answers = False
            await meta.close_idle()
            assert await client.post() == (Proof.ACCEPTED, True), "of a new connection to the address of before"
            assert (len(meta.requests), resolver.asked) == (2, 2)

    run(work())
