"""Does a group speak and get an answer, all the way: webhook, window, send, and a status of each participant?"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import aiohttp
import psycopg
import pytest

from services.common.domain import topics
from services.common.domain.records import SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.kafka import NewRecord
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.stack import Stack
from tests.support import log
from tests.support.waiting import wait_for

T = TypeVar("T")
CODEC = Codec()
GROUP = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
ANA, BEN = "491700000001", "491700000002"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    one = Stack(tmp_path_factory.mktemp("stack"))
    one.start()
    try:
        yield one
    finally:
        one.stop()


def ask(stack: Stack, question: Callable[[SimulatorClient], Awaitable[T]]) -> T:
    async def asking() -> T:
        async with aiohttp.ClientSession() as session:
            return await question(SimulatorClient(stack.env["PARLEY_SIMULATOR_URL"], session))

    return asyncio.run(asking())


def sql(stack: Stack, statement: Any, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.env["PARLEY_POSTGRES_DSN"]) as connection:
        return connection.execute(statement, values).fetchall()


def publish(stack: Stack, number: str, **said: Any) -> SendMessage:
    given = {"type": "text", "content": '{"body":"hello"}', "group_id": GROUP, **said}
    command = SendMessage(command_id=str(uuid.uuid4()), phone_number_id=number, **given)
    log.append(stack.env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], [NewRecord(topics.SEND_COMMANDS, b"any", CODEC.encode(command), ())])
    return command


def outcome(stack: Stack, command: SendMessage) -> SendOutcome:
    def found() -> list[SendOutcome]:
        records = log.read(stack.env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], topics.SEND_OUTCOMES)
        outcomes = [CODEC.decode(record.value or b"") for record in records]
        return [one for one in outcomes if isinstance(one, SendOutcome) and one.command_id == command.command_id]

    wait_for(lambda: bool(found()), 30.0, "an outcome")
    return found()[-1]


def test_what_a_participant_writes_opens_the_groups_window_and_each_tells_what_they_got(stack: Stack) -> None:
    number = stack.account.numbers[0].phone_number_id
    ask(stack, lambda client: client.add_group(GROUP, ANA, BEN))
    ask(stack, lambda client: client.inbound(number, ANA, "hello, you", wait=True))
    assert outcome(stack, publish(stack, number)).reason == "window_closed"
    ask(stack, lambda client: client.inbound(number, BEN, "STOP, all of you", group_id=GROUP, wait=True))
    command = publish(stack, number)
    told = outcome(stack, command)
    assert (told.kind, told.group_id, told.contact) == ("accepted", GROUP, None)
    person = publish(stack, number, group_id=None, to=f"+{BEN}")
    assert outcome(stack, person).reason == "window_closed"

    def read_by() -> set[str]:
        rows = sql(stack, "SELECT contact FROM projector.message_statuses WHERE wamid = %s AND status = 'read'", told.wamid)
        return {row[0] for row in rows}

    wait_for(lambda: read_by() == {ANA, BEN}, 30.0, "the statuses of both")
    row = sql(stack, "SELECT direction, contact, group_id, command_id FROM projector.messages WHERE wamid = %s", told.wamid)
    assert row == [("outbound", None, GROUP, command.command_id)]
    assert sql(stack, "SELECT count(*) FROM projector.consents WHERE contact IN (%s, %s)", BEN, GROUP) == [(0,)]
    assert sql(stack, "SELECT count(*) FROM projector.contacts WHERE contact = %s", GROUP) == [(0,)]
