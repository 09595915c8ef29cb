"""Who writes and who answers in a storm? Customers by the simulated Meta, producers by Kafka, at the rates that were drawn."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from services.common.domain import topics
from services.common.domain.ids import attempt_id
from services.sandbox.ledger import MAX_ATTEMPTS, Publication
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.payloads import encode
from services.sandbox.simulator.records import Arrival
from tests.faults.storm.delays import Mark
from tests.faults.storm.schedule import Storm
from tests.support import canaries, samples

_TWICE: Final = 0.04
"""The share of commands that their producer publishes again."""
_WORDS: Final = 0.03
"""The share of messages that stop or start something. Nobody writes to the people who say that."""
_FICKLE: Final = 20
_UNREADABLE_SECONDS: Final = 15.0
_UNREADABLE_AT_LEAST: Final = 5
"""How seldom comes a webhook or a command, in turn, that nobody can read: a reader stops where one in a hundred is."""
_OVERDUE_SECONDS: Final = 0.5
_FLUSH_SECONDS: Final = 60.0
_ROWS: Final = "select wamid from projector.messages where wamid = any(%s)"


@dataclass(slots=True)
class Book:
    """What was said and published, and when it was where it had to be."""

    messages: dict[str, Mark] = field(default_factory=dict)
    commands: dict[str, Mark] = field(default_factory=dict)
    publications: dict[str, Publication] = field(default_factory=dict)
    _attempts: dict[str, str] = field(default_factory=dict)
    _missing: dict[str, Mark] = field(default_factory=dict)
    _early: set[str] = field(default_factory=set)

    def said(self, wamid: str) -> None:
        """A customer's message was handed to Meta."""
        self.messages[wamid] = self._missing[wamid] = Mark(began=time.monotonic())

    def intended(self, command_id: str, phone_number_id: str, *, readable: bool = True) -> None:
        """A command is about to be published. Whether the log takes it is not known yet."""
        self.publications[command_id] = Publication(
            command_id=command_id, phone_number_id=phone_number_id, places=(), readable=readable
        )
        if readable:
            self._attempts |= dict.fromkeys(_attempts_of(command_id), command_id)

    def acknowledged(self, command_id: str, place: tuple[str, int, int]) -> None:
        """A copy of a command is in the log. What reached Meta before its producer heard of that took no time."""
        known = self.publications[command_id]
        self.publications[command_id] = replace(known, places=(*known.places, place))
        if known.readable and command_id not in self.commands:
            now = time.monotonic()
            self.commands[command_id] = Mark(began=now, done=now if command_id in self._early else None)

    def missing(self) -> list[str]:
        """Messages without a row, as far as we know."""
        return list(self._missing)

    def rows(self, wamids: Sequence[str], at: float) -> None:
        """These have a row now."""
        for wamid in wamids:
            self._missing.pop(wamid).done = at

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """These reached Meta. The first attempt that does counts, whatever became of it."""
        for arrival in arrivals:
            command_id = self._attempts.get(arrival.opaque or "")
            if command_id is None:
                continue
            for attempt in _attempts_of(command_id):
                del self._attempts[attempt]
            mark = self.commands.get(command_id)
            if mark is None:
                self._early.add(command_id)
            else:
                mark.done = max(arrival.read_monotonic, mark.began)


def _attempts_of(command_id: str) -> list[str]:
    return [attempt_id(command_id, nth) for nth in range(1, MAX_ATTEMPTS + 1)]


