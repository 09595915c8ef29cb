"""Does the judge see what is really wrong in a run that was right? Each promise is broken by hand, in the real log and tables."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, LiteralString

import aiohttp
import psycopg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.common.domain import topics
from services.common.domain.ids import attempt_id
from services.common.domain.records import SendOutcome
from services.common.platform.kafka import NewRecord
from services.sandbox.ledger import FIGURES, Verdict, judge
from tests.faults.conftest import Inhabited
from tests.faults.cycles.world import World
from tests.support import log
from tests.support.sending import CODEC, NUMBER, TOKEN, text

UNITS: Final = 12
DELETED_MESSAGE: Final = """
DELETE FROM projector.messages WHERE wamid = (SELECT min(wamid) FROM projector.messages WHERE direction = 'inbound')
"""
DELETED_STATUS: Final = """
DELETE FROM projector.message_statuses
WHERE (wamid, status) = (SELECT min(wamid), 'delivered' FROM projector.message_statuses WHERE status = 'delivered')
"""
UNENDED_COMMAND: Final = """
UPDATE sender.send_commands SET state = 'waiting'
WHERE command_id = (SELECT min(command_id) FROM sender.send_commands WHERE state = 'accepted')
"""
STRANGERS_MESSAGE: Final = """
INSERT INTO projector.messages (wamid, direction, phone_number_id, is_copy)
SELECT 'wamid.stranger', 'inbound', min(phone_number_id), false FROM projector.messages
"""
STRANGERS_WINDOW: Final = """
INSERT INTO projector.conversations (phone_number_id, contact, last_inbound_at)
SELECT min(phone_number_id), '4915111111111', now() FROM projector.conversations
"""
REPEATED_BATCH: Final = """
INSERT INTO public.advances (topic, partition, before, after)
SELECT topic, partition, before, after FROM public.advances ORDER BY seq DESC LIMIT 1
"""
ALTERED_RANK: Final = """
UPDATE projector.messages SET delivered_at = NULL
WHERE wamid = (SELECT max(wamid) FROM projector.messages WHERE accepted_at IS NOT NULL AND delivered_at IS NOT NULL)
"""
ALTERED_TEXT: Final = """
UPDATE projector.messages SET text = 'another'
WHERE wamid = (SELECT max(wamid) FROM projector.messages WHERE direction = 'inbound')
"""
OLDER_WINDOW: Final = """
UPDATE projector.conversations SET last_inbound_at = last_inbound_at - interval '1 day'
WHERE contact = (SELECT max(contact) FROM projector.conversations WHERE last_inbound_at IS NOT NULL AND contact LIKE '4917%')
"""


async def sql(world: World, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
    """As the operator."""
    connection = await psycopg.AsyncConnection.connect(world.dsn, autocommit=True)
    async with connection:
        cursor = await connection.execute(statement, values or None)
        return await cursor.fetchall() if cursor.description is not None else []


async def send_again(world: World) -> None:
    """A second request with the attempt id of a message that Meta has taken: what a blind retry would be."""
    [(command_id,)] = await sql(world, "SELECT max(command_id) FROM sender.send_commands WHERE state = 'accepted'")
    body = {
        "messaging_product": "whatsapp",
        "to": "4917000000001",
        "type": "text",
        "text": {"body": "again"},
        "biz_opaque_callback_data": attempt_id(str(command_id), 1),
    }
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.post(f"{world.simulator.url}/v25.0/{NUMBER}/messages", json=body) as answer,
    ):
        assert answer.status == 200
    left = await world.settle()
    assert left.is_settled
    # The read models know of it only by its statuses; the row that names its command would come with its outcome.
    await sql(
        world, "UPDATE projector.messages SET command_id = %s WHERE direction = 'outbound' AND command_id IS NULL", command_id
    )


async def delete_raw_record(world: World) -> None:
    """The first record of some partition of the raw log."""
    first = (await asyncio.to_thread(log.read, world.bootstrap_servers, topics.WEBHOOKS))[0]
    admin = AIOKafkaAdminClient(bootstrap_servers=world.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(first.topic, first.partition): RecordsToDelete(first.offset + 1)})
    finally:
        await admin.close()


async def say_it_failed(world: World) -> None:
    """The producer is told that a message was rejected which Meta has taken."""
    records = await asyncio.to_thread(log.read, world.bootstrap_servers, topics.SEND_OUTCOMES)
    outcomes = [(record, CODEC.decode(record.value or b"")) for record in records]
    accepted = [
        (outcome, record) for record, outcome in outcomes if isinstance(outcome, SendOutcome) and outcome.kind == "accepted"
    ]
    outcome, record = max(accepted, key=lambda one: one[0].command_id)  # not the one that is to be left without an end
    false = replace(outcome, event_id=str(uuid.uuid4()), kind="rejected", wamid=None)
    again = NewRecord(topics.SEND_OUTCOMES, record.key, CODEC.encode(false), record.headers)
    await asyncio.to_thread(log.append, world.bootstrap_servers, [again])
    left = await world.settle()
    assert left.is_settled


async def write_to_the_stranger(world: World) -> None:
    """The gate is deceived: the window was planted, and nobody knows better than the producer."""
    await world.publish(text(to="+4915111111111"), must_refuse="window_closed")
    left = await world.settle()
    assert left.is_settled


async def leave_unended(world: World) -> None:
    """A command waits, and no sender lives that would end it."""
    world.service("sender").kill()
    await sql(world, UNENDED_COMMAND)


def by_sql(statement: LiteralString) -> Callable[[World], Awaitable[object]]:
    return lambda world: sql(world, statement)


PLANTED: Final[list[tuple[str, Callable[[World], Awaitable[object]], dict[str, int]]]] = [
    ("a row is deleted", by_sql(DELETED_MESSAGE), {"lost": 1}),
    ("a status is deleted", by_sql(DELETED_STATUS), {"lost": 1}),
    ("a stranger's row", by_sql(STRANGERS_MESSAGE), {"phantom": 1}),
    ("a window that nobody opened", by_sql(STRANGERS_WINDOW), {"phantom": 1}),
    ("the gate lets pass what it must not", write_to_the_stranger, {"against_policy": 1}),
    ("a batch is applied twice", by_sql(REPEATED_BATCH), {"dup_effect": -1}),
    ("a rank is altered", by_sql(ALTERED_RANK), {"reorder": 1}),
    ("a window is set back", by_sql(OLDER_WINDOW), {"reorder": 1}),
    ("a failure is told that was none", say_it_failed, {"false_fail": 1}),
    ("a raw record is gone", delete_raw_record, {"false_200": 1}),
    ("a message is sent again", send_again, {"dup_send": 1}),
    ("a command never ends", leave_unended, {"lost": 1}),
]
"""One after the other in the same world, each on top of those before: every figure then tells what was added. -1: any number."""


def found(verdict: Verdict) -> dict[str, int]:
    return {figure.name: figure.found for figure in verdict.figures}


@pytest.mark.timeout(240)
def test_each_broken_promise_is_seen_as_what_it_is_and_a_clean_run_as_clean(inhabited: Inhabited) -> None:
    async def play() -> None:
        world, chance = inhabited.world, random.Random(1)
        for _ in range(UNITS):
            await world.traffic(chance)
        left = await world.settle()
        assert left.is_settled, left
        ledger = await world.ledger()
        verdict = judge(ledger)
        assert verdict.is_clean, verdict.findings
        assert all(figure.n for figure in verdict.figures)
        known = dict.fromkeys(FIGURES, 0)

        # Which limit would have been too low is known only now.
        [number] = verdict.numbers
        assert number.worst_second > 0
        lower = replace(ledger, limits={number.phone_number_id: number.worst_second - 1})
        assert found(judge(lower)) == {**known, "over_limit": 1}
        assert judge(replace(ledger, limits={number.phone_number_id: number.worst_second})).is_clean

        tables = await world.tables()
        assert tables.differing == ()
        assert tables.n
        await sql(world, ALTERED_TEXT)
        one_row = "messages: 1 of its rows differ from those of a replay in text"
        assert (await world.tables()).differing == (one_row,)
        for name, plant, expected in PLANTED:
            await plant(world)
            now = found(await world.verdict())
            added = {figure: now[figure] - known[figure] for figure in FIGURES if now[figure] != known[figure]}
            assert set(added) == set(expected), f"{name}: {added}"
            assert all(times in {-1, added[figure]} for figure, times in expected.items()), f"{name}: {added}"
            known = now

    inhabited.loop.run(play())
