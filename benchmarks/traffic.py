"""What does Meta do at a steady rate, and when is each message a row? Paced webhooks, and looks at Postgres.

Requests are due at fixed instants whatever the answers do: a slow answer delays no later request as long as a connection is free.
At rate 0 all are due at once: each connection sends the next one when it has its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
import uvloop

from benchmarks.bodies import KINDS, Body, bodies, on_the_wire

_LOOK_SECONDS: Final = 0.002
_ROWS_SECONDS: Final = 30.0
_BY_KIND: Final = {
    "messages": "SELECT wamid FROM projector.messages WHERE wamid = ANY(%s) AND event_id IS NOT NULL",
    "statuses": "SELECT wamid || ' ' || status FROM projector.message_statuses WHERE wamid = ANY(%s)",
}
_STATUSES: Final = ("sent", "delivered", "read")


class Watch:
    """Which rows are waited for, since when, and how long the ones that came had taken."""

    def __init__(self) -> None:
        self.waiting: dict[str, float] = {}
        self.milliseconds: list[float] = []
        self.sending = True

    async def run(self, dsn: str, kind: str) -> None:
        """Ask again and again until every row has come; TimeoutError when some do not."""
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            _take_along(connection.info.backend_pid)
            ends_at = None
            while self.sending or self.waiting:
                if self.waiting:
                    wanted = list({name.partition(" ")[0] for name in self.waiting})
                    rows = await (await connection.execute(_BY_KIND[kind], (wanted,), prepare=True)).fetchall()
                    self._found(rows)
                await asyncio.sleep(_LOOK_SECONDS)
                if not self.sending:
                    ends_at = ends_at or time.monotonic() + _ROWS_SECONDS
                    if time.monotonic() > ends_at:
                        raise TimeoutError(f"{len(self.waiting)} rows did not come")

    def _found(self, rows: Sequence[tuple[Any, ...]]) -> None:
        now = time.perf_counter()
        for (name,) in rows:
            began = self.waiting.pop(name, None)
            if began is not None:
                self.milliseconds.append(round((now - began) * 1000, 3))


def _take_along(backend: int) -> None:
    """Postgres' process for the observer's session goes to the observer's core, where it can be moved."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(backend, os.sched_getaffinity(0))


class Meta:
    """Connections to ingest, and what came back."""

    def __init__(self, port: int, watch: Watch | None) -> None:
        self._port, self._watch = port, watch
        self.accepted = 0
        self.refused = 0
        self.late = 0.0
        self.answers: list[float] = []
        """Milliseconds from when a request was due: one that had to wait for a free connection waited, too."""

    async def post(self, work: Iterator[tuple[float, str, bytes]], connections: int) -> None:
        """Every request, by as many connections."""
        await asyncio.gather(*(self._connection(work) for _ in range(connections)))

    async def _connection(self, work: Iterator[tuple[float, str, bytes]]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for due, name, request in work:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self.late = max(self.late, -wait)
            if self._watch is not None:
                self._watch.waiting[name] = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.answers.append(round((time.perf_counter() - due) * 1000, 3))
            if head.startswith(b"HTTP/1.1 200"):
                self.accepted += 1
            else:
                self.refused += 1
        writer.close()


async def _run(args: argparse.Namespace) -> dict[str, Any]:
    made = [
        (_name(args.kind, n, body), on_the_wire(body.data)) for n, body in enumerate(bodies(args.kind, args.count, tag=args.tag))
    ]
    watch = Watch() if args.dsn else None
    looking = asyncio.create_task(watch.run(args.dsn, args.kind)) if watch is not None else None
    meta = Meta(args.port, watch)
    began = time.perf_counter() + 0.2
    between = 1 / args.rate if args.rate else 0.0
    await meta.post(iter([(began + n * between, *one) for n, one in enumerate(made)]), args.connections)
    seconds = time.perf_counter() - began
    if watch is not None and looking is not None:
        watch.sending = False
        await looking
    return {
        "accepted": meta.accepted,
        "refused": meta.refused,
        "seconds": seconds,
        "worst_late_seconds": meta.late,
        "answer_milliseconds": meta.answers if args.rate else [],
        "milliseconds": watch.milliseconds if watch is not None else [],
    }


def _name(kind: str, n: int, body: Body) -> str:
    return f"{body.wamid} {_STATUSES[n % len(_STATUSES)]}" if kind == "statuses" else str(body.wamid)


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tag", required=True, help="makes message ids differ from those of other runs")
    parser.add_argument("--dsn", help="watch for the rows, for kinds messages and statuses")
    parser.add_argument("--core", type=int, required=True)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(_run(args))))


if __name__ == "__main__":
    main()
