"""How are the read models made anew? From the log into tables beside the live ones, which then change places.

The same decoding, folding and statements as the live projector; no consumer group, nothing is ever produced. Live projectors go
on all the time: they are locked out twice, for the moment in which the last records are read, once to compare and once to swap;
after the swap their next transaction finds the new tables. Crash thinking: everything before the swap is beside, and goes on
from its own positions when it is begun again; the swap is one transaction.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import IsolationLevel

from services.common.domain.topics import DEAD_LETTERS, PROJECTOR_SOURCES
from services.common.platform import faults, logging
from services.common.platform.avro import Codec
from services.common.platform.kafka import FETCH_BYTES, wait_for_topics
from services.common.platform.kafka_access import Brokers, client_options
from services.common.platform.lifecycle import PATIENT_THRESHOLDS, make_busy
from services.common.platform.postgres import is_transient, pool
from services.projector import comparison, shadow
from services.projector.batch import HoleError, Partition
from services.projector.comparison import Compared
from services.projector.decode import GROUP, Decoder
from services.projector.fold import FAMILIES, TABLES, rules_for, sources_of
from services.projector.part import Part, PartFailed, apply_in_processes, divided, work
from services.projector.projections import dead_letters
from services.projector.replaying import STALLED_SECONDS, Replay, ReplayStalled, Step, Told, between
from services.projector.shadow import LIVE, OLD, SHADOW, Connection, Design
from services.projector.store import Store
from services.projector.worker import Worker

log = logging.get(__name__)

NEARLY_THERE: Final = 2_000
"""Records left when projectors are locked out: a part of a second's work."""
KAFKA_SECONDS: Final = 20.0
LOCK_SECONDS: Final = 5
SWAP_TRIES: Final = 10


class RebuildRefused(Exception):  # noqa: N818 - what happened
    """The live tables were not changed. The text says why; `is_void` when what was built is of no use and was dropped."""

    def __init__(self, text: str, *, is_void: bool = True) -> None:
        super().__init__(text)
        self.is_void = is_void


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be rebuilt. Times are milliseconds.

    `projections`: names of tables, or of families of them (`contacts` is also their aliases and moves); none is all of them.
    Others stay as they are, and so do the live positions.

    `since`: the tables begin as a copy of the live ones, and the log is applied on top, from the first record that Kafka has of
    that time or later. Every merge is a join, so to apply a record again changes nothing and to apply one that was missed mends
    the row. What should never have been in a row stays in it: only a rebuild from the beginning removes something.
    """

    projections: tuple[str, ...] = ()
    since: int | None = None
    is_fresh: bool = False
    """Do not go on with what an interrupted rebuild left."""
    compare_only: bool = False
    processes: int = 1
    """That read and apply; each has a core's worth of work, and Postgres about half of that for each."""

    def __post_init__(self) -> None:
        """ValueError for a name of no projection."""
        known = _tables_by_name()
        if unknown := [name for name in self.projections if name not in known]:
            raise ValueError(f"there is no projection {', '.join(unknown)}; there are {', '.join(known)}")

    @property
    def tables(self) -> tuple[str, ...]:
        """In the order in which they are written."""
        known = _tables_by_name()
        wanted = {table for name in self.projections or known for table in known[name]}
        return tuple([table.name for table in TABLES if table.name in wanted])


