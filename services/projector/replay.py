"""What does the log say of one person, one number or one time? Its events in tables of their own, to be asked by an operator.

The same decoding, folding and statements as the live projector, which goes on and is not touched; no consumer group, nothing is
ever produced. The tables are like the live ones, hold texts and numbers in clear, and belong to whoever asked; nobody else may
read them. They are unlogged: what is asked again is made again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from services.common.platform.avro import Codec
from services.common.platform.kafka_access import Brokers
from services.common.platform.postgres import pool
from services.common.platform.statements import queries
from services.projector import shadow
from services.projector.batch import Partition
from services.projector.concerning import Span, Subject
from services.projector.decode import GROUP, Decoder
from services.projector.fold import TABLES
from services.projector.projections.contacts import digits
from services.projector.rebuild import by_place, new_consumer, offsets_at, partitions_of
from services.projector.replaying import STALLED_SECONDS, Replay, Told
from services.projector.shadow import Connection
from services.projector.store import Store
from services.projector.worker import Worker

PREFIX: Final = "parley_replay_"
MARK: Final = "parley replay"
_NAME: Final = re.compile(r"[a-z0-9_]{1,40}")
_SQL: Final = queries("services.projector", "replay.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for; several narrow each other.

    `contact`: a phone number or a user id. It stands for every name that the live tables know of the person who has it today.
    `since` and `until` (milliseconds) are Kafka's times of the records: from the first of each partition that is as late as
    `since` up to, and without, the first that is as late as `until`.
    """

    contact: str | None = None
    phone_number_id: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """`records` were read, and made `rows` by table in this schema."""

    schema: str
    records: int
    rows: Mapping[str, int]


def schema_of(name: str) -> str:
    """The schema of this name; ValueError unless it is lower-case letters, digits and `_`, 40 at most."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name is up to 40 of a-z, 0-9 and _")
    return PREFIX + name


async def replay(
    question: Question,
    *,
    name: str,
    bootstrap_servers: Brokers,
    dsn: str,
    told: Told,
    stalled_seconds: float = STALLED_SECONDS,
) -> ReplayReport:
    """Make the schema anew with what the log of now says; ReplayStalled when it does not give what it has."""
    schema = schema_of(name)
    every = [table.name for table in TABLES]
    async with AsyncExitStack() as stack:
        operator = await _connected(stack, dsn)
        subject = await _subject(operator, question)
        consumer = await new_consumer(stack, bootstrap_servers)
        begin, end = await _range(consumer, bootstrap_servers, question)
        designs = await shadow.designs(operator, every, schema=schema, is_private=True)
        await shadow.create(operator, designs, schema=schema, mark=MARK, begin=begin, projection=GROUP)
        connections = pool(dsn, service="replay", size=2, search_path=schema)
        await connections.open()
        stack.push_async_callback(connections.close, timeout=1.0)
        store = Store(connections, projection=GROUP, begins=False)
        worker = Worker(store=store, decoder=Decoder(Codec()), stopping=asyncio.Event(), wanted=subject.is_in)
        reading = Replay(consumer, worker, begin=begin, told=told, stalled_seconds=stalled_seconds)
        await reading.until(end)
        rows = {table: await _count(operator, schema, table) for table in every}
    return ReplayReport(schema=schema, records=reading.records, rows=rows)


async def drop_replay(dsn: str, *, name: str) -> bool:
    """Drop the schema; False when there is none."""
    schema = schema_of(name)
    async with AsyncExitStack() as stack:
        operator = await _connected(stack, dsn)
        is_there = await shadow.is_there(operator, schema)
        await shadow.drop(operator, schema)
        return is_there


async def _connected(stack: AsyncExitStack, dsn: str) -> Connection:
    connection = psycopg.AsyncConnection.connect(dsn, autocommit=True, application_name="parley-replay", connect_timeout=5)
    return await stack.enter_async_context(await connection)


async def _subject(operator: Connection, question: Question) -> Subject:
    if question.contact is None:
        return Subject(phone_number_id=question.phone_number_id)
    given = {"given": [digits(question.contact) or question.contact]}
    names: dict[str, tuple[Span, ...]] = {}
    for name, since, until in await (await operator.execute(_SQL["names"], given)).fetchall():
        names[name] = (*names.get(name, ()), Span(since, until))
    wamids = await (await operator.execute(_SQL["wamids"], given)).fetchall()
    return Subject(names=names, wamids=frozenset([wamid for (wamid,) in wamids]), phone_number_id=question.phone_number_id)


async def _range(
    consumer: Any, bootstrap_servers: Brokers, question: Question
) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """Where to begin and where to end in each partition."""
    partitions = await partitions_of(bootstrap_servers)
    consumer.assign(partitions)
    starts = by_place(await consumer.beginning_offsets(partitions))
    ends = by_place(await consumer.end_offsets(partitions))
    begin = starts if question.since is None else {**ends, **await offsets_at(consumer, ends, question.since)}
    until = ends if question.until is None else {**ends, **await offsets_at(consumer, ends, question.until)}
    return begin, until


async def _count(operator: Connection, schema: str, table: str) -> int:
    [(rows,)] = await (await operator.execute(SQL("SELECT count(*) FROM {}").format(Identifier(schema, table)))).fetchall()
    return int(rows)
