"""How do rows and positions get into Postgres? In one transaction a batch, so that either both are there or neither.

Crash thinking: the transaction is the effect. Before its commit nothing has happened; after it the position says so, and the
same records read again are dropped. The locked position rows keep a process that was believed dead from writing twice.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import AsyncPipeline

from services.common.platform.faults import fault
from services.common.platform.postgres import Pool
from services.common.platform.statements import queries
from services.projector.arrays import Array
from services.projector.batch import HoleError, Partition, Progress, Read, advance, first_offsets
from services.projector.fold import EVERY, TABLES, Rules, fold
from services.projector.projections.table import Kind, Table

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
BeforeCommit = Callable[[Sequence[Read]], Awaitable[None]]
"""Called with the new records, inside the transaction and before its commit."""

SQL: Final = queries("services.projector")
_PLACE: Final = re.compile(r"%\((\w+)\)s")
_DATA_CLASSES: Final = ("22", "23", "54")


class Folded(NamedTuple):
    """A batch, and the upserts that it comes to if all of it is new: it nearly always is."""

    batch: Sequence[Read]
    upserts: Sequence[tuple[bytes, Sequence[Array]]]


def folded(batch: Sequence[Read], rules: Rules = EVERY) -> Folded:
    """All that can be done about a batch before its transaction begins."""
    return Folded(batch, _upserts(batch, rules))


class Store:
    """The tables of one schema, found by the pool's search_path, and the positions of one projection in them.

    `rules` make rows of all tables or of some. Unless it `begins`, it refuses a partition that has no position: its tables were
    given one for each when they were made.
    """

    def __init__(self, pool: Pool, *, projection: str, rules: Rules = EVERY, begins: bool = True) -> None:
        self._pool, self._projection, self._rules, self._begins = pool, projection, rules, begins

    def folded(self, batch: Sequence[Read]) -> Folded:
        """What a batch comes to in these tables."""
        return folded(batch, self._rules)

    async def next_offsets(self) -> dict[Partition, int]:
        """Where to read on in each partition that was read before."""
        async with self._pool.connection() as connection:
            found = await connection.execute(SQL["next_offsets"], {"projection": self._projection})
            return {(topic, partition): offset for topic, partition, offset in await found.fetchall()}

    async def is_there(self) -> bool:
        """Whether the tables exist and may be written."""
        async with self._pool.connection() as connection:
            answer = await (await connection.execute(SQL["schema_is_there"])).fetchone()
            return bool(answer and answer[0])

    async def keep_months(self, kept: int) -> tuple[int, int]:
        """Make the parts of this month and the next two, drop those that ended `kept` months before (0: none); how many each.

        Rows whose month is not there stand in the rest until it is made. What is dropped is in the log still.
        """
        async with self._pool.connection() as connection:
            [(added, dropped)] = await (await connection.execute(SQL["keep_months"], {"kept": kept})).fetchall()
            return added, dropped

    async def room_until(self) -> int:
        """When the last month that was made ends, in seconds of Unix time."""
        async with self._pool.connection() as connection:
            [(until,)] = await (await connection.execute(SQL["room_until"])).fetchall()
            return int(until)

    async def apply(self, batch: Folded, before_commit: BeforeCommit) -> Progress:
        """Make the rows and positions of a batch durable together; records that the tables have are dropped.

        Raises what Postgres raises, with nothing changed, and HoleError when a record is missing.
        """
        first = first_offsets(batch.batch)
        # The commit is sent behind the statements without waiting for them: if one fails, Postgres passes over what follows.
        # What is waited for before that comes after a sync, else no time-out ends a session whose client stands still (ADR 35).
        async with self._pool.connection() as connection, connection.pipeline() as pipeline, connection.transaction():
            progress = advance(batch.batch, await self._hold(connection, pipeline, first))
            if progress.fresh:
                all_new = len(progress.fresh) == len(batch.batch)
                await _write(connection, batch.upserts if all_new else _upserts(progress.fresh, self._rules))
                await self._save(connection, progress)
                if any(read.problem is not None for read in progress.fresh):
                    await pipeline.sync()
                await before_commit(progress.fresh)
            fault("projector.before_pg_commit")
        return progress

    async def accepts(self, batch: Sequence[Read]) -> bool:
        """Whether Postgres would take the rows of these records; changes nothing."""
        async with self._pool.connection() as connection:
            try:
                async with connection.pipeline() as pipeline, connection.transaction(force_rollback=True):
                    await _write(connection, _upserts(batch, self._rules))
                    await pipeline.sync()
            except psycopg.Error as problem:
                if not is_about_data(problem):
                    raise
                return False
            return True

    async def _hold(
        self, connection: Connection, pipeline: AsyncPipeline, first: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        held = await self._locked(connection, pipeline, first)
        missing = {place: offset for place, offset in first.items() if place not in held}
        if missing and not self._begins:
            raise HoleError(f"{len(missing)} partitions have no position any more, as after a crash of Postgres")
        if missing:
            await connection.execute(SQL["begin_positions"], {"projection": self._projection, **_places(missing)})
            held = await self._locked(connection, pipeline, first)
        return held

    async def _locked(
        self, connection: Connection, pipeline: AsyncPipeline, places: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        rows = await connection.execute(SQL["hold_positions"], {"projection": self._projection, **_places(places)})
        await pipeline.sync()
        return {(topic, partition): offset for topic, partition, offset in await rows.fetchall()}

    async def _save(self, connection: Connection, progress: Progress) -> None:
        last_record_at = Array(Kind.INSTANT, [progress.appended_at.get(place) for place in progress.reached])
        places = _places(progress.reached)
        await connection.execute(
            SQL["save_positions"], {"projection": self._projection, **places, "last_record_at": last_record_at}
        )


def is_about_data(problem: BaseException) -> bool:
    """True when a value is at fault, and the same transaction would fail for ever."""
    return isinstance(problem, psycopg.Error) and (problem.sqlstate or "")[:2] in _DATA_CLASSES


def _numbered(table: Table) -> str:
    """The statement with `$n` for the nth column: psycopg parses one as long as ours at every call otherwise."""
    numbers = {name: f"${n}" for n, name in enumerate(table.columns, start=1)}
    return _PLACE.sub(lambda place: numbers[place[1]], SQL[f"upsert_{table.name}"])


_UPSERTS: Final = tuple((table.name, _numbered(table).encode(), tuple(table.columns.values())) for table in TABLES)


def _upserts(reads: Iterable[Read], rules: Rules) -> list[tuple[bytes, Sequence[Array]]]:
    rows = fold([read.event for read in reads if read.event is not None], rules)
    return [
        (statement, [Array(kind, column) for kind, column in zip(kinds, zip(*rows[name], strict=True), strict=True)])
        for name, statement, kinds in _UPSERTS
        if name in rows
    ]


async def _write(connection: Connection, upserts: Iterable[tuple[bytes, Sequence[Array]]]) -> None:
    async with psycopg.AsyncRawCursor(connection) as cursor:
        for statement, columns in upserts:
            await cursor.execute(statement, columns)


def _places(offsets: Mapping[Partition, int]) -> dict[str, Array]:
    return {
        "topics": Array(Kind.TEXT, [topic for topic, _ in offsets]),
        "partitions": Array(Kind.INT4, [partition for _, partition in offsets]),
        "next_offsets": Array(Kind.INT8, list(offsets.values())),
    }