def _tables_by_name() -> dict[str, tuple[str, ...]]:
    families = {family: tuple([table.name for table in tables]) for family, tables in FAMILIES.items()}
    return {**{table.name: (table.name,) for table in TABLES}, **families}


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What was done. `records` were applied by this run in `replay_seconds`; `resumed` tells that an earlier one had begun.

    `tables` compares the rebuilt tables with the live ones, before a swap; `differences` are those in which rows differ.
    """

    records: int
    seconds: float
    replay_seconds: float
    resumed: bool
    swapped: bool
    tables: tuple[Compared, ...]
    differences: tuple[Compared, ...]


def _nobody(_step: Step) -> None:
    return None


async def rebuild(
    wish: Wish,
    *,
    bootstrap_servers: Brokers,
    dsn: str,
    told: Told = _nobody,
    stalled_seconds: float = STALLED_SECONDS,
) -> RebuildReport:
    """Build beside, compare and swap, or with `compare_only` build beside, compare and drop.

    `dsn` is the operator's: it owns the tables. After a swap the old tables stay in schema `projector_old` until `drop_old` or
    the next swap. Interrupted, it goes on where it was when it is called again for the same, unless the live tables got another
    shape or the code changed meanwhile.
    """
    started = time.monotonic()
    tables = wish.tables
    sources = sources_of(tables)
    async with AsyncExitStack() as stack:
        operator = await _operator(stack, dsn)
        consumer = await new_consumer(stack, bootstrap_servers)
        try:
            site = await Site.begin(operator, consumer, wish, tables, await partitions_of(bootstrap_servers, sources), told=told)
            begin_at, began = site.begin_at, time.monotonic()
            if wish.processes > 1:
                begin_at = await _in_parts(operator, site, wish, bootstrap_servers=bootstrap_servers, dsn=dsn, told=told)
            applied, in_parts = between(site.begin_at, begin_at), time.monotonic() - began
            worker = await _worker(stack, dsn, tables)
            replay = Replay(consumer, worker, begin=begin_at, told=told, stalled_seconds=stalled_seconds)
            compared = await _Finish(operator, dsn, site, replay, told).run(swaps=not wish.compare_only)
        except ReplayStalled:
            await shadow.drop(operator, SHADOW)
            raise RebuildRefused("the log did not give the records that the live tables have; is this the right Kafka?") from None
        except PartFailed:
            raise RebuildRefused("one of its processes ended; begin again, it goes on from here", is_void=False) from None
        except HoleError as hole:
            await shadow.drop(operator, SHADOW)
            raise RebuildRefused(f"{hole}; begin again") from None
        except RebuildRefused as refused:
            if refused.is_void:
                await shadow.drop(operator, SHADOW)
            raise
    return RebuildReport(
        records=replay.records + applied,
        seconds=time.monotonic() - started,
        replay_seconds=in_parts + replay.seconds,
        resumed=site.is_resumed,
        swapped=not wish.compare_only,
        tables=tuple(compared),
        differences=tuple([one for one in compared if one.differs]),
    )


async def apply_part(part: Part) -> None:
    """What one of several processes does."""
    async with AsyncExitStack() as stack:
        consumer = await new_consumer(stack, part.bootstrap_servers)
        worker = await _worker(stack, part.dsn, part.tables)
        begin = {(topic, partition): offset for topic, partition, offset, _ in part.places}
        end = {(topic, partition): offset for topic, partition, _, offset in part.places}
        await Replay(consumer, worker, begin=begin, told=_nobody).until(end)


async def _in_parts(
    operator: Connection, site: Site, wish: Wish, *, bootstrap_servers: Brokers, dsn: str, told: Told
) -> dict[Partition, int]:
    """Let several processes come to where the live tables are now; where that is."""
    end = await shadow.positions(operator, LIVE, projection=GROUP)
    total = between(site.begin_at, end)

    async def look() -> None:
        reached = await shadow.positions(operator, SHADOW, projection=GROUP)
        told(Step(text="Reading the log", done=between(site.begin_at, reached), total=total))

    parts = [
        Part(bootstrap_servers=bootstrap_servers, dsn=dsn, tables=wish.tables, places=tuple(places))
        for places in divided(site.begin_at, end, wish.processes)
    ]
    await apply_in_processes(parts, look)
    reached = await shadow.positions(operator, SHADOW, projection=GROUP)
    return {place: reached.get(place, offset) for place, offset in site.begin_at.items()}


async def _worker(stack: AsyncExitStack, dsn: str, tables: Sequence[str]) -> Worker:
    connections = pool(dsn, service="rebuild", size=2, search_path=SHADOW)
    await connections.open()
    stack.push_async_callback(connections.close, timeout=1.0)
    store = Store(connections, projection=GROUP, rules=rules_for(tables), begins=False)
    return Worker(store=store, decoder=Decoder(Codec()), stopping=asyncio.Event())


async def drop_old(dsn: str) -> bool:
    """Drop the tables that the last swap replaced; False when there are none."""
    async with AsyncExitStack() as stack:
        operator = await _operator(stack, dsn)
        is_there = await shadow.is_there(operator, OLD)
        await shadow.drop(operator, OLD)
        return is_there


async def partitions_of(bootstrap_servers: Brokers, topics: Sequence[str] = PROJECTOR_SOURCES) -> list[TopicPartition]:
    """Every partition of these topics; TimeoutError when Kafka does not answer."""
    async with asyncio.timeout(KAFKA_SECONDS):
        found = await wait_for_topics(bootstrap_servers, topics, asyncio.Event())
    return [TopicPartition(topic, partition) for topic, count in found.items() for partition in range(count)]


async def _operator(stack: AsyncExitStack, dsn: str) -> Connection:
    """The connection that makes and swaps tables, alone in its database."""
    operator = await stack.enter_async_context(
        await psycopg.AsyncConnection.connect(dsn, autocommit=True, application_name="parley-rebuild", connect_timeout=5)
    )
    try:
        await shadow.one_at_a_time(operator)
    except psycopg.errors.LockNotAvailable:
        raise RebuildRefused("another parley rebuild is at work in this database", is_void=False) from None
    return operator


async def new_consumer(stack: AsyncExitStack, bootstrap_servers: Brokers) -> Any:
    """Without a group, started, and stopped with the stack. It has no place until it is given one."""
    consumer = AIOKafkaConsumer(
        **client_options(bootstrap_servers),
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        auto_offset_reset="none",
    )
    stack.push_async_callback(consumer.stop)
    await consumer.start()
    return consumer


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The tables that are being built, and where the reading of the log goes on."""

    designs: Sequence[Design]
    tables: tuple[str, ...]
    is_whole: bool
    """All tables are built, so the positions change places with them."""
    begin_at: Mapping[Partition, int]
    is_resumed: bool
    lacks_dead_letters: bool
    """Some of those that the live table has came by records that are deleted by now."""

    @classmethod
    async def begin(
        cls,
        operator: Connection,
        consumer: Any,
        wish: Wish,
        tables: tuple[str, ...],
        partitions: Sequence[TopicPartition],
        *,
        told: Told,
    ) -> Site:
        """Go on with what is there if it is the same, else begin; RebuildRefused if the log cannot give every row."""
        consumer.assign(partitions)
        starts = by_place(await consumer.beginning_offsets(partitions))
        ends = by_place(await consumer.end_offsets(partitions))
        designs = await shadow.designs(operator, tables, schema=SHADOW)
        mark = shadow.mark(designs, since=wish.since)
        begin = await _interrupted(operator, mark, starts, ends) if not wish.is_fresh else None
        is_resumed = begin is not None
        if begin is None:
            told(Step(text="Making tables"))
            begin = await _first_offsets(operator, consumer, starts, wish.since)
            await shadow.create(
                operator, designs, schema=SHADOW, mark=mark, begin=begin, projection=GROUP, is_copy=wish.since is not None
            )
            begin = await shadow.positions(operator, SHADOW, projection=GROUP)
        is_deleted = any(start > 0 for (topic, _), start in starts.items() if topic in DEAD_LETTERS)
        return cls(
            designs=designs,
            tables=tables,
            is_whole=len(tables) == len(TABLES),
            begin_at={place: begin[place] for place in starts},
            is_resumed=is_resumed,
            lacks_dead_letters=dead_letters.TABLE.name in tables and is_deleted,
        )


