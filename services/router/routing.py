"""Where does a raw record go next? One record in, the records to append out; pure, so that a replay says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import record_key
from services.common.domain.lanes import Lane
from services.common.domain.records import FULL_NAMES, MessageReceived, MessageStatusChanged, UnrecognizedChange
from services.common.platform.avro import Codec
from services.common.platform.envelope import cloud_event, dead_letter_headers, header
from services.common.platform.kafka import LogRecord, NewRecord
from services.router import commands, webhook

GROUP: Final = "parley.router"
RECEIVED_AT: Final = "parley-received-at"

_TOPIC: Final = {
    MessageReceived: topics.INBOUND_MESSAGES,
    MessageStatusChanged: topics.MESSAGE_STATUSES,
    UnrecognizedChange: topics.ACCOUNT_EVENTS,
}

OnDeadLetter = Callable[[Unprocessable], None]
OnUnrecognized = Callable[[UnrecognizedChange], None]


class Router:
    """The routing table. `on_*` are told what an operator wants to count."""

    def __init__(self, codec: Codec, *, on_dead_letter: OnDeadLetter, on_unrecognized: OnUnrecognized) -> None:
        self._codec = codec
        self._on_dead_letter, self._on_unrecognized = on_dead_letter, on_unrecognized
        self._route = {topics.WEBHOOKS: self._webhook, topics.SEND_COMMANDS: self._command}

    def route(self, record: LogRecord) -> list[NewRecord]:
        """Everything that one raw record becomes. Never raises for what a record contains."""
        try:
            return list(self._route[record.topic](record))
        except Unprocessable as problem:
            return [self._dead_letter(record, problem, record.value)]

    def _webhook(self, record: LogRecord) -> Iterator[NewRecord]:
        position = webhook.Position(
            topic=record.topic, partition=record.partition, offset=record.offset, received_at=_received_at(record)
        )
        source = f"/{record.topic}/{record.partition}/{record.offset}"
        traceparent = header(record, "traceparent")
        body = webhook.inflated(record.value or b"", header(record, "content-encoding"))
        for element in webhook.split(body, position):
            if isinstance(element, webhook.SetAside):
                yield self._dead_letter(record, element.problem, element.value)
            else:
                yield self._event(element, source, traceparent)

    def _event(self, event: webhook.Event, source: str, traceparent: bytes | None) -> NewRecord:
        if isinstance(event, UnrecognizedChange):
            self._on_unrecognized(event)
            key = event.waba_id or ""
        else:
            key = record_key(event.phone_number_id, event.contact)
        headers = cloud_event(
            event_id=event.event_id,
            event_type=FULL_NAMES[type(event)],
            source=source,
            at=event.occurred_at if event.occurred_at is not None else event.recorded_at,
            traceparent=traceparent,
        )
        return NewRecord(_TOPIC[type(event)], key.encode(), self._codec.encode(event), headers)

    def _command(self, record: LogRecord) -> Iterator[NewRecord]:
        command = commands.decode(record.value, header(record, "content-type"), self._codec)
        headers = cloud_event(
            event_id=command.command_id,
            event_type=FULL_NAMES[type(command)],
            source=f"/{record.topic}/{record.partition}/{record.offset}",
            at=command.created_at if command.created_at is not None else record.appended_at,
            traceparent=header(record, "traceparent"),
        )
        topic = topics.SENDS[Lane(command.lane)]
        yield NewRecord(topic, command.phone_number_id.encode(), self._codec.encode(command), headers)

    def _dead_letter(self, record: LogRecord, problem: Unprocessable, value: bytes | None) -> NewRecord:
        self._on_dead_letter(problem)
        headers = dead_letter_headers(record, problem, group=GROUP)
        return NewRecord(topics.ROUTER_DEAD_LETTERS, record.key, value or b"", headers)


def _received_at(record: LogRecord) -> int:
    """When ingest received the POST; a record that ingest did not write has its append time."""
    text = header(record, RECEIVED_AT)
    return int(text) if text and text.isdigit() and len(text) <= 13 else record.appended_at
