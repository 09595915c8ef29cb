"""How are the read models made anew? From offset 0 into tables beside the live ones, which then change places.

The same decoding, folding and statements as the live projector; no consumer group, nothing is ever produced. Live projectors go
on all the time: before the swap they are locked out for the moment in which the last records are read, after it their next
transaction finds the new positions. Crash thinking: everything before the swap is beside; the swap is one transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.domain.topics import DEAD_LETTERS, PROJECTOR_SOURCES
from services.common.platform import logging
from services.common.platform.avro import Codec
from services.common.platform.kafka import FETCH_BYTES, LogRecord
from services.common.platform.postgres import Pool, is_transient, pool
from services.projector import shadow
from services.projector.batch import Partition
from services.projector.decode import GROUP, Decoder
from services.projector.shadow import Connection, Difference
from services.projector.store import Store
from services.projector.worker import Worker

log = logging.get(__name__)

BATCH: Final = 2_000
NEARLY_THERE: Final = 2_000
"""Records left when projectors are locked out: about a second's work."""
LOCK_SECONDS: Final = 5
STALLED_SECONDS: Final = 60.0
SWAP_TRIES: Final = 10


class RebuildRefused(Exception):  # noqa: N818 - what happened
    """The rebuild would not be true, so nothing was changed. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What was done. `differences` is filled by `compare_only`."""

    records: int
    seconds: float
    swapped: bool
    differences: tuple[Difference, ...] = ()


async def rebuild(
    *,
    bootstrap_servers: str,
    dsn: str,
    compare_only: bool = False,
    drop_old: bool = False,
    stalled_seconds: float = STALLED_SECONDS,
) -> RebuildReport:
    """Build beside and swap, or with `compare_only` build beside, compare and drop.

    `dsn` is the operator's: it owns the tables. After a swap the old tables stay in schema `projector_old` until the next
    rebuild, unless `drop_old`.
    """
    started = time.monotonic()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as operator:
        await shadow.create(operator)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
            auto_offset_reset="none",
        )
        await consumer.start()
        try:
            replay = await Replay.begin(consumer, dsn, stalled_seconds=stalled_seconds)
            try:
                differences = await _finish(operator, replay, compare_only=compare_only)
            finally:
                await replay.close()
        except BaseException:
            await shadow.drop(operator, shadow.SHADOW)
            raise
        finally:
            await consumer.stop()
        if compare_only:
            await shadow.drop(operator, shadow.SHADOW)
        elif drop_old:
            await shadow.drop(operator, shadow.OLD)
    return RebuildReport(
        records=replay.records,
        seconds=time.monotonic() - started,
        swapped=not compare_only,
        differences=tuple(differences),
    )


async def _finish(operator: Connection, replay: Replay, *, compare_only: bool) -> list[Difference]:
    """Catch up with the live tables, and once there, end it before they move again."""
    for _ in range(SWAP_TRIES):
        target = await shadow.live_positions(operator, projection=GROUP)
        while replay.missing(target) > NEARLY_THERE:
            await replay.until(target)
            target = await shadow.live_positions(operator, projection=GROUP)
        try:
            return await _finish_locked(operator, replay, compare_only=compare_only)
        except psycopg.Error as problem:
            # A reader's long transaction or a deadlock with one: nothing changed, the projectors go on meanwhile.
            if not is_transient(problem):
                raise
            log.warning("rebuild.lock_missed", error=type(problem).__name__)
    raise RebuildRefused(f"readers held the tables each of {SWAP_TRIES} times for over {LOCK_SECONDS} s; try again later")


async def _finish_locked(operator: Connection, replay: Replay, *, compare_only: bool) -> list[Difference]:
    async with operator.transaction():
        await operator.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        await shadow.lock_out_writers(operator)
        await replay.until(await shadow.live_positions(operator, projection=GROUP))
        await shadow.drop_months(operator)
        if replay.dead_letters_expired:
            await shadow.keep_dead_letters(operator, group=GROUP)
        if compare_only:
            return await shadow.differences(operator)
        await shadow.swap(operator)
        return []