async def _interrupted(
    operator: Connection, mark: str, starts: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, int] | None:
    """Where an earlier run was, if it was building the same from a log that still goes on there."""
    if await shadow.mark_of(operator, SHADOW) != mark:
        return None
    reached = await shadow.positions(operator, SHADOW, projection=GROUP)
    is_going_on = all(place in reached and start <= reached[place] <= ends[place] for place, start in starts.items())
    return reached if is_going_on else None


async def _first_offsets(
    operator: Connection, consumer: Any, starts: Mapping[Partition, int], since: int | None
) -> dict[Partition, int]:
    """The beginning of each partition. With `since`, what is of that time or later, but nothing that the live tables lack."""
    if since is None:
        lost = sorted(f"{topic}/{partition}" for (topic, partition), at in starts.items() if at and topic not in DEAD_LETTERS)
        if lost:
            raise RebuildRefused(f"the log no longer begins at offset 0 in {', '.join(lost)}: rows would be lost")
        return dict(starts)
    live = await shadow.positions(operator, LIVE, projection=GROUP)
    lost = sorted(f"{place[0]}/{place[1]}" for place, start in starts.items() if live.get(place, start) < start)
    if lost:
        raise RebuildRefused(f"records that the live tables have not read are deleted in {', '.join(lost)}")
    found = await offsets_at(consumer, starts, since)
    return {place: min(found.get(place, at), at) for place, at in ((p, live.get(p, start)) for p, start in starts.items())}


