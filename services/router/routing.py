"""Where do raw records go next? Records in, the records to append out; pure, so that a replay says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from services.common.domain import sublanes as sublane_keys
from services.common.domain import topics
from services.common.domain.events import UnrecognizedChange, WebhookEvent
from services.common.domain.failure import Unprocessable
from services.common.domain.ids import record_key
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import FULL_NAMES, TOPIC_OF, SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import (
    REDRIVEN_FROM,
    cloud_event,
    dead_letter,
    header,
    published,
    redriven_from,
    redriven_pointers,
)
from services.common.platform.kafka import LogRecord, NewRecord
from services.router import commands, webhook
from services.router.body import inflated
from services.router.commands import OnIgnored
from services.router.reading import Position
from services.router.routes import HEADER, Routes

GROUP: Final = "parley.router"
RECEIVED_AT: Final = "parley-received-at"
MAX_OUT_BYTES: Final = 24 * 1024 * 1024
"""Of all that one webhook becomes: twice what Meta's largest does. A long name that a thousand elements inherit is more."""
_TRACEPARENT_BYTES: Final = 55
"""https://www.w3.org/TR/trace-context/, version 00: anybody may write one into a command's headers, as long as they like."""
_AT_ONCE_ELEMENTS: Final = 1_000
_AT_ONCE_BYTES: Final = 256 * 1024
"""Of what has been read and is not yet written; of one record it may be more."""
_NO_SUBLANES: Final[Mapping[str, int]] = MappingProxyType({})

Element = webhook.Found | SendMessage

OnDeadLetter = Callable[[Unprocessable], None]
OnUnrecognized = Callable[[UnrecognizedChange], None]
OnRecord = Callable[[bool], None]
"""Takes whether any of the record is a dead letter. What it raises ends the reading, before the record's part is given away."""
OnCopied = Callable[[str], None]
"""Takes the name of the rule."""
OnEmpty = Callable[[], None]
"""A webhook without any element, or a command without a value: nothing to append, and not nothing to know."""


class _Source(NamedTuple):
    """A raw record while it becomes others. `place` is where it stood first."""

    record: LogRecord
    place: str
    traceparent: bytes | None


