"""How does a rebuild use several cores? By processes of its own, each with some of the partitions, up to where it is told.

What it has to do a process reads from stdin, where no list of processes shows it. Stdin stays open as long as there is somebody
to work for: a rebuild that was killed leaves no parts behind.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import orjson

from services.common.platform import logging
from services.common.platform.kafka_access import Access, Brokers
from services.common.platform.lifecycle import EXIT_FATAL, exit_now
from services.projector.batch import Partition

log = logging.get(__name__)

MODULE: Final = "services.projector.rebuild"
_LOOK_SECONDS: Final = 0.5


class PartFailed(Exception):  # noqa: N818 - what happened
    """A process ended before its work did. Its log line says why; what it committed stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Partitions and for each where to begin and where to end: topic, partition, offset, offset."""

    bootstrap_servers: Brokers
    dsn: str
    tables: tuple[str, ...]
    places: tuple[tuple[str, int, int, int], ...]

    @classmethod
    def read(cls, line: str) -> Self:
        """From what `written` wrote."""
        given = orjson.loads(line)
        servers = given["bootstrap_servers"]
        return cls(
            bootstrap_servers=servers if isinstance(servers, str) else Access(**servers),
            dsn=given["dsn"],
            tables=tuple(given["tables"]),
            places=tuple(tuple(place) for place in given["places"]),
        )

    def written(self) -> bytes:
        """One line."""
        return orjson.dumps(asdict(self)) + b"\n"


def divided(begin: Mapping[Partition, int], end: Mapping[Partition, int], parts: int) -> list[list[tuple[str, int, int, int]]]:
    """By the number of the partition, whatever the topic: what is told of one conversation has one number in all topics, and
    two processes that write the same rows would wait for each other."""
    places: list[list[tuple[str, int, int, int]]] = [[] for _ in range(parts)]
    for (topic, partition), offset in sorted(begin.items()):
        if offset < end.get((topic, partition), 0):
            places[partition % parts].append((topic, partition, offset, end[topic, partition]))
    return [part for part in places if part]


async def apply_in_processes(parts: Sequence[Part], look: Callable[[], Awaitable[None]]) -> None:
    """Return when all have ended well; PartFailed as soon as one has not. `look` is called now and then meanwhile."""
    async with AsyncExitStack() as stack:
        ending: set[asyncio.Task[int]] = set()
        for part in parts:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", MODULE, stdin=asyncio.subprocess.PIPE, start_new_session=True
            )
            if process.stdin is None:
                raise PartFailed
            stack.push_async_callback(process.wait)
            stack.callback(process.stdin.close)
            process.stdin.write(part.written())
            ending.add(asyncio.create_task(process.wait()))
        while ending:
            ended, ending = await asyncio.wait(ending, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result() for task in ended):
                raise PartFailed
            await look()


async def work(apply: Callable[[Part], Coroutine[Any, Any, None]]) -> None:
    """In the process of a part, which ends here: with exit code 0 when everything is durable."""
    line = await asyncio.to_thread(sys.stdin.readline)
    working = asyncio.create_task(apply(Part.read(line)))
    deserted = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({working, deserted}, return_when=asyncio.FIRST_COMPLETED)
    problem = working.exception() if working.done() else None
    if problem is not None:
        log.error("rebuild.part_failed", error=type(problem).__name__)
    exit_now(0 if working.done() and problem is None else EXIT_FATAL)
