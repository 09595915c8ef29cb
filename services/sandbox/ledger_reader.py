"""What do both sides say happened? Reads the simulator's logs, the topics from their beginning, and Postgres; counts nothing."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
from aiokafka import AIOKafkaConsumer

from services.common.domain import topics
from services.common.domain.records import SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import FETCH_BYTES, LogRecord
from services.common.platform.statements import queries
from services.sandbox.ledger import (
    Advance,
    CommandRow,
    Conversation,
    DeadLetter,
    Delivered,
    Ledger,
    LoggedWebhook,
    Place,
    Publication,
    SentRow,
)
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.webhook_elements import Identity, change_identity, elements, message_identity, status_identity

_SQL: Final = queries("services.sandbox", "ledger.sql")
_POLL_MS: Final = 1000
READ_TOPICS: Final = (topics.WEBHOOKS, topics.SEND_OUTCOMES, *topics.DEAD_LETTERS)


async def read(
    *,
    simulator: SimulatorClient,
    bootstrap_servers: str,
    dsn: str,
    published: Sequence[Publication],
    consents: Iterable[str],
    limits: Mapping[str, int],
) -> Ledger:
    """The ledger of everything since the stack was new. Call it when nothing moves any more, else it shows a moment."""
    log = await _read_log(bootstrap_servers)
    rows = await asyncio.to_thread(_read_rows, dsn)
    return Ledger(
        limits=limits,
        published=published,
        consents=frozenset(consents),
        arrivals=await simulator.requests(),
        webhooks=await simulator.webhooks(),
        logged=log.webhooks,
        outcomes=log.outcomes,
        dead_letters=log.dead_letters,
        rows=rows.contents,
        sent_rows=rows.sent,
        consent_rows=rows.consents,
        command_rows=rows.commands,
        dead_letter_rows=rows.dead_letters,
        outbox_rows=rows.outbox,
        delivered=rows.delivered,
        windows=rows.windows,
        advances=rows.advances,
        begins=await _begins(bootstrap_servers) if rows.advances else {},
    )


class _Log(NamedTuple):
    webhooks: list[LoggedWebhook]
    outcomes: list[SendOutcome]
    dead_letters: list[DeadLetter]


async def _read_log(bootstrap_servers: str) -> _Log:
    log, codec = _Log([], [], []), Codec()
    async for record in records(bootstrap_servers, READ_TOPICS):
        if record.topic == topics.WEBHOOKS:
            body = record.value or b""
            log.webhooks.append(
                LoggedWebhook(
                    place=(record.topic, record.partition, record.offset),
                    sha256=hashlib.sha256(body).hexdigest(),
                    elements=elements(body),
                )
            )
        elif record.topic == topics.SEND_OUTCOMES:
            outcome = codec.decode(record.value or b"")
            if isinstance(outcome, SendOutcome):
                log.outcomes.append(outcome)
        else:
            origin = dead_letter_origin(record)
            place = (origin["topic"], int(origin["partition"]), int(origin["offset"]))
            log.dead_letters.append(DeadLetter(place=place, pointer=origin.get("pointer", "")))
    return log


async def _begins(bootstrap_servers: str) -> dict[tuple[str, int], int]:
    """The first offset of every partition that the projector reads."""
    consumer = AIOKafkaConsumer(
        *topics.PROJECTOR_SOURCES, bootstrap_servers=bootstrap_servers, client_id="parley-judge", enable_auto_commit=False
    )
    await consumer.start()
    try:
        begins = await consumer.beginning_offsets(consumer.assignment())
        return {(place.topic, place.partition): offset for place, offset in begins.items()}
    finally:
        await consumer.stop()


async def records(bootstrap_servers: str, names: Sequence[str]) -> AsyncIterator[LogRecord]:
    """Every record that is in these topics now, from the beginning, without any consumer group."""
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=bootstrap_servers,
        client_id="parley-judge",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        left = {partition for partition in partitions if await consumer.position(partition) < ends[partition]}
        while left:
            for partition, batch in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                for one in batch:
                    if one.offset < ends[partition]:
                        yield LogRecord.of(one)
            left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()


class _Rows(NamedTuple):
    contents: dict[Identity, int]
    sent: dict[str, SentRow]
    consents: frozenset[str]
    commands: dict[str, CommandRow]
    dead_letters: frozenset[Place]
    outbox: int
    delivered: dict[str, Delivered]
    windows: dict[Conversation, int]
    advances: list[Advance]


def _read_rows(dsn: str) -> _Rows:
    """All of it in one snapshot."""
    with psycopg.connect(dsn, application_name="parley-judge") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True

        def select(name: str) -> list[tuple[Any, ...]]:
            return connection.execute(_SQL[name]).fetchall()

        contents = Counter(message_identity(phone, wamid) for phone, wamid in select("inbound_messages"))
        contents.update(
            status_identity(wamid, status, _ms(at), contact, kind) for wamid, status, at, contact, kind in select("statuses")
        )
        contents.update(
            change_identity(waba_id, name, None if at is None else _ms(at), raw)
            for waba_id, name, at, raw in select("account_events")
        )
        return _Rows(
            contents=dict(contents),
            sent={
                wamid: SentRow(command_id=command, is_accepted=accepted) for wamid, command, accepted in select("sent_messages")
            },
            consents=frozenset(row[0] for row in select("consents")),
            commands={row[0]: CommandRow(state=row[1], reason=row[2], wamid=row[3]) for row in select("commands")},
            dead_letters=frozenset((topic, partition, offset) for topic, partition, offset in select("dead_letters")),
            outbox=select("outbox")[0][0],
            delivered={wamid: tuple(None if at is None else _ms(at) for at in times) for wamid, *times in select("delivered")},
            windows={(phone, contact): _ms(at) for phone, contact, at in select("windows")},
            advances=[Advance(*row) for row in select("advances")] if select("has_witness")[0][0] else [],
        )


def _ms(at: datetime) -> int:
    return math.floor(at.timestamp() * 1000 + 0.5)