class Router:
    """The routing table. `sublanes`: of the numbers that have any. `on_*` are told what an operator wants to count."""

    def __init__(
        self,
        codec: Codec,
        *,
        on_dead_letter: OnDeadLetter,
        on_unrecognized: OnUnrecognized,
        on_record: OnRecord = lambda _: None,
        routes: Routes | None = None,
        sublanes: Mapping[str, int] = _NO_SUBLANES,
        on_copied: OnCopied = lambda _: None,
        on_empty: OnEmpty = lambda: None,
        on_tombstone: OnEmpty = lambda: None,
        on_ignored: OnIgnored = lambda _: None,
        on_parked: OnEmpty = lambda: None,
    ) -> None:
        self._codec, self._routes, self._sublanes = codec, routes, sublanes
        self._on_dead_letter, self._on_unrecognized, self._on_record = on_dead_letter, on_unrecognized, on_record
        self._on_copied, self._on_empty = on_copied, on_empty
        self._on_tombstone, self._on_ignored, self._on_parked = on_tombstone, on_ignored, on_parked

    def route(self, *records: LogRecord) -> list[NewRecord]:
        """Everything that raw records become, in their order. Never raises for what a record contains."""
        return [new for some in self.in_parts(records) for new in some]

    def in_parts(self, records: Sequence[LogRecord]) -> Iterator[list[NewRecord]]:
        """The same, no more in memory at once than needs to be: a body of a hundred bytes can become megabytes.

        First some are read, then all that is written: the code and tables of one of the two fit into a processor's cache beside
        the data, and going back and forth for each record takes a fifth more time.
        """
        found: list[tuple[_Source, Sequence[Element]]] = []
        elements = size = 0
        for record in records:
            source, own, length = self._found(record)
            found.append((source, own))
            elements, size = elements + len(own), size + length
            del own
            if elements >= _AT_ONCE_ELEMENTS or size >= _AT_ONCE_BYTES:
                yield self._written(found)
                elements = size = 0
        if found:
            yield self._written(found)

    def _written(self, found: list[tuple[_Source, Sequence[Element]]]) -> list[NewRecord]:
        """What was found, which is let go of."""
        out: list[NewRecord] = []
        for source, elements in found:
            begin, size = len(out), 0
            for element in elements:
                size += self._write(out, element, source)
                if size > MAX_OUT_BYTES:
                    out[begin:] = [self._whole_aside(source.record)]
                    break
            self._on_record(any(new.topic is topics.ROUTER_DEAD_LETTERS for new in out[begin:]))
        found.clear()
        return out

    def aside(self, record: LogRecord, problem: Unprocessable) -> NewRecord:
        """A whole record as a dead letter, unread."""
        return self._set_aside(record, webhook.SetAside(problem=problem, value=record.value or b""))

    def _found(self, record: LogRecord) -> tuple[_Source, Sequence[Element], int]:
        """The elements, and how long the body was that has them."""
        told = encoding = traceparent = None
        is_redriven = False
        for name, value in record.headers:
            if name == RECEIVED_AT:
                told = value
            elif name == "content-encoding":
                encoding = value
            elif name == "traceparent" and len(value) == _TRACEPARENT_BYTES:
                traceparent = value
            elif name == REDRIVEN_FROM:
                is_redriven = True
        # Ids are made of the place. Of a webhook the first one counts; a command has its id in it, and anybody may write one.
        origin = redriven_from(record) if is_redriven and record.topic == topics.WEBHOOKS else None
        place = f"{record.topic}/{record.partition}/{record.offset}" if origin is None else str(origin)
        source = _Source(record, place, traceparent)
        size = len(record.value or b"")
        try:
            if record.topic == topics.SEND_COMMANDS:
                return source, self._commands(record), size
            position = Position(source.place, _received_at(told, record))
            body = inflated(record.value or b"", encoding)
            size = len(body)
            elements = webhook.split(body, position)
            if origin is not None and (pointers := redriven_pointers(record)):
                elements = webhook.meant(elements, body, place, pointers)
        except Unprocessable as problem:
            return source, [webhook.SetAside(problem=problem.with_traceback(None), value=record.value or b"")], size
        if not elements:
            self._on_empty()
        return source, elements, size

    def _commands(self, record: LogRecord) -> Sequence[Element]:
        if record.value is None:
            self._on_tombstone()
            return ()
        return [commands.decode(record.value, header(record, "content-type"), self._codec, on_ignored=self._on_ignored)]

    def _write(self, out: list[NewRecord], element: Element, source: _Source) -> int:
        """Append what the element becomes; how many bytes that is, without headers and copies."""
        if isinstance(element, webhook.SetAside):
            own = self._set_aside(source.record, element)
            out.append(own)
        elif isinstance(element, SendMessage):
            own = self._lane_command(element, source)
            out.append(own)
        else:
            own = self._event(element, source)
            out.append(own)
            if self._routes is not None:
                out += self._copies(element, own, self._routes)
        return len(own.key or b"") + len(own.value or b"")

    def _event(self, event: WebhookEvent, source: _Source) -> NewRecord:
        topic, full_name = TOPIC_OF[type(event)], FULL_NAMES[type(event)]
        if isinstance(event, UnrecognizedChange):
            self._on_unrecognized(event)
        # One conversation is one partition; what is about an account is in order by account.
        key = event.waba_id or "" if topic is topics.ACCOUNT_EVENTS else record_key(*_conversation(event))
        headers = cloud_event(
            event_id=event.event_id,
            event_type=full_name,
            source=f"/{source.place}",
            at=event.occurred_at if event.occurred_at is not None else event.recorded_at,
            traceparent=source.traceparent,
        )
        return NewRecord(topic, key.encode(), self._codec.encode(event), headers)

    def _copies(self, event: WebhookEvent, own: NewRecord, routes: Routes) -> Iterator[NewRecord]:
        """One for each rule that the event fulfils: same key, same value, and so the same id."""
        for route in routes.matching(event):
            self._on_copied(route.name)
            yield own._replace(topic=route.topic, headers=[*own.headers, (HEADER, route.name.encode())])

    def _lane_command(self, command: SendMessage, source: _Source) -> NewRecord:
        headers = cloud_event(
            event_id=command.command_id,
            event_type=FULL_NAMES[SendMessage],
            source=f"/{source.place}",
            at=command.created_at if command.created_at is not None else source.record.appended_at,
            traceparent=source.traceparent,
        )
        headers.append(published(source.record.appended_at))
        topic = topics.SENDS[Lane(command.lane)]
        return NewRecord(topic, sublane_keys.key_of(command, self._sublanes), self._codec.encode(command), headers)

    def _set_aside(self, record: LogRecord, aside: webhook.SetAside) -> NewRecord:
        if aside.problem.reason is Reason.VERSION:
            parked = dead_letter(record, aside.problem, topic=topics.PARKED_COMMANDS, group=GROUP, value=aside.value)
            if parked.value is not None:
                self._on_parked()
                return parked
        self._on_dead_letter(aside.problem)
        # What was packed, or numbers that were short, may be longer than a record can be: then the webhook stands for it.
        value = aside.value if len(aside.value) <= webhook.MAX_VALUE_BYTES else record.value
        return dead_letter(record, aside.problem, topic=topics.ROUTER_DEAD_LETTERS, group=GROUP, value=value)

    def _whole_aside(self, record: LogRecord) -> NewRecord:
        return self.aside(record, Unprocessable(Reason.TOO_LARGE, detail=f"its events are more than {MAX_OUT_BYTES} bytes"))


def _conversation(event: Any) -> tuple[str, str | None]:
    return event.phone_number_id or "", getattr(event, "contact", None)


def _received_at(text: bytes | None, record: LogRecord) -> int:
    """When ingest received the POST; a record that ingest did not write has its append time."""
    return int(text) if text and text.isdigit() and len(text) <= 13 else record.appended_at
