"""Is what was fetched while the flow stood still read again, also where nothing was ever committed?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from services.common.domain import topics
from services.common.platform.kafka import LogRecord, NewRecord
from services.common.platform.stream import Positions, Stream
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.waiting import wait_for

RECORDS: Final = 12
SECONDS: Final = 30.0
FETCH_SECONDS: Final = 1.5
"""Longer than a fetch waits for records."""


class Reader:
    """A stream, what it has read, and how often its pump has sought back since the flow was first stopped."""

    def __init__(self, bootstrap_servers: str, positions: Positions | None = None) -> None:
        self.read = Counter[bytes]()
        self.seeks = 0
        self.stream = Stream[Sequence[LogRecord]](
            group="parley.test-stream",
            topics=(topics.CONSENT_RECORDS,),
            bootstrap_servers=bootstrap_servers,
            instance="1",
            prepare=self._prepare,
            commit=self._commit,
            refuse=lambda record, _: [record],
            before_ack="router.after_emit_before_commit",
            on_revoke="router.on_revoke",
            on_assign="router.on_assign",
            buffer_bytes=1 << 20,
            shown_seconds=1.0,
            strike_out=True,
            positions=positions,
        )

    async def _prepare(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        return records

    async def _commit(self, records: Sequence[LogRecord]) -> None:
        self.read.update(record.value or b"" for record in records)

    def count_seeks(self) -> Any:
        """Faust's consumer, whose seeks are counted from now on."""
        consumer = self.stream._app.consumer
        seek = consumer.seek_to_committed

        async def counted() -> Mapping[Any, int]:
            offsets: Mapping[Any, int] = await seek()
            self.seeks += 1
            if self.seeks == 1:  # as where partitions are given to somebody else meanwhile
                raise IllegalStateError("No current assignment for partition")
            return offsets

        consumer.seek_to_committed = counted
        return consumer


async def until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return when it holds; the loop goes on meanwhile."""
    await asyncio.to_thread(wait_for, condition, seconds, what)


def test_what_was_fetched_while_the_flow_stood_still_is_read(cluster: Kafka) -> None:
    """As in a rebalance: the pump leaves out what comes meanwhile, and seeks back to what is committed, which is nothing."""

    async def play() -> tuple[Counter[bytes], list[bytes]]:
        reader, stopping, sent = Reader(cluster.bootstrap_servers), asyncio.Event(), list[bytes]()
        running = asyncio.create_task(reader.stream.run(stopping))
        try:
            await until(lambda: reader.stream.why_not_ready() is None, "the stream to be ready")
            consumer = reader.count_seeks()
            while not reader.seeks:
                consumer.stop_flow()
                values = [f"{len(sent) + n}".encode() for n in range(RECORDS)]
                await asyncio.to_thread(
                    log.append,
                    cluster.bootstrap_servers,
                    [NewRecord(topics.CONSENT_RECORDS, value, value, ()) for value in values],
                )
                sent += values
                with suppress(AssertionError):  # no fetch was under way
                    await until(lambda: reader.seeks > 0, "a seek", FETCH_SECONDS)
                consumer.resume_flow()
            await until(lambda: len(reader.read) >= len(sent), "everything to be read")
        finally:
            stopping.set()
            await running
        return reader.read, sent

    read, sent = asyncio.run(play())
    assert read == Counter(sent)


class Asked(Reader):
    """A reader that keeps positions of its own, has read nothing, and knows what was not fetched when it was asked for them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.partitions: set[TopicPartition] = set()
        self.not_fetched: set[TopicPartition] = set()
        super().__init__(bootstrap_servers, positions=self)

    async def next_offsets(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """None."""
        self.partitions, self.not_fetched = {TopicPartition(*place) for place in partitions}, self.paused()
        return {}

    def paused(self) -> set[TopicPartition]:
        """What aiokafka does not fetch now."""
        return set(self.stream._app.consumer._thread._consumer.paused())


def test_nothing_is_fetched_between_an_assignment_and_its_seek(cluster: Kafka) -> None:
    """A broker answers a connection in turn: behind a fetch of silent partitions each question of the seek took 1.5 s."""

    async def play() -> None:
        reader, stopping = Asked(cluster.bootstrap_servers), asyncio.Event()
        running = asyncio.create_task(reader.stream.run(stopping))
        try:
            await until(lambda: reader.stream.why_not_ready() is None, "the stream to be ready")
            assert reader.partitions
            assert reader.not_fetched == reader.partitions
            assert reader.paused() == set()
        finally:
            stopping.set()
            await running

    asyncio.run(play())
