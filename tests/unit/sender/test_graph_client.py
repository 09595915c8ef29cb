"""Does the fault point in the middle of a write change what Meta receives?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest
import uvloop

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


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


async def posted() -> bytes:
    """The bytes of one request to a server on a plain socket, which reads until it has the whole body."""
    arrived = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.extend(await reader.readuntil(b"\r\n\r\n"))
        arrived.extend(await reader.readexactly(len(BODY)))
        writer.write(RESPONSE)
        arrived.extend(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with aiohttp.ClientSession(**session_options(1.0)) as session:
            graph = GraphClient(session, base_url=f"http://{host}:{port}", version="v25.0", answer_seconds=5.0)
            now = time.monotonic()
            turn = Turn(Pacer.inherited(Throughput(limit=80), PairPolicy()), Headway(), "recipient")
            result, written_at = await graph.post("1", token="t", body=BODY, attempt_no=1, pacer=turn, started=now)
        assert result.proof is Proof.ACCEPTED
        assert written_at is not None
    return bytes(arrived).replace(str(port).encode(), b"port")


@pytest.mark.usefixtures("_disarmed")
def test_a_request_cut_in_two_is_the_same_request() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        whole = runner.run(posted())
        faults.arm("sender.mid_write:1:sleep=0.001")
        assert runner.run(posted()) == whole
        assert not faults.is_armed("sender.mid_write"), "the point was passed"
    assert f"content-length: {len(BODY)}\r\n".encode() in whole.lower()
    assert whole.endswith(b"\r\n\r\n" + BODY)
