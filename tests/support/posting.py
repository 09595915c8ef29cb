"""How does a test post webhooks from many connections at once, as fast as they are answered, and remember every answer?"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from typing import Final, Self

import uvloop

from services.common.domain.topics import WEBHOOKS
from tests.support import log
from tests.support.http import post

NOT_ANSWERED: Final = 0
_AGAIN_SECONDS: Final = 0.02
_END_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Signed:
    """A webhook as bytes on the wire, and the digest of its body."""

    request: bytes
    digest: bytes

    @classmethod
    def of(cls, body: bytes, secret: str) -> Signed:
        return cls(post(body, secret=secret), hashlib.sha256(body).digest())


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a post; monotonic seconds. Status NOT_ANSWERED: the connection ended, or there was none."""

    began: float
    ended: float
    status: int
    digest: bytes

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Posting:
    """Connections that post one webhook after the other, each as soon as the one before is answered, until the block ends.

    `pools` has the webhooks of each connection, which it posts again and again. Who is cut off comes again. With `gap_seconds`
    each waits so long in between.
    """

    def __init__(self, port: int, pools: Sequence[Sequence[Signed]], *, gap_seconds: float = 0.0) -> None:
        self._port, self._pools, self._gap_seconds = port, pools, gap_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(_END_SECONDS)
        assert not self._thread.is_alive(), "a post without an answer"

    def since(self, at: float) -> list[Answer]:
        """The answers to what was posted from that moment on."""
        return [one for one in list(self.answers) if one.began >= at]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._post_all())

    async def _post_all(self) -> None:
        await asyncio.gather(*map(self._connection, self._pools))

    async def _connection(self, pool: Sequence[Signed]) -> None:
        ways: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for one in cycle(pool):
            if self._stopping.is_set():
                break
            began, head = time.monotonic(), b""
            with suppress(OSError, asyncio.IncompleteReadError):
                ways = ways or await asyncio.open_connection("127.0.0.1", self._port)
                ways[1].write(one.request)
                head = await ways[0].readuntil(b"\r\n\r\n")
            status = int(head[9:12]) if head else NOT_ANSWERED
            self.answers.append(Answer(began, time.monotonic(), status, one.digest))
            if ways is not None and (status == NOT_ANSWERED or b"\r\nConnection: close" in head):
                ways[1].transport.abort()
                ways = None
            if pause := max(self._gap_seconds, _AGAIN_SECONDS if status == NOT_ANSWERED else 0.0):
                await asyncio.sleep(pause)
        if ways is not None:
            ways[1].transport.abort()


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """How many of each."""
    return Counter(one.status for one in answers)


def not_in_the_log(bootstrap_servers: str, answers: Sequence[Answer]) -> Counter[bytes]:
    """Digests that were answered 200 more often than the log has their bytes."""
    there = Counter(hashlib.sha256(record.value or b"").digest() for record in log.read(bootstrap_servers, WEBHOOKS))
    return Counter(one.digest for one in answers if one.status == 200) - there
