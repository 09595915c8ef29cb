"""What does somebody do who wants a server to fail? Slow connections, unsigned requests, bombs; from a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import hmac
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import uvloop

from benchmarks.bodies import SECRET, bodies, on_the_wire
from services.router.body import MAX_VALUES
from services.router.webhook import MAX_ELEMENTS

_SOURCES: Final = 5
"""Addresses of the loopback network that the slow ones come from: one address alone may not have so many connections."""
_PATIENCE_SECONDS: Final = 30.0
_UNSIGNED_CONNECTIONS: Final = 64
_BOMBERS: Final = 4
_LARGEST: Final = 4 * 1024 * 1024

_HEAD: Final = b"POST /webhooks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
_SIGNED_HEAD: Final = _HEAD + b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n\r\n"
_SLOW: Final[Mapping[str, tuple[bytes, bool]]] = {
    "silent": (b"", False),
    "half a line": (b"POST /webho", False),
    "half a header": (_HEAD[:-9], False),
    "half a body": (_SIGNED_HEAD + b"x" * 50_000, False),
    "a byte a second": (_SIGNED_HEAD, True),
}
"""What each sends at once, and whether it goes on with a byte a second."""


async def _slow(port: int, count: int, ends_at: float) -> dict[str, Any]:
    """As many connections as that all the time: one that is closed is opened again. How long each kind was borne at most."""
    longest = dict.fromkeys(_SLOW, 0.0)
    closed = refused = 0

    async def one(number: int) -> None:
        nonlocal closed, refused
        kind = list(_SLOW)[number % len(_SLOW)]
        data, goes_on = _SLOW[kind]
        source = f"127.0.1.{1 + number % _SOURCES}"
        await asyncio.sleep(number / count)
        while time.monotonic() < ends_at:
            began = time.monotonic()
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            except OSError:
                refused += 1
                await asyncio.sleep(0.1)
                continue
            with contextlib.suppress(ConnectionError):  # a reset ends it, too
                writer.write(data)
                await _until_closed(reader, writer, goes_on=goes_on)
            writer.close()
            longest[kind] = max(longest[kind], time.monotonic() - began)
            closed += 1

    await asyncio.gather(*map(one, range(count)))
    return {"closed": closed, "refused": refused, "longest_seconds": longest}


async def _until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, goes_on: bool) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                if not await reader.read(65_536):
                    return
        if goes_on and not writer.transport.is_closing():
            writer.write(b"x")


async def _unsigned(port: int, rate: int, ends_at: float) -> dict[str, Any]:
    """Requests with a signature of the right shape that nobody made, at that rate as long as they are taken.

    They are sent one behind the other without waiting for answers, each when it is due: how many were answered is the server's.
    """
    body = next(iter(bodies("messages", 1, tag="u"))).data
    request = on_the_wire(body, secret="nobody's")  # noqa: S106 - a wrong one
    began, sent, statuses = time.monotonic(), 0, dict[str, int]()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.1.9", 0))
        answers = asyncio.create_task(read(reader))
        await send(writer)
        answers.cancel()
        writer.transport.abort()

    async def send(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(ends_at - time.monotonic()):
                while True:
                    early = sent / rate - (time.monotonic() - began)
                    sent += 1
                    if early > 0:
                        await asyncio.sleep(early)
                    writer.write(request)
                    await writer.drain()

    async def read(reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                status = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode()
                statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(one() for _ in range(_UNSIGNED_CONNECTIONS)))
    seconds = time.monotonic() - began
    return {"per_second": sent / seconds, "answered": sum(statuses.values()) / seconds, "statuses": statuses}


def _signed(body: bytes, *headers: bytes) -> bytes:
    request = on_the_wire(body)
    return request.replace(b"Accept: */*\r\n", b"".join(header + b"\r\n" for header in headers), 1)


def _chunks() -> bytes:
    body = b"7" * 100_000
    head = (
        b"POST /webhooks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"X-Hub-Signature-256: sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex().encode() + b"\r\n\r\n"
    )
    return head + b"1\r\n7\r\n" * len(body) + b"0\r\n\r\n"


def _post(nth: int, *messages: Any) -> bytes:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": f"10654035224292{nth}"}, "messages": messages}
    changes = [{"field": "messages", "value": value}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}).encode()


def _valid(nth: int, count: int, text: str) -> bytes:
    return on_the_wire(
        _post(
            nth,
            *(
                {
                    "from": f"1650555{n:04d}",
                    "id": f"wamid.{n:08d}",
                    "timestamp": "1749416383",
                    "type": "text",
                    "text": {"body": text},
                }
                for n in range(count)
            ),
        )
    )


def _filled(nth: int, element: bytes, count: int) -> bytes:
    """So many of these in the place of messages."""
    return on_the_wire(_post(nth, "@").replace(b'"@"', b",".join([element] * count)))


_TEXT: Final = "Does it come in another color?"
VALID: Final[Mapping[str, Callable[[int], bytes]]] = {
    "3 MB of a thousand messages": lambda nth: _valid(nth, 1_000, _TEXT * 95),
    "10,000 messages": lambda nth: _valid(nth, 10_000, _TEXT),
    "3 MB of 21,000 messages": lambda nth: _valid(nth, 21_000, _TEXT),
}
"""As many as Meta puts into one at most, ten times as many, and as many as its longest webhook has room for.