async def offsets_at(consumer: Any, places: Mapping[Partition, int], at: int) -> dict[Partition, int]:
    """The first offset in each partition that Kafka has of this time (milliseconds) or later; absent where there is none."""
    found = await consumer.offsets_for_times({TopicPartition(*place): at for place in places})
    return {(tp.topic, tp.partition): one.offset for tp, one in found.items() if one is not None}


class _Finish:
    """Catches up with the live tables, compares, and ends it before they move again."""

    def __init__(self, operator: Connection, dsn: str, site: Site, replay: Replay, told: Told) -> None:
        self._operator, self._dsn, self._site, self._replay, self._told = operator, dsn, site, replay, told

    async def run(self, *, swaps: bool) -> list[Compared]:
        """What both sides were before the swap, which is the last that happens; without it what was built is dropped."""
        await self._catch_up()
        if swaps:
            self._told(Step(text="Making indexes"))
            await shadow.complete(self._operator, self._site.designs)
        async with await psycopg.AsyncConnection.connect(self._dsn, application_name="parley-rebuild") as reader:
            await reader.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await self._while_nothing_moves(lambda: self._look(reader))
            compared = await comparison.compare(
                reader, self._site.tables, lambda table: self._told(Step(text=f"Comparing {table}"))
            )
        if swaps:
            await self._while_nothing_moves(self._swap)
        else:
            await shadow.drop(self._operator, SHADOW)
        return compared

    async def _catch_up(self) -> None:
        target = await self._live()
        while self._replay.missing(target) > NEARLY_THERE:
            await self._replay.until(target)
            target = await self._live()

    async def _while_nothing_moves(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it while both sides have read the same."""
        for _ in range(SWAP_TRIES):
            await self._catch_up()
            if self._site.lacks_dead_letters:
                await shadow.keep_dead_letters(self._operator, group=GROUP)
            try:
                async with self._operator.transaction():
                    await self._operator.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                    await shadow.lock_out_writers(self._operator)
                    live = await self._live()
                    await self._replay.until(live)
                    await self._check(live)
                    await work()
            except psycopg.Error as problem:
                # A reader's long transaction or a deadlock with one: nothing changed, the projectors go on meanwhile.
                if not is_transient(problem):
                    raise
                log.warning("rebuild.lock_missed", error=type(problem).__name__)
            else:
                return
        said = f"readers held the tables each of {SWAP_TRIES} times for over {LOCK_SECONDS} s; try again, it goes on from here"
        raise RebuildRefused(said, is_void=False)

    async def _check(self, live: Mapping[Partition, int]) -> None:
        """What is built must itself say that it is as far: a crash of Postgres may have emptied it."""
        built = await shadow.positions(self._operator, SHADOW, projection=GROUP)
        if any(built.get(place) != offset for place, offset in live.items()):
            raise HoleError("the tables that were built have not what was read into them, as after a crash of Postgres")

    async def _look(self, reader: Connection) -> None:
        """From here on it sees what is there now, whatever comes after."""
        await shadow.drop_months(reader, self._site.tables)
        await reader.commit()
        await reader.execute("SELECT 1")

    async def _swap(self) -> None:
        tables = self._site.tables
        await shadow.drop_months(self._operator, tables)
        if self._site.is_whole:
            await shadow.forget_unread(self._operator)
            tables = (*tables, shadow.POSITIONS)
        await shadow.swap(self._operator, tables)

    async def _live(self) -> dict[Partition, int]:
        reached = await shadow.positions(self._operator, LIVE, projection=GROUP)
        read = {topic for topic, _ in self._site.begin_at}
        return {place: offset for place, offset in reached.items() if place[0] in read}


def by_place(offsets: Mapping[TopicPartition, int]) -> dict[Partition, int]:
    """By topic and partition, as positions are."""
    return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}


def main() -> None:
    """The process of a part."""
    logging.configure(service="rebuild", instance="part", level="WARNING")
    faults.arm(os.environ.get("PARLEY_FAULT"))
    make_busy(garbage_thresholds=PATIENT_THRESHOLDS)
    asyncio.run(work(apply_part))


if __name__ == "__main__":
    main()