class Traffic:
    """Says and publishes until told to stop, and nothing but canaries. `book` is written by it and by `watch`."""

    def __init__(
        self, storm: Storm, simulator: SimulatorClient, bootstrap_servers: str, numbers: Sequence[str], people: int
    ) -> None:
        self._storm, self._simulator, self._numbers = storm, simulator, numbers
        self._chance = random.Random(storm.seed)
        numbered = [f"{canaries.PHONE}{nth:03d}" for nth in range(people + _FICKLE)]
        self._people, self._fickle = numbered[:people], numbered[people:]
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "acks": "all", "enable.idempotence": True, "log_level": 0}
        )
        self.book = Book()

    async def greet(self) -> None:
        """Everybody writes once: from then on their windows are open."""
        for number in self._numbers:
            for person in self._people:
                await self._say(number, person, "Hello")

    async def run(self, began: float, seconds: float) -> None:
        """The storm's traffic; returns when its time is over and Kafka has acknowledged what it could."""
        others = [asyncio.create_task(one(began, seconds)) for one in (self._messages, self._what_nobody_can_read)]
        try:
            await self._commands(began, seconds)
            await asyncio.gather(*others)
        finally:
            for other in others:
                other.cancel()
            await asyncio.to_thread(self._producer.flush, _FLUSH_SECONDS)

    async def _messages(self, began: float, seconds: float) -> None:
        due = began
        while due < began + seconds:
            due = await _until(due + 1.0 / self._storm.at(due - began).messages)
            number = self._chance.choice(self._numbers)
            if self._chance.random() < _WORDS:
                await self._say(number, self._chance.choice(self._fickle), self._chance.choice(("STOP", "Start")))
            else:
                await self._say(number, self._chance.choice(self._people), f"{canaries.TEXT}? {uuid.uuid4()}")

    async def _commands(self, began: float, seconds: float) -> None:
        due, nth = began, 0
        while due < began + seconds:
            due = await _until(due + 1.0 / self._storm.at(due - began).commands)
            nth += 1
            self._publish(self._numbers[nth % len(self._numbers)], self._people[nth // len(self._numbers) % len(self._people)])

    async def _what_nobody_can_read(self, began: float, seconds: float) -> None:
        every = min(_UNREADABLE_SECONDS, seconds / (_UNREADABLE_AT_LEAST + 1))
        due, nth = began + every, 0
        while due < began + seconds:
            due = await _until(due) + every
            nth += 1
            if nth % 2:
                body = encode(canaries.disguised(samples.document("message_text")))
                await self._simulator.begin_webhook(_cut(body).decode("utf-8", "ignore"))
            else:
                self._publish(self._numbers[0], self._people[0], readable=False)

    async def _say(self, number: str, person: str, text: str) -> None:
        wamid = f"wamid.{uuid.uuid4().hex}"
        self.book.said(wamid)
        await self._simulator.inbound(number, person, text, wamid=wamid, name=canaries.NAME)

    def _publish(self, number: str, person: str, *, readable: bool = True) -> None:
        command_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        fields: dict[str, Any] = {"command_id": command_id, "phone_number_id": number, "to": f"+{person}"}
        fields |= {"type": "text", "content": {"body": canaries.TEXT}}
        value = json.dumps(fields).encode()
        self.book.intended(command_id, number, readable=readable)

        def told(problem: KafkaError | None, record: Message) -> None:
            if problem is None:
                self.book.acknowledged(command_id, (str(record.topic()), int(record.partition() or 0), int(record.offset() or 0)))

        for _ in range(2 if self._chance.random() < _TWICE else 1):
            self._producer.produce(topics.SEND_COMMANDS, value=value if readable else _cut(value), on_delivery=told)
        self._producer.poll(0)


def _cut(document: bytes) -> bytes:
    return document[: len(document) * 9 // 10]


async def _until(due: float) -> float:
    """Wait for a moment. One that was long ago is given up: what could not be said in time is not said in a burst."""
    now = time.monotonic()
    await asyncio.sleep(max(0.0, due - now))
    return max(due, now - _OVERDUE_SECONDS)


def rows_there(dsn: str, wamids: Sequence[str]) -> list[str]:
    """Which of these messages have a row."""
    with psycopg.connect(dsn, application_name="parley-storm", autocommit=True, connect_timeout=2) as connection:
        return [row[0] for row in connection.execute(_ROWS, (list(wamids),)).fetchall()]
