"""What happens to a batch? Decode, apply, and never give up on anything that passes by itself.

A record that will never work is a dead letter: a row in the same transaction, exactly once, and a record of the dead-letter
topic before the commit, at least once. Postgres away, a deadlock or Kafka not taking a dead letter: the batch is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import psycopg
from aiokafka.errors import KafkaError
from psycopg_pool import PoolTimeout

from services.common.domain.failure import Unprocessable
from services.common.domain.loud_stops import DeadLetterLimit
from services.common.domain.reasons import Reason
from services.common.domain.topics import PROJECTOR_DEAD_LETTERS
from services.common.platform import logging, metrics
from services.common.platform.envelope import dead_letter
from services.common.platform.faults import fault
from services.common.platform.kafka import LogRecord, NewRecord, in_turns
from services.common.platform.lifecycle import exit_now, sleep_unless
from services.common.platform.postgres import Retries, is_transient
from services.projector.batch import Partition, Progress, Read
from services.projector.decode import GROUP, Decoder, set_aside
from services.projector.fold import Event
from services.projector.store import Folded, Store, is_about_data

log = logging.get(__name__)

T = TypeVar("T")
Publish = Callable[[Sequence[NewRecord]], Awaitable[None]]
"""Returns when the brokers have the records."""

PUBLISH_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 2.0


class Worker:
    """Applies batches to a store. `publish` takes dead letters; without it (a rebuild) they are rows only.

    `wanted` says which events are to make rows: by default all. `limit` is how many dead letters there may be: by default any.
    `on_abandon` is awaited before a wait that was asked to stop ends the process.
    """

    def __init__(
        self,
        *,
        store: Store,
        decoder: Decoder,
        stopping: asyncio.Event,
        publish: Publish | None = None,
        wanted: Callable[[Event], bool] | None = None,
        limit: DeadLetterLimit | None = None,
        on_abandon: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store, self._decoder, self._stopping, self._publish = store, decoder, stopping, publish
        self._wanted, self._on_abandon = wanted, on_abandon
        self._limit = DeadLetterLimit(is_on=False) if limit is None else limit
        self._is_heeded = False
        """Whether what Postgres refuses of the batch in hand has been counted: a batch may be tried often."""

    async def prepare(self, records: Sequence[LogRecord]) -> Folded:
        """What the records mean and which rows they make; those that mean nothing are dead letters."""
        fault("projector.after_fetch")
        return self._store.folded([self._read(record) async for few in in_turns(records) for record in few])

    def refuse(self, record: LogRecord, problem: Unprocessable) -> Folded:
        """What a record comes to that is set aside unread."""
        return self._store.folded([self._aside(record, problem)])

    async def commit(self, batch: Folded) -> None:
        """Return when the batch is durable; see `Stream`."""
        self._is_heeded = False
        progress = await self._insist(lambda: self.apply(batch))
        metrics.RECORDS_SKIPPED.labels(GROUP).inc(len(batch.batch) - len(progress.fresh))
        if self._publish is None:
            return  # what is read again is no news
        for read in progress.fresh:
            if read.problem is not None:
                metrics.DEAD_LETTERS.labels(GROUP, read.problem.reason).inc()
                log.warning("record.dead_lettered", reason=str(read.problem.reason), pointer=read.problem.pointer)

    async def next_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Where to read on; waits for Postgres. See `Positions`."""
        stored = await self._insist(self._store.next_offsets)
        return {place: stored[place] for place in partitions if place in stored}

    def _read(self, record: LogRecord) -> Read:
        try:
            read = Read(record, self._decoder.decode(record))
        except Unprocessable as problem:
            read = self._aside(record, problem)
        else:
            self._limit.good()
        if self._wanted is not None and read.event is not None and not self._wanted(read.event):
            return Read(record, None)
        return read

    def _aside(self, record: LogRecord, problem: Unprocessable) -> Read:
        self._limit.dead()
        return Read(record, set_aside(record, problem), problem)

    async def apply(self, batch: Folded) -> Progress:
        """Apply a batch. If Postgres refuses a value, find the records that carry one and set them aside."""
        try:
            return await self._store.apply(batch, self._publish_dead_letters)
        except psycopg.Error as problem:
            if not is_about_data(problem):
                raise
            log.warning("batch.refused", error=type(problem).__name__, sqlstate=problem.sqlstate)
            refused = {read.record[:3] for read in await self._refused(batch.batch)}
            if not refused:
                raise
        if not self._is_heeded:
            self._is_heeded = True
            for _ in refused:
                self._limit.dead()
        without = [_refuse(read) if read.record[:3] in refused else read for read in batch.batch]
        return await self._store.apply(self._store.folded(without), self._publish_dead_letters)

    async def _refused(self, batch: Sequence[Read]) -> list[Read]:
        """The records that Postgres does not take even alone, by halving."""
        if not batch or await self._store.accepts(batch):
            return []
        if len(batch) == 1:
            return list(batch)
        middle = len(batch) // 2
        return [*await self._refused(batch[:middle]), *await self._refused(batch[middle:])]

    async def _publish_dead_letters(self, fresh: Sequence[Read]) -> None:
        dead = [
            dead_letter(read.record, read.problem, topic=PROJECTOR_DEAD_LETTERS, group=GROUP, value=read.record.value)
            for read in fresh
            if read.problem is not None
        ]
        if dead and self._publish is not None:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._publish(dead)

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat until it works, whatever passes by itself. Asked to stop meanwhile: end the process, nothing is acknowledged."""
        wait = 0.05
        retries = Retries("batch.retry", service="projector")
        while True:
            try:
                done = await work()
            except (psycopg.Error, PoolTimeout, KafkaError, TimeoutError) as problem:
                if isinstance(problem, psycopg.Error) and not is_transient(problem):
                    raise
                retries.failed(problem)
            else:
                retries.worked()
                return done
            if await sleep_unless(self._stopping, wait):
                log.warning("batch.abandoned")
                if self._on_abandon is not None:
                    await self._on_abandon()
                exit_now(0)
            wait = min(LONGEST_WAIT_SECONDS, wait * 2)


def _refuse(read: Read) -> Read:
    problem = Unprocessable(Reason.VALUE_RANGE, detail="refused by Postgres")
    return Read(read.record, set_aside(read.record, problem), problem)