Who sends says which of them it is: each writes for a number of its own.
"""
BOMBS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "48 KB of gzip that are 50 MB": lambda _: _signed(gzip.compress(bytes(50_000_000)), b"Content-Encoding: gzip"),
    "4 MiB of brackets": lambda _: on_the_wire(b"[" * _LARGEST),
    "4 MiB that are no JSON": lambda _: on_the_wire(b"x" * _LARGEST),
    "4 MiB, unsigned": lambda _: on_the_wire(b"x" * _LARGEST, secret="nobody's"),  # noqa: S106 - a wrong one
    "4 MiB of elements": lambda nth: _filled(nth, b"0", 2_090_000),
    "4 MiB of empty lists": lambda nth: _filled(nth, b"[]", 1_390_000),
    "4 MiB of objects": lambda nth: _filled(nth, b'{"a":0}', 520_000),
    "4 MiB of objects in objects": lambda nth: _filled(nth, b'{"a":' * 500 + b"0" + b"}" * 500, 1_390),
    "as many objects in objects as are read": lambda nth: _filled(nth, b'{"a":' * 500 + b"0" + b"}" * 500, MAX_VALUES // 501 - 1),
    "as many elements as are read, in 60 KB": lambda nth: _filled(nth, b"0", MAX_ELEMENTS),
    "as many of 130 bytes, with a damaged one": lambda nth: _filled(
        nth, b'"\xff",' + b",".join([b'{"a":"' + b"x" * 120 + b'"}'] * (MAX_ELEMENTS - 1)), 1
    ),
    "100,000 chunks of a byte": lambda _: _chunks(),
}


async def _bombs(port: int, kind: str, count: int) -> dict[str, Any]:
    """As many of one kind, a few at a time."""
    made, statuses, left = {**VALID, **BOMBS}[kind], dict[str, int](), count

    async def one(request: bytes) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            status = (await reader.readuntil(b"\r\n\r\n"))[9:12].decode()
            statuses[status] = statuses.get(status, 0) + 1
            writer.close()

    await asyncio.gather(*(one(made(nth)) for nth in range(_BOMBERS)))
    return {"statuses": statuses}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=["slow", "unsigned", *VALID, *BOMBS], required=True)
    parser.add_argument("--count", type=int, required=True, help="connections, requests a second, or bombs")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--core", type=int, required=True)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    ends_at = time.monotonic() + args.seconds
    attacks: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "slow": lambda: _slow(args.port, args.count, ends_at),
        "unsigned": lambda: _unsigned(args.port, args.count, ends_at),
    }
    attack = attacks.get(args.kind, lambda: _bombs(args.port, args.kind, args.count))

    async def run() -> dict[str, Any]:
        return await attack()

    print(json.dumps(asyncio.run(run())), flush=True)


if __name__ == "__main__":
    main()
