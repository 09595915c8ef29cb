"""How fast can a server answer? Signed webhooks over keep-alive connections, from a process and a core of its own."""

from __future__ import annotations

import argparse
import asyncio
import hmac
import json
import os
import time
from functools import partial
from typing import Final, cast

import uvloop

from benchmarks.figures import percentile

_BODY: Final = (
    '{{"object":"whatsapp_business_account","entry":[{{"id":"102290129340398","changes":[{{"value":{{'
    '"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"106540352242922"}},'
    '"contacts":[{{"profile":{{"name":"Sheena Nelson"}},"wa_id":"1650555{contact:04d}",'
    '"user_id":"US.1349120865530274{contact:04d}"}}],'
    '"messages":[{{"from":"1650555{contact:04d}","from_user_id":"US.1349120865530274{contact:04d}",'
    '"id":"wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQT{number:08d}","timestamp":"1749416383","type":"text","text":{{"body":'
    '"Does it come in another color? I would need it by Friday, '
    'if there is a way to have it in the shop by then."}}}}]}},"field":"messages"}}]}}]}}'
)
_CONTACTS: Final = 2000


def requests(count: int, *, secret: str, path: str = "/webhooks") -> list[bytes]:
    """This many different signed requests, as bytes for the wire."""
    made = []
    for number in range(count):
        body = _BODY.format(contact=number % _CONTACTS, number=number).encode()
        mac = hmac.digest(secret.encode(), body, "sha256").hex()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={mac}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


class _Tally:
    """What all connections share: the next request to send, and what came back."""

    def __init__(self, pool: list[bytes]) -> None:
        self.pool = pool
        self.sent = 0
        self.refused = 0
        self.seconds: list[float] = []
        """Of each that was accepted, from its first byte until its answer."""

    def next(self) -> bytes:
        request = self.pool[self.sent % len(self.pool)]
        self.sent += 1
        return request


class _Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, tally: _Tally, ends_at: float) -> None:
        self._tally, self._ends_at, self._asked_at = tally, ends_at, 0.0
        self._transport: asyncio.WriteTransport
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._ask(time.monotonic())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if data.startswith(b"HTTP/1.1 200"):
            self._tally.seconds.append(now - self._asked_at)
        else:
            self._tally.refused += 1
        if now < self._ends_at:
            self._ask(now)
        else:
            self._transport.close()

    def _ask(self, now: float) -> None:
        self._asked_at = now
        self._transport.write(self._tally.next())

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def _same(client: _Client) -> _Client:
    return client


async def _drive(port: int, connections: int, seconds: float, pool: list[bytes]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    tally = _Tally(pool)
    began = time.monotonic()
    clients = [_Client(tally, began + seconds) for _ in range(connections)]
    await asyncio.gather(*(loop.create_connection(partial(_same, client), "127.0.0.1", port) for client in clients))
    await asyncio.gather(*(client.closed for client in clients))
    took = time.monotonic() - began
    p99 = percentile(tally.seconds, 99) if tally.seconds else 0.0
    return {"accepted": len(tally.seconds), "refused": tally.refused, "seconds": took, "p99_ms": 1000 * p99}


def main() -> None:
    """Print one JSON line: accepted, refused, seconds, p99_ms (of what was accepted)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--requests", type=int, default=20_000, help="different bodies, signed before the clock starts")
    parser.add_argument("--secret", required=True)
    parser.add_argument("--core", type=int, default=None)
    args = parser.parse_args()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    pool = requests(args.requests, secret=args.secret)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(_drive(args.port, args.connections, args.seconds, pool))))


if __name__ == "__main__":
    main()
