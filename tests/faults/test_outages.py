"""Does the whole system lose, double or invent anything when its broker or its database dies under traffic?"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from confluent_kafka import KafkaError, Message, Producer

from services.common.domain import topics
from services.sandbox.ledger import Publication, Verdict, judge
from services.sandbox.ledger_reader import read
from services.sandbox.settling import Lookout
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.stack import Stack
from tests.support.waiting import wait_for

SETTLE_SECONDS = 90.0
GAP_SECONDS = 0.04
CUSTOMERS = 60
SENDER = {
    **{f"PARLEY_SENDER_{lane}_HORIZON_SECONDS": "10" for lane in ("OTP", "TRANSACTIONAL", "BULK")},
    "PARLEY_SENDER_PAIR_BURST": "45",
}


class Traffic:
    """Customers who write and a producer who answers, from a thread of its own, until told to stop."""

    def __init__(self, stack: Stack) -> None:
        self._env = stack.env
        self._number = stack.account.numbers[0]
        self._producer = Producer({"bootstrap.servers": stack.env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], "acks": "all"})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.published: list[Publication] = []
        self.said = 0

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self._producer.flush(60) == 0

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            simulator = SimulatorClient(self._env["PARLEY_SIMULATOR_URL"], session)
            while not self._stopping.wait(GAP_SECONDS):
                sender = f"55119{self.said % CUSTOMERS:08d}"
                await simulator.inbound(self._number.phone_number_id, sender, f"message {self.said}")
                self.said += 1
                if self.said > CUSTOMERS:
                    self._answer(sender)

    def _answer(self, recipient: str) -> None:
        command_id = str(uuid.uuid4())
        fields: dict[str, Any] = {"command_id": command_id, "phone_number_id": self._number.phone_number_id}
        fields |= {"to": f"+{recipient}", "type": "text", "content": {"body": "Thank you"}}

        def acknowledged(problem: KafkaError | None, record: Message) -> None:
            if problem is None:
                place = (str(record.topic()), int(record.partition() or 0), int(record.offset() or 0))
                self.published.append(
                    Publication(command_id=command_id, phone_number_id=self._number.phone_number_id, places=(place,))
                )

        self._producer.produce(topics.SEND_COMMANDS, value=json.dumps(fields).encode(), on_delivery=acknowledged)
        self._producer.poll(0)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    one = Stack(tmp_path, durable=True, service_env={"sender": SENDER})
    one.start()
    try:
        yield one
    finally:
        one.stop()


async def verdict(stack: Stack, published: list[Publication]) -> Verdict:
    """What the ledger says when nothing moves any more."""
    env = stack.env
    bootstrap, dsn = env["PARLEY_KAFKA_BOOTSTRAP_SERVERS"], env["PARLEY_POSTGRES_DSN"]
    async with aiohttp.ClientSession() as session:
        simulator = SimulatorClient(env["PARLEY_SIMULATOR_URL"], session)
        async with Lookout(bootstrap, dsn, simulator) as lookout:
            left = await lookout.settle(SETTLE_SECONDS)
        assert left.is_settled, f"still on its way: {left}"
        limits = {number.phone_number_id: number.throughput for number in stack.account.numbers}
        ledger = await read(
            simulator=simulator, bootstrap_servers=bootstrap, dsn=dsn, published=published, consents=(), limits=limits
        )
    return judge(ledger)


def more_said(traffic: Traffic, count: int) -> None:
    """Let that many more messages be said."""
    goal = traffic.said + count
    wait_for(lambda: traffic.said >= goal, 60, "more traffic")


@pytest.mark.timeout(300)
@pytest.mark.failure("I3", "R9", "R24", "S10", "S11", "S21")
def test_a_killed_broker_and_a_crashed_database_cost_nothing(stack: Stack) -> None:
    with Traffic(stack) as traffic:
        more_said(traffic, 120)
        stack.kafka.kill()
        more_said(traffic, 30)
        stack.kafka.restart()
        wait_for(lambda: not stack.unready(), 90, "every service to be ready after the broker's return")
        more_said(traffic, 60)
        stack.postgres.stop_immediate()
        more_said(traffic, 30)
        stack.postgres.start()
        wait_for(lambda: not stack.unready(), 60, "every service to be ready after the database's return")
        more_said(traffic, 60)
    found = asyncio.run(verdict(stack, traffic.published))
    assert not found.findings, found
    assert found.events >= traffic.said
    assert found.commands == len(traffic.published) > 0
    assert found.accepted + sum(found.refused.values()) + found.rejected + found.unresolved == found.commands
