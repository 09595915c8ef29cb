"""How do commands get from the lanes' topics into Postgres? Postgres is the parking place; nothing ever blocks a partition.

Crash thinking: the offset is committed after the rows are durable. Dying in between reads the same records again, finds their
ids known, and changes nothing; an outcome that was there already is told again under the same id. A record that kills the process
at each start is set aside by the marks that stand beside the committed offsets (domain/strikes.py).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.domain.arrears import Arrears
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.loud_stops import DeadLetterLimit, LoudStop, SchemaUnknown, check_hole, check_log_range
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.common.domain.strikes import Strikes
from services.common.domain.topics import SENDER_DEAD_LETTERS, SENDER_SOURCES
from services.common.platform import logging, metrics, postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.common.platform.envelope import dead_letter
from services.common.platform.faults import fault
from services.common.platform.kafka import LogRecord, NewRecord, Producer, careful, committed_with_marks, struck_out
from services.common.platform.lifecycle import Rounds, sleep_unless
from services.sender import commands, outcomes
from services.sender.commands import TakenIn
from services.sender.store import Store

log = logging.get(__name__)

GROUP: Final = "parley.sender"
_BATCH: Final = 250
_ROUND_SECONDS: Final = 0.025
"""How far apart commands are taken in at least: fetching and a transaction cost as much as ten of them."""
_POLL_MS: Final = 250
_COMMIT_SECONDS: Final = 0.25
_COMMIT_LIMIT_SECONDS: Final = 3.0
_MEASURE_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
"""A record that kills does it sooner. What takes longer waits for Postgres or Kafka."""


class Notify(Protocol):
    """Called when commands of a number are in Postgres."""

    def __call__(self, phone_number_id: str, shard: int, count: int, /) -> None: ...


def _nobody(_phone_number_id: str, _shard: int, _count: int, /) -> None:
    """Before anybody listens nothing has been read."""


class Intake:
    """Reads the lanes for as long as the process lives."""

    def __init__(
        self,
        *,
        store: Store,
        producer: Producer,
        codec: Codec,
        partitions: Mapping[str, int],
        sublanes: Mapping[str, int],
        lifetimes: Mapping[Lane, float],
        limit: DeadLetterLimit,
        strike_out: bool,
        calm: asyncio.Event,
        told: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        """`calm` is set once nothing is in hand that a life before has died at."""
        self._store, self._producer, self._codec = store, producer, codec
        self._partitions, self._sublanes, self._lifetimes = partitions, sublanes, lifetimes
        self._limit = limit
        self._calm, self._told, self._stopping = calm, told, stopping
        self._consumer: AIOKafkaConsumer | None = None
        self._notify: Notify = _nobody
        self._uncommitted: dict[TopicPartition, int] = {}
        self._next: dict[TopicPartition, int] = {}
        self._arrears = Arrears()
        self._expected: dict[TopicPartition, int] = {}
        """Where each partition goes on, as far as that is known of this assignment."""
        self._is_looked_at = False
        self._strikes: Strikes[TopicPartition] = Strikes(life=uuid.uuid4().hex, reach=_BATCH, is_on=strike_out)
        self._committed_at = time.monotonic()

    async def run(self, consumer: AIOKafkaConsumer, notify: Notify) -> None:
        """Read until asked to stop; `notify` hears of every number that got commands. LoudStop: what no restart mends."""
        self._consumer, self._notify = consumer, notify
        rounds = Rounds(_ROUND_SECONDS)
        while not self._stopping.is_set():
            if not self._strikes.is_careful(self._expected):
                await rounds.begin()
            await self._look_at_positions(consumer)
            if self._is_looked_at and not self._strikes.are_apart(self._expected):
                self._calm.set()
            most = 1 if self._strikes.is_careful(self._expected) else _BATCH
            fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=_POLL_MS, max_records=most)
            await self._look_at_gaps(consumer, fetched)
            records = [LogRecord.of(record) for batch in fetched.values() for record in batch]
            for place, batch in fetched.items():
                self._next[place] = batch[0].offset
                self._arrears.took(place, offset=batch[0].offset, appended_at=batch[0].timestamp)
            is_apart = await self._begin(consumer, {place: batch[0].offset for place, batch in fetched.items()})
            if records and await self._take_heeding(records, is_apart=is_apart):
                self._strikes.done(fetched)
                for place, batch in fetched.items():
                    self._uncommitted[place] = self._next[place] = batch[-1].offset + 1
                    self._arrears.finished(place, offset=batch[0].offset, appended_at=batch[-1].timestamp)
            if is_apart or time.monotonic() - self._committed_at >= _COMMIT_SECONDS:
                await self.commit()
        await self.commit()

    async def watch(self) -> None:
        """Tell how far behind the reading is, until asked to stop; also while a batch waits for Postgres."""
        while not await sleep_unless(self._stopping, _MEASURE_SECONDS):
            if self._consumer is not None:
                self._measure(self._consumer)

    def begin(self) -> None:
        """Partitions were assigned anew."""
        self._expected, self._is_looked_at = {}, False

    async def _look_at_positions(self, consumer: AIOKafkaConsumer) -> None:
        """Once for each assignment: aiokafka begins anew, silently, where the position is no longer in the log."""
        if self._is_looked_at:
            return
        known = self._expected
        assigned = sorted(consumer.assignment())
        try:
            async with asyncio.timeout(_COMMIT_LIMIT_SECONDS):
                committed = await committed_with_marks(consumer, assigned)
                starts, ends = await _range(consumer, assigned)
                positions = {place: await consumer.position(place) for place in assigned}
        except (KafkaError, TimeoutError) as problem:
            log.warning("kafka.unreachable", error=type(problem).__name__)
            return
        for place, (offset, _) in committed.items():
            check_log_range(place.topic, place.partition, offset, start=starts[place], end=ends[place])
        if self._expected is known:
            for place, strikes in self._strikes.assigned(committed, ends).items():
                careful(place.topic, place.partition, committed[place][0], strikes, group=GROUP)
        # Not what is committed: a fetch that was under way when the partitions came has gone further.
        known.update(positions)
        self._is_looked_at = self._expected is known

    async def _look_at_gaps(self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """Nobody writes to the lanes in transactions: where offsets are missing, or begin anew, commands are lost."""
        expected = self._expected
        for place, batch in fetched.items():
            after, following = batch[-1].offset + 1, expected.get(place, batch[0].offset)
            if batch[0].offset != following or after - following != len(batch):
                starts, ends = await _range(consumer, [place])
                check_log_range(place.topic, place.partition, following, start=starts[place], end=ends[place])
                for record, offset in zip(batch, count(following), strict=False):
                    check_hole(place.topic, place.partition, offset, record.offset)
            expected[place] = after

    async def _begin(self, consumer: AIOKafkaConsumer, firsts: Mapping[TopicPartition, int]) -> bool:
        """Write the marks that must stand before a batch begins; True when its end is to be committed at once."""
        is_apart = self._strikes.are_apart(firsts)
        if marks := self._strikes.begin(firsts):
            await _commit(consumer, marks)
        return is_apart

    async def _take_heeding(self, records: Sequence[LogRecord], *, is_apart: bool) -> bool:
        """Take them in; what ends the process, or takes long, but is not the records' doing, is not at their cost."""
        try:
            if not is_apart:
                return await self._take(records)
            work = asyncio.ensure_future(self._take(records))
            done, _ = await asyncio.wait({work}, timeout=_PATIENCE_SECONDS)
            if not done:
                await self.commit()
            return await work
        except (KafkaError, OSError, LoudStop):
            await self.commit()
            raise

    async def commit(self) -> None:
        """Tell Kafka how far the rows are. Failing is harmless: what is read again is recognised.

        Called while records are in hand it says that dying is not their doing from now on.
        """
        offsets: dict[TopicPartition, tuple[int, str]] = self._strikes.withdraw()
        offsets |= {place: (offset, "") for place, offset in self._uncommitted.items()}
        self._uncommitted = {}
        self._committed_at = time.monotonic()
        if self._consumer is None:
            return
        if not offsets:
            return
        await _commit(self._consumer, offsets)

    async def _take(self, records: Sequence[LogRecord]) -> bool:
        """True when every record is a row, a known row or a dead letter."""
        now = now_ms()
        taken: list[TakenIn] = []
        dead: list[NewRecord] = []
        for record in records:
            try:
                if self._strikes.is_out(TopicPartition(record.topic, record.partition), record.offset):
                    raise struck_out(record, group=GROUP)
                command = commands.read(
                    record,
                    self._codec,
                    partitions=self._partitions[record.topic],
                    sublanes=self._sublanes,
                    now=now,
                    lifetimes=self._lifetimes,
                )
            except Unprocessable as problem:
                if problem.reason is Reason.UNKNOWN_SCHEMA and self._codec.is_newer(record.value or b""):
                    raise SchemaUnknown(f"{record.topic}: {problem.detail}") from None
                self._limit.dead()
                metrics.DEAD_LETTERS.labels(GROUP, problem.reason).inc()
                dead.append(dead_letter(record, problem, topic=SENDER_DEAD_LETTERS, group=GROUP, value=record.value))
            else:
                self._limit.good()
                if command is None:
                    metrics.TOMBSTONES.labels(GROUP).inc()
                else:
                    taken.append(command)
        done = await self._set_aside(dead) and (not taken or await self._keep(taken))
        if done:
            fault("sender.after_intake_before_commit")
            for topic, number in Counter(record.topic for record in records).items():
                metrics.RECORDS_PROCESSED.labels(GROUP, topic).inc(number)
            metrics.RECORD_AGE_SECONDS.labels(GROUP).observe(max(0.0, (now_ms() - records[0].appended_at) / 1000))
        return done

    async def _set_aside(self, dead: Sequence[NewRecord]) -> bool:
        """True when the brokers have every dead letter; False when asked to stop before that."""
        if not dead:
            return True
        appending = asyncio.create_task(self._producer.append_all(dead, self._partitions))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({appending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not appending.done():
            appending.cancel()
            return False
        appending.result()
        return True

    async def _keep(self, taken: Sequence[TakenIn]) -> bool:
        """Make rows of new commands and answer known ones; False when asked to stop before Postgres took them."""
        first: dict[str, TakenIn] = {}
        for command in taken:
            first.setdefault(command.message.command_id, command)
        unique = list(first.values())
        new = await postgres.retrying(lambda: self._store.take_in(unique), service="sender", stopping=self._stopping)
        if new is None:
            return False
        again = [
            command
            for command in taken
            if command is not first[command.message.command_id] or command.message.command_id not in new
        ]
        if again and not await self._answer_again(again):
            return False
        counts = Counter(
            (command.message.phone_number_id, command.shard) for command in unique if command.message.command_id in new
        )
        for (phone_number_id, shard), number in counts.items():
            self._notify(phone_number_id, shard, number)
        return True

    async def _answer_again(self, again: Sequence[TakenIn]) -> bool:
        """The same command once more: its outcome once more. Another command under its id: a conflict."""
        wanted = {command.message.command_id for command in again}
        known = await postgres.retrying(lambda: self._store.known(wanted), service="sender", stopping=self._stopping)
        if known is None:
            return False
        tell: list[tuple[int, SendOutcome]] = []
        for command in again:
            kept = known[command.message.command_id]
            if kept.fingerprint != command.fingerprint:
                metrics.SEND_COMMANDS_REPEATED.labels("conflict").inc()
                tell.append((command.shard, outcomes.conflict(command, at=now_ms())))
                continue
            metrics.SEND_COMMANDS_REPEATED.labels("same").inc()
            if kept.outcome is not None:
                tell.append((command.shard, kept.outcome))
            else:
                self._notify(command.message.phone_number_id, command.shard, 0)
        if not tell:
            return True
        told = await postgres.retrying(lambda: self._tell(tell), service="sender", stopping=self._stopping)
        return told is not None

    async def _tell(self, outcomes_: Sequence[tuple[int, SendOutcome]]) -> bool:
        await self._store.tell(outcomes_)
        self._told.set()
        return True

    def _measure(self, consumer: AIOKafkaConsumer) -> None:
        """Of partitions that brought something since they were assigned; one that never did has nothing to read."""
        assigned = consumer.assignment()
        self._next = {place: offset for place, offset in self._next.items() if place in assigned}
        left = {place: max(0, (consumer.highwater(place) or 0) - offset) for place, offset in self._next.items()}
        metrics.CONSUMER_LAG.labels(GROUP).set(sum(left.values()))
        for topic, seconds in self._arrears.ages(SENDER_SOURCES, left, now=now_ms()).items():
            metrics.OLDEST_UNPROCESSED_SECONDS.labels(GROUP, topic).set(seconds)


async def _commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
    """Failing is harmless: a position that was not told is read again, a mark that was not written counts nothing."""
    try:
        async with asyncio.timeout(_COMMIT_LIMIT_SECONDS):
            await consumer.commit(offsets)
    except (KafkaError, TimeoutError) as problem:
        log.info("intake.commit_failed", error=type(problem).__name__)


async def _range(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    """Where the log begins and ends there."""
    return await consumer.beginning_offsets(places), await consumer.end_offsets(places)