class Replay:
    """Reads every source from its beginning and applies it to the shadow tables, never past a given target."""

    def __init__(
        self, consumer: Any, worker: Worker, connections: Pool, *, dead_letters_expired: bool, stalled_seconds: float
    ) -> None:
        self._consumer, self._worker, self._connections = consumer, worker, connections
        self._stalled_seconds = stalled_seconds
        self._reached: dict[Partition, int] = {}
        self.dead_letters_expired = dead_letters_expired
        self.records = 0

    @classmethod
    async def begin(cls, consumer: Any, dsn: str, *, stalled_seconds: float) -> Replay:
        """Stand at the beginning of every partition; RebuildRefused if a system of record does not begin at 0."""
        await consumer._client.set_topics(PROJECTOR_SOURCES)  # noqa: SLF001 - metadata without a subscription has no public way
        partitions = [TopicPartition(t, p) for t in PROJECTOR_SOURCES for p in sorted(consumer.partitions_for_topic(t) or ())]
        starts = await consumer.beginning_offsets(partitions)
        expired = [tp for tp, start in starts.items() if start > 0]
        lost = sorted(f"{tp.topic}/{tp.partition}" for tp in expired if tp.topic not in DEAD_LETTERS)
        if lost:
            raise RebuildRefused(f"the log no longer begins at offset 0 in {', '.join(lost)}: rows would be lost")
        consumer.assign(partitions)
        for tp, start in starts.items():
            consumer.seek(tp, start)
        connections = pool(dsn, service="rebuild", size=2, search_path=shadow.SHADOW)
        await connections.open()
        worker = Worker(store=Store(connections, projection=GROUP), decoder=Decoder(Codec()), stopping=asyncio.Event())
        replay = cls(consumer, worker, connections, dead_letters_expired=bool(expired), stalled_seconds=stalled_seconds)
        replay._reached = {(tp.topic, tp.partition): start for tp, start in starts.items()}
        return replay

    async def close(self) -> None:
        """Give the connections back."""
        await self._connections.close(timeout=1.0)

    def missing(self, target: Mapping[Partition, int]) -> int:
        """Offsets between here and there."""
        return sum(max(0, offset - self._reached.get(place, 0)) for place, offset in target.items())

    async def until(self, target: Mapping[Partition, int]) -> None:
        """Apply every record before the target, and none after."""
        progress_at = time.monotonic()
        while self.missing(target):
            self._flow(target)
            fetched = await self._consumer.getmany(timeout_ms=500, max_records=BATCH)
            due = [LogRecord.of(r) for tp, records in fetched.items() for r in records if r.offset < _end(target, tp)]
            for tp, records in fetched.items():
                if records[-1].offset >= _end(target, tp):
                    self._consumer.seek(tp, max(_end(target, tp), records[0].offset))
            if due:
                await self._apply(due)
                progress_at = time.monotonic()
            elif time.monotonic() - progress_at > self._stalled_seconds:
                raise RebuildRefused("the log did not give the records that the live tables have; is this the right Kafka?")

    def _flow(self, target: Mapping[Partition, int]) -> None:
        """Fetch only where something is due."""
        for place, offset in self._reached.items():
            tp = TopicPartition(*place)
            if offset < target.get(place, 0):
                self._consumer.resume(tp)
            else:
                self._consumer.pause(tp)

    async def _apply(self, due: Sequence[LogRecord]) -> None:
        await self._worker.commit(await self._worker.prepare(due))
        self.records += len(due)
        for record in due:
            self._reached[record.topic, record.partition] = record.offset + 1


def _end(target: Mapping[Partition, int], tp: TopicPartition) -> int:
    return target.get((tp.topic, tp.partition), 0)
