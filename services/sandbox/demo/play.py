"""Who plays the script? Customers by the simulator, producers and a bot by Kafka, troubles by the stack."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.common.domain import topics
from services.common.domain.events import MessageReceived
from services.common.domain.ids import attempt_id
from services.common.domain.records import RecordConsent, SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import AVRO, JSON
from services.common.platform.kafka_access import Brokers, client_options
from services.sandbox.demo.business import name_of
from services.sandbox.demo.people import Person
from services.sandbox.demo.traffic import (
    Consent,
    Kill,
    Misbehave,
    Planned,
    Post,
    Publish,
    RepeatWebhooks,
    Say,
    Script,
    Step,
)
from services.sandbox.ledger import MAX_ATTEMPTS, Place, Publication
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.records import Arrival

BEHAVIOUR: Final[dict[str, object]] = {
    "sent_after_seconds": 0.05,
    "delivered_after_seconds": 0.4,
    "read_after_seconds": 1.6,
    "delay_spread": 0.6,
    "failed_probability": 0.01,
    "delivered_probability": 0.97,
    "read_probability": 0.65,
    "duplicate_probability": 0.12,
    "reorder_probability": 0.25,
    "batch_max": 10,
    "retry_gap_seconds": 0.5,
}
_ARRIVALS_SECONDS: Final = 0.4
_RECENT: Final = 50
_BURST: Final = 80
_PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth a line: seconds since the start, and whether it is a trouble."""

    at: float
    text: str
    is_trouble: bool = True


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was done to the system, from outside: the judge's own copy, and what the view shows."""

    publications: dict[str, Publication] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)
    arrivals: list[Arrival] = field(default_factory=list)
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=200))
    started: float = 0.0
    unacknowledged: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the first traffic; 0 before."""
        return time.monotonic() - self.started if self.started else 0.0

    def note(self, text: str) -> None:
        """A trouble happened now."""
        self.notes.append(Note(at=self.elapsed, text=text))

    def published(self, planned: Planned, places: Sequence[Place]) -> None:
        """Copies of a command were acknowledged."""
        command_id = planned.command.command_id
        known = self.publications.get(command_id)
        if known is not None:
            self.publications[command_id] = replace(known, places=(*known.places, *places))
            return
        self.publications[command_id] = Publication(
            command_id=command_id,
            phone_number_id=planned.command.phone_number_id,
            places=tuple(places),
            must_refuse=planned.must_refuse,
            readable=planned.raw is None,
        )


class Play:
    """One performance. `kill` ends a service without warning; its supervisor starts it again.

    `is_noted` says whether Postgres has a piece of evidence of consent, `is_decided` whether a command has come to its end.
    """

    def __init__(
        self,
        *,
        script: Script,
        simulator: SimulatorClient,
        bootstrap_servers: Brokers,
        kill: Callable[[str], Awaitable[None]],
        is_noted: Callable[[str], Awaitable[bool]],
        is_decided: Callable[[str], Awaitable[bool]],
        diary: Diary,
    ) -> None:
        self._script, self._simulator, self.diary = script, simulator, diary
        self._kill, self._is_noted, self._is_decided = kill, is_noted, is_decided
        self._codec = Codec()
        self._bootstrap = bootstrap_servers
        self._producer: Any = None
        said = [step for step in script.steps if isinstance(step, Say)]
        said += [step.then for step in said if step.then is not None]
        self._replies = {say.wamid: say.reply for say in said if say.reply is not None}
        self._attempts: dict[str, str] = {
            attempt_id(command_id, nth): command_id for command_id in script.answers for nth in range(1, MAX_ATTEMPTS + 1)
        }
        self._answers = dict(script.answers)

    async def prepare(self) -> None:
        """Everything that is so before the first second: how Meta behaves, the people and their consent."""
        await self._simulator.behave(**BEHAVIOUR)
        for person in self._script.people:
            await self._simulator.add_customer(**_customer(person))
        async with self._producing():
            await asyncio.gather(*(self._consent(consent) for consent in self._script.consents))

    async def perform(self) -> None:
        """Every step at its time; returns when the last is done and all answers that are due were given."""
        async with self._producing(), self._bot(), self._customers():
            self.diary.started = time.monotonic()
            async with asyncio.TaskGroup() as steps:
                for step in self._script.steps:
                    await asyncio.sleep(max(0.0, step.at - self.diary.elapsed))
                    steps.create_task(self._do(step))
            await asyncio.sleep(max(0.0, self._script.seconds - self.diary.elapsed))

    @asynccontextmanager
    async def _producing(self) -> AsyncIterator[None]:
        self._producer = AIOKafkaProducer(
            **client_options(self._bootstrap), client_id="demo-producers", enable_idempotence=True, request_timeout_ms=30_000
        )
        await self._producer.start()
        try:
            yield
        finally:
            await self._producer.stop()

    async def _do(self, step: Step) -> None:
        if isinstance(step, Say):
            await self._say(step)
            if step.afterwards is not None:
                await self._go_on(step, step.afterwards)
        elif isinstance(step, Publish):
            await asyncio.gather(*(self._publish(planned) for planned in step.planned))
            if len(step.planned) >= _BURST:
                self.diary.note(f"{len(step.planned)} commands at once to {name_of(step.planned[0].command.phone_number_id)}")
        elif isinstance(step, Kill):
            await self._kill(step.service)
            self.diary.note(f"{step.service} killed with SIGKILL")
        elif isinstance(step, Misbehave):
            self.diary.note(f"Meta to {name_of(step.phone_number_id)}: {step.label}")
            await self._simulator.rules(step.action, times=step.times, seconds=step.seconds, phone_number_id=step.phone_number_id)
        elif isinstance(step, RepeatWebhooks):
            await self._repeat(step.count)
        elif isinstance(step, Post):
            self.diary.note(f"Meta posts a {step.label}" if step.signature == "good" else f"somebody posts a {step.label}")
            await self._simulator.post_webhook(raw=step.body, signature=step.signature)
        else:
            assert_never(step)

    async def _say(self, say: Say) -> None:
        content = None if say.button is None else {"text": say.button, "payload": say.payload}
        await self._simulator.inbound(
            say.phone_number_id,
            say.person.wa_id or say.person.bsuid or "",
            say.text,
            message_type="text" if content is None else "button",
            content=content,
            context_wamid=say.context_wamid,
            timestamp=int(time.time() - say.age_seconds) if say.age_seconds else None,
            wamid=say.wamid,
        )

    async def _go_on(self, say: Say, planned: Planned) -> None:
        """What follows a STOP, each only when the one before it has come to its end; nothing where that takes too long."""
        if not await _soon(lambda: self._is_noted(f"keyword:{say.wamid}")):
            return
        await self._publish(planned)
        if say.then is not None and await _soon(lambda: self._is_decided(planned.command.command_id)):
            await asyncio.sleep(max(0.0, say.then.at - self.diary.elapsed))
            await self._say(say.then)

    async def _repeat(self, count: int) -> None:
        last = (await self._simulator.summary()).webhooks
        recent = await self._simulator.webhooks(after=max(0, last - count - _RECENT))  # all of them would keep Meta from its work
        done = [webhook for webhook in recent if webhook.state == "delivered" and webhook.signature == "good"]
        self.diary.note(f"Meta posts {len(done[-count:])} old webhooks again")
        for webhook in done[-count:]:
            await self._simulator.repeat_webhook(webhook.id)

    async def _publish(self, planned: Planned) -> None:
        """As many copies as planned, all in flight at once; what the brokers acknowledged is written down."""
        command = planned.command
        if planned.expires_in_seconds is not None:
            command = replace(command, expires_at=int((time.time() + planned.expires_in_seconds) * 1000))
        value = planned.raw if planned.raw is not None else self._encoded(command, planned)
        headers = [("content-type", JSON if planned.form == "json" else AVRO)]
        sends = [
            await self._producer.send(topics.SEND_COMMANDS, value, planned.key, headers=headers) for _ in range(planned.copies)
        ]
        told = [await send for send in sends]
        self.diary.published(planned, [(one.topic, one.partition, one.offset) for one in told])

    def _encoded(self, command: SendMessage, planned: Planned) -> bytes:
        if planned.form == "avro":
            return self._codec.encode(command)
        fields = {"command_id": command.command_id, "phone_number_id": command.phone_number_id, "type": command.type}
        optional = {"to": command.to, "recipient": command.recipient, "lane": command.lane, "expires_at": command.expires_at}
        given = {name: value for name, value in optional.items() if value is not None}
        return orjson.dumps({**fields, **given, "content": orjson.loads(command.content)})

    async def _consent(self, consent: Consent) -> None:
        """Under the name a shop knows the customer by: the number they typed, if any."""
        person = consent.person
        record = RecordConsent(
            consent_id=consent.consent_id,
            occurred_at=int(time.time() * 1000) - 60_000,
            phone_number_id=consent.phone_number_id,
            contact=person.bsuid or "" if person.wa_id is None else f"+{person.wa_id}",
            category="marketing",
            decision="granted",
            source="shop checkout",
            wording="Yes, send me offers on WhatsApp",
        )
        as_json = {name: getattr(record, name) for name in RecordConsent.__dataclass_fields__}
        value = orjson.dumps(as_json) if consent.form == "json" else self._codec.encode(record)
        headers = [("content-type", JSON if consent.form == "json" else AVRO)]
        await self._producer.send_and_wait(topics.CONSENT_RECORDS, value, consent.consent_id.encode(), headers=headers)
        self.diary.consents.add(consent.consent_id)

    @asynccontextmanager
    async def _bot(self) -> AsyncIterator[None]:
        """Answers customers: reads what they wrote from Kafka, as any bot would, and publishes the planned reply."""
        consumer = AIOKafkaConsumer(
            topics.INBOUND_MESSAGES,
            **client_options(self._bootstrap),
            client_id="demo-bot",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        reading = asyncio.create_task(self._reply_all(consumer))
        try:
            yield
        finally:
            await _cancelled(reading)
            await consumer.stop()

    async def _reply_all(self, consumer: Any) -> None:
        async for record in consumer:
            event = self._codec.decode(record.value)
            reply = self._replies.pop(event.wamid, None) if isinstance(event, MessageReceived) else None
            if reply is not None:
                publishing = asyncio.create_task(self._publish(reply))
                try:
                    await asyncio.shield(publishing)
                except asyncio.CancelledError:
                    await publishing  # what Kafka has is written down, also when the play is over meanwhile
                    raise

    @asynccontextmanager
    async def _customers(self) -> AsyncIterator[None]:
        """Answer what reached them, a little later: as Meta's own log has it, whatever the sender believes."""
        reading = asyncio.create_task(self._answer_all())
        try:
            yield
        finally:
            await _cancelled(reading)

    async def _answer_all(self) -> None:
        async with asyncio.TaskGroup() as answers:
            while True:
                await asyncio.sleep(_ARRIVALS_SECONDS)
                seen = self.diary.arrivals[-1].seq if self.diary.arrivals else 0
                fresh = await self._simulator.requests(after=seen)
                self.diary.arrivals.extend(fresh)
                for arrival in fresh:
                    say = self._answers.pop(self._attempts.get(arrival.opaque or "", ""), None) if arrival.is_accepted else None
                    if say is not None:
                        answers.create_task(self._answer(replace(say, context_wamid=arrival.wamid)))

    async def _answer(self, say: Say) -> None:
        await asyncio.sleep(say.at)
        await self._say(say)


async def _soon(question: Callable[[], Awaitable[bool]]) -> bool:
    """Ask until the answer is yes; False when that takes too long."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not await question():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_ARRIVALS_SECONDS)
    return True


async def _cancelled(task: asyncio.Task[None]) -> None:
    """End a reader; what it failed of before is raised here."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return


def _customer(person: Person) -> dict[str, object]:
    return {
        "wa_id": person.wa_id,
        "bsuid": person.bsuid,
        "name": person.name,
        "aliases": [] if person.alias is None else [person.alias],
    }
