"""How does a dead letter go through the normal path again, once, whenever we die? Its record is appended where it came from.

A redriven record is the original one, in the topic and partition where it stood, with headers that say where that was. So it is
known again: of a webhook the router makes the same event ids as of the first one, and of all its elements only those that are
meant; what is in the other topics has its id in its value. A dead letter that it becomes stands under its new place.

Crash thinking: the effect is the append. The decision is committed before it, with the end of the partition as of then; where the
record stands is committed after it. Dying in between leaves a decision that is begun: whoever comes next reads on from that end,
and either finds the record by its redrive id and notes where it is, or notes that it was never appended, and the letter is open
again. One session of a database at a time decides. Bytes of a process that was killed could in theory reach the broker after that
look; the record would then be there twice, under one identity, and make the same events, rows and commands as one does.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.cli import dead_letters
from services.cli.dead_letters import Letter, Source, Unsettled
from services.cli.problem import CommandError
from services.cli.reading import kafka_failed
from services.common.domain import topics
from services.common.platform.envelope import REDRIVE_ID, Origin, header, redriven_from, redriven_headers
from services.common.platform.faults import fault
from services.common.platform.kafka import FETCH_BYTES, LogRecord, Producer, wait_for_topics
from services.common.platform.kafka_access import Brokers, client_options
from services.common.platform.registry import Connection
from services.router.routing import RECEIVED_AT
from services.router.webhook import OF_THE_WHOLE

BATCH: Final = 100
"""Letters between two commits."""
_KAFKA_SECONDS: Final = 20.0
_LOOK_MS: Final = 200
_SHORTENED: Final = "…"
_OUTPUT_OF: Final = {
    Source.ROUTER.group: topics.ROUTER_DEAD_LETTERS,
    Source.SENDER.group: topics.SENDER_DEAD_LETTERS,
}
"""What the projector sets aside is a row at once."""

TopicPlace = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`redriven` were appended, with the place where each stands; `refused` were not, and why."""

    redriven: list[tuple[Letter, str]] = field(default_factory=list)
    refused: list[tuple[Letter, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Append:
    """A record that is to be appended for some letters, which are elements of it."""

    letters: Sequence[Letter]
    record: LogRecord
    redrive_id: str


class Log:
    """What Kafka has and takes."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._consumer: Any = None
        self._admin: Any = None
        self._producer: Any = None
        self._partitions: dict[str, int] = {}

    async def start(self, stack: AsyncExitStack) -> None:
        """Connect; what is connected is closed with the stack."""
        self._consumer = AIOKafkaConsumer(
            **client_options(self._brokers),
            client_id="parley-dlq",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        stack.push_async_callback(self._consumer.stop)
        await self._consumer.start()
        self._admin = AIOKafkaAdminClient(**client_options(self._brokers), client_id="parley-dlq")
        stack.push_async_callback(self._admin.close)
        await self._admin.start()
        self._partitions = await wait_for_topics(self._brokers, topics.ALL, asyncio.Event())

        self._producer = Producer(bootstrap_servers=self._brokers, client_id="parley-dlq")
        stack.push_async_callback(self._producer.stop)
        await self._producer.start(asyncio.Event())

    async def ends(self, names: Iterable[str]) -> dict[TopicPlace, int]:
        """The end of each partition of these topics."""
        return await self._bounds(self._consumer.end_offsets, names)

    async def unread(self, names: Iterable[str], reached: Mapping[TopicPlace, int]) -> bool:
        """Some partition has records that were not read yet."""
        names = list(names)
        starts = await self._bounds(self._consumer.beginning_offsets, names)
        ends = await self.ends(names)
        return any(reached.get(place, starts[place]) < end for place, end in ends.items() if starts[place] < end)

    async def _bounds(self, ask: Any, names: Iterable[str]) -> dict[TopicPlace, int]:
        wanted = [TopicPartition(name, one) for name in names for one in range(self._partitions[name])]
        return {(one.topic, one.partition): offset for one, offset in (await ask(wanted)).items()}

    async def committed(self, group: str) -> dict[TopicPlace, int]:
        """How far a group has acknowledged; nothing where it never has."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        return {(one.topic, one.partition): told.offset for one, told in offsets.items()}

    async def record_at(self, origin: Origin) -> LogRecord | None:
        """The record; None when the topic does not hold it any more."""
        async for record in self._records(origin.topic, origin.partition, origin.offset):
            return record if record.offset == origin.offset else None
        return None

    async def redriven(self, topic: str, partition: int, looked_from: int) -> dict[str, int]:
        """Where the first record of each redrive id stands, from an offset of a partition to its end as of now."""
        found: dict[str, int] = {}
        async for record in self._records(topic, partition, looked_from):
            redrive_id = header(record, REDRIVE_ID)
            if redrive_id is not None:
                found.setdefault(redrive_id.decode("utf-8", "replace"), record.offset)
        return found

    async def _records(self, topic: str, partition: int, begin: int) -> AsyncIterator[LogRecord]:
        place = TopicPartition(topic, partition)
        self._consumer.assign([place])
        end = (await self._consumer.end_offsets([place]))[place]
        start = (await self._consumer.beginning_offsets([place]))[place]
        if max(begin, start) >= end:
            return
        self._consumer.seek(place, max(begin, start))
        while await self._consumer.position(place) < end:
            for record in (await self._consumer.getmany(place, timeout_ms=_LOOK_MS)).get(place, ()):
                if record.offset < end:
                    yield LogRecord.of(record)

    async def append(self, records: Sequence[LogRecord]) -> list[int]:
        """Append each to the partition that it names, whatever its key; the offsets."""
        waiting = []
        async with asyncio.timeout(_KAFKA_SECONDS):
            for record in records:
                batch = self._producer.new_batch()
                at = int(time.time() * 1000)
                batch.append(timestamp=at, key=record.key, value=record.value, headers=list(record.headers))
                waiting.append(await self._producer.submit(batch, record.topic, record.partition))
            return [told.offset for told in await asyncio.gather(*waiting)]


@asynccontextmanager
async def deciding(dsn: str) -> AsyncIterator[Connection]:
    """The session of who decides; CommandError when another one does."""
    connecting = psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5, application_name="parley-dlq")
    async with await connecting as connection:
        if not await dead_letters.is_alone(connection):
            raise CommandError("Another `parley dlq` is at work on this database.", hint="Nothing was done: try again after it.")
        yield connection


class Desk:
    """Where a session does its work: one connection and one log."""

    def __init__(self, connection: Connection, log: Log) -> None:
        self.connection, self._log = connection, log

    async def look(self) -> int:
        """Note what has become of redrives; how many of them are not known yet."""
        waiting = await dead_letters.unsettled(self.connection)
        begun = [one for one in waiting if one.appended_offset is None]
        if begun:
            await self._find(begun)
            waiting = await dead_letters.unsettled(self.connection)
        left = 0
        for group, of_group in groupby(sorted(waiting, key=lambda one: one.consumer_group), lambda one: one.consumer_group):
            left += await self._settle(group, list(of_group))
        return left

    async def _find(self, begun: Sequence[Unsettled]) -> None:
        """Of redrives that were interrupted: those whose record stands in the log, and those that did nothing."""
        offsets: dict[str, int] = {}
        for place in sorted({(one.topic, one.partition) for one in begun}):
            looked_from = min(one.looked_from for one in begun if (one.topic, one.partition) == place)
            offsets |= await self._log.redriven(*place, looked_from)
        there = {one.redrive_id: offsets[one.redrive_id] for one in begun if one.redrive_id in offsets}
        await dead_letters.note_appended(self.connection, there)
        nothing = {one.decision_id: "not_appended" for one in begun if one.redrive_id not in offsets}
        await dead_letters.note_outcomes(self.connection, nothing)

    async def _settle(self, group: str, waiting: Sequence[Unsettled]) -> int:
        """Of one service. First how far it has read, then what it has set aside by then: what is missing there went through."""
        is_projector = group == Source.PROJECTOR.group
        if is_projector:
            reached = await dead_letters.read_up_to(self.connection, group)
        else:
            reached = await self._log.committed(group)
        done = [(one, at) for one in waiting if (at := one.appended_offset or 0) < reached.get((one.topic, one.partition), 0)]
        if not done:
            return len(waiting)
        if not is_projector:
            rows = await dead_letters.read_up_to(self.connection, Source.PROJECTOR.group)
            if await self._log.unread([_OUTPUT_OF[group]], rows):
                return len(waiting)
        places = sorted({(one.topic, one.partition, at) for one, at in done})
        again = await dead_letters.set_aside_again(self.connection, places)
        outcomes: dict[int, str] = {}
        for place in places:
            elements = {one.pointer: one.decision_id for one, at in done if (one.topic, one.partition, at) == place}
            returned = {nearest(pointer, elements) for pointer in again.get(place, ())}
            outcomes |= {id_: "returned" if pointer in returned else "resolved" for pointer, id_ in elements.items()}
        await dead_letters.note_outcomes(self.connection, outcomes)
        return len(waiting) - len(outcomes)

    async def redrive(self, letters: Sequence[Letter], *, who: str, why: str) -> Report:
        """Append what they are of. Elements of one webhook go together, in one record."""
        report = Report()
        by_record = groupby(sorted(letters, key=lambda one: one[:4]), lambda one: Origin(*one[:3]))
        whole = [(origin, list(elements)) for origin, elements in by_record]
        for start in range(0, len(whole), BATCH):
            appends = []
            for origin, elements in whole[start : start + BATCH]:
                fit = self._fit(elements, report)
                if fit and (one := await self._append_of(origin, fit, report)) is not None:
                    appends.append(one)
            await self._append(appends, report, who=who, why=why)
        return report

    @staticmethod
    def _fit(letters: Sequence[Letter], report: Report) -> list[Letter]:
        """Without those that nobody could know again."""
        fit = []
        for letter in letters:
            if letter.topic not in topics.ALL or letter.topic in topics.DEAD_LETTERS:
                report.refused.append((letter, "it does not say from which topic it came"))
            elif letter.consumer_group not in tuple(source.group for source in Source):
                report.refused.append((letter, "it does not say which service set it aside"))
            elif _SHORTENED in letter.pointer:
                report.refused.append((letter, "its pointer is too long to be kept whole"))
            else:
                fit.append(letter)
        return fit

    async def _append_of(self, origin: Origin, letters: Sequence[Letter], report: Report) -> _Append | None:
        pointers = [] if origin.topic != topics.WEBHOOKS else [letter.pointer for letter in letters]
        if OF_THE_WHOLE.intersection(pointers):
            pointers = []
        if pointers:
            # What stands around an element gives it its number and its account: only the webhook has that.
            record = await self._log.record_at(origin)
            why = "its webhook is no longer in the log: Kafka has deleted what is that old"
        else:
            found = await dead_letters.kept(self.connection, letters[0])
            record = None if found is None else found.record
            why = "it is no longer there: a rebuild of the read models could read it"
            if record is not None and record.value is None:
                record, why = None, "there are no bytes of it: it had none, or more than a dead letter holds"
        if record is None:
            report.refused.extend((letter, why) for letter in letters)
            return None
        redrive_id = str(uuid.uuid4())
        headers = list(record.headers)
        if origin.topic == topics.WEBHOOKS and header(record, RECEIVED_AT) is None:
            headers.append((RECEIVED_AT, str(record.appended_at).encode()))
        first = redriven_from(record) or origin
        headers = redriven_headers(headers, origin=first, pointers=pointers, redrive_id=redrive_id)
        return _Append(letters=letters, record=record._replace(headers=headers), redrive_id=redrive_id)

    async def _append(self, appends: Sequence[_Append], report: Report, *, who: str, why: str) -> None:
        if not appends:
            return
        ends = await self._log.ends({one.record.topic for one in appends})
        of_each = [(letter, one) for one in appends for letter in one.letters]
        await dead_letters.begin_redrive(
            self.connection,
            [letter for letter, _ in of_each],
            who=who,
            why=why,
            redrive_ids=[one.redrive_id for _, one in of_each],
            looked_from=[ends[one.record.topic, one.record.partition] for _, one in of_each],
        )
        fault("cli.after_redrive_begun")
        offsets = await self._log.append([one.record for one in appends])
        fault("cli.after_redrive_appended")
        await dead_letters.note_appended(
            self.connection, {one.redrive_id: offset for one, offset in zip(appends, offsets, strict=True)}
        )
        for one, offset in zip(appends, offsets, strict=True):
            place = f"{one.record.topic}/{one.record.partition}/{offset}"
            report.redriven.extend((letter, place) for letter in one.letters)


def nearest(pointer: str, elements: Iterable[str]) -> str:
    """Which of these, each in an element of its own, points into the same element: it has most of the way in common."""
    steps = pointer.split("/")

    def in_common(other: str) -> int:
        count = 0
        for one, another in zip(steps, other.split("/"), strict=False):
            if one != another:
                break
            count += 1
        return count

    return max(sorted(elements), key=in_common)


@asynccontextmanager
async def at_desk(dsn: str, brokers: Brokers) -> AsyncIterator[Desk]:
    """For one run; CommandError when another one is at work or Kafka does not answer."""
    async with deciding(dsn) as connection, AsyncExitStack() as stack:
        log = Log(brokers)
        try:
            async with asyncio.timeout(_KAFKA_SECONDS):
                await log.start(stack)
            yield Desk(connection, log)
        except (KafkaError, TimeoutError) as problem:
            raise kafka_failed(problem) from None
