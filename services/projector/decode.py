"""What does a record of the log mean to the read models? Everything Postgres would refuse is refused here, before any folding.

So a record is a dead letter for what it is, never for the company it came in, and a rebuild sets aside the same ones.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import orjson

from services.common.domain import topics
from services.common.domain.consent import ConsentCategory, Decision
from services.common.domain.events import (
    CallChanged,
    ContactChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    ThreadHandedOver,
    UserPreferenceChanged,
)
from services.common.domain.failure import Unprocessable
from services.common.domain.loud_stops import SchemaUnknown
from services.common.domain.reasons import Reason
from services.common.domain.records import TOPIC_OF, Record, RecordConsent, SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import JSON, dead_letter_origin, header
from services.common.platform.kafka import LogRecord
from services.projector.fold import Event
from services.projector.projections.contacts import digits
from services.projector.projections.dead_letters import DeadLetterRow, bounded_pointer, headers_json, without_nul

GROUP: Final = "parley.projector"
ID_BYTES: Final = 512
"""Longest identifier: what an index can hold. Meta's longest are a fifth of it."""
LAST_INSTANT: Final = 253_402_300_799_999
"""End of the year 9999: what Postgres can hold and every client can read."""

_PERSON: Final = ("event_id", "phone_number_id", "contact", "wa_id", "bsuid")
_IDS: Final[dict[type[Record], tuple[str, ...]]] = {
    MessageReceived: (*_PERSON, "wamid", "parent_bsuid"),
    MessageCopied: (*_PERSON, "wamid", "parent_bsuid", "direction"),
    MessageStatusChanged: (*_PERSON, "wamid", "status", "type", "parent_bsuid"),
    CallChanged: (*_PERSON, "parent_bsuid"),
    ContactChanged: (*_PERSON, "parent_bsuid", "previous_wa_id", "previous_bsuid", "previous_parent_bsuid"),
    UserPreferenceChanged: (*_PERSON, "parent_bsuid", "value"),
    ThreadHandedOver: _PERSON,
    RecordConsent: ("consent_id", "phone_number_id", "contact"),
    SendOutcome: (*_PERSON, "command_id", "to", "wamid"),
}
"""What becomes part of a key. Records that are not here have no key but their digest."""
_BSUID: Final = re.compile(r"[A-Z]{2}\.[\w.-]{1,128}", re.ASCII)


class Decoder:
    """Turns a record into an event; raises Unprocessable for what will never be one, SchemaUnknown for what is one to others."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._checks = {cls: _check(cls) for cls in TOPIC_OF}

    def decode(self, record: LogRecord) -> Event:
        """The event in a record of one of the projector's sources."""
        if record.topic in topics.DEAD_LETTERS:
            return dead_letter(record)
        if record.value is None:
            raise Unprocessable(Reason.TOMBSTONE)
        if record.topic == topics.CONSENT_RECORDS and (header(record, "content-type") or b"").startswith(JSON):
            event = self._codec.validated(RecordConsent, _json_object(record.value))
        else:
            event = self._decoded(record.topic, record.value)
        if isinstance(event, SendMessage) or TOPIC_OF.get(type(event)) != record.topic:
            raise Unprocessable(Reason.RECORD_TYPE, detail=type(event).__name__)
        self._checks[type(event)](event)
        return _consent(event) if isinstance(event, RecordConsent) else event

    def _decoded(self, topic: str, value: bytes) -> Any:
        try:
            return self._codec.decode(value)
        except Unprocessable as problem:
            if topic not in topics.FOREIGN and self._codec.is_newer(value):
                raise SchemaUnknown(f"{topic}: {problem.detail}") from None
            raise


def dead_letter(record: LogRecord) -> DeadLetterRow:
    """A record of a dead-letter topic as a row: under the place it came from, else under its own."""
    origin = dead_letter_origin(record)
    partition, offset = _number(origin.get("partition"), 2**31), _number(origin.get("offset"), 2**63)
    known = partition is not None and offset is not None and bool(origin.get("topic"))
    appended_at = _number(origin.get("timestamp"), LAST_INSTANT + 1)
    return DeadLetterRow(
        bounded_pointer(origin["topic"]) if known else record.topic,
        partition if known and partition is not None else record.partition,
        offset if known and offset is not None else record.offset,
        bounded_pointer(origin.get("pointer", "")),
        appended_at if appended_at is not None else _instant(record.appended_at),
        without_nul(origin.get("group", "")),
        without_nul(origin.get("reason", "")),
        without_nul(origin.get("error", "")),
        record.key,
        record.value,
        headers_json((name, value) for name, value in record.headers if not name.startswith("parley-dead-letter-")),
    )


def set_aside(record: LogRecord, problem: Unprocessable) -> DeadLetterRow:
    """The row of a record that this service could not use."""
    return DeadLetterRow(
        record.topic,
        record.partition,
        record.offset,
        bounded_pointer(problem.pointer),
        _instant(record.appended_at),
        GROUP,
        str(problem.reason),
        without_nul(problem.detail),
        record.key,
        record.value,
        headers_json(record.headers),
    )


def _instant(at: int) -> int:
    return min(max(at, 0), LAST_INSTANT)


def _number(text: str | None, limit: int) -> int | None:
    if not text or len(text) > 19 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number < limit else None


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Unprocessable(Reason.JSON_SYNTAX) from None
    if not isinstance(fields, dict):
        raise Unprocessable(Reason.NOT_OBJECT)
    return fields


def _check(cls: type[Record]) -> Callable[[Any], None]:
    """A check of one record type, with its fields looked up once."""
    fields = dataclasses.fields(cls)
    text_names = [field.name for field in fields if field.type in ("str", "str | None")]
    instant_names = [field.name for field in fields if field.name.endswith("_at")]
    id_names = _IDS.get(cls, ("event_id",))
    ids = attrgetter(*id_names, id_names[0])
    short = ID_BYTES // 4

    def check(event: Any) -> None:
        held = vars(event)
        for name in instant_names:
            if name in held and not 0 <= held[name] <= LAST_INSTANT:
                raise Unprocessable(Reason.VALUE_RANGE, pointer=f"/{name}")
        # First all at once, for nearly every event is in order.
        if "\0" in "".join([text for text in held.values() if type(text) is str]):
            name = next(name for name in text_names if "\0" in (getattr(event, name) or ""))
            raise Unprocessable(Reason.TEXT_NUL, pointer=f"/{name}")
        if max(map(len, filter(None, ids(event))), default=0) > short:
            for name in id_names:
                if len((getattr(event, name) or "").encode()) > ID_BYTES:
                    raise Unprocessable(Reason.VALUE_RANGE, pointer=f"/{name}", detail="identifier too long")

    return check


def _consent(event: RecordConsent) -> RecordConsent:
    """With the contact as our keys write it: digits or a BSUID."""
    if not event.consent_id:
        raise Unprocessable(Reason.COMMAND_ID, pointer="/consent_id")
    if not event.phone_number_id:
        raise Unprocessable(Reason.PHONE_MISSING, pointer="/phone_number_id")
    if event.category not in tuple(ConsentCategory):
        raise Unprocessable(Reason.COMMAND_SCHEMA, pointer="/category")
    if event.decision not in tuple(Decision):
        raise Unprocessable(Reason.COMMAND_SCHEMA, pointer="/decision")
    contact = event.contact if _BSUID.fullmatch(event.contact) else digits(event.contact)
    if not contact:
        raise Unprocessable(Reason.RECIPIENT, pointer="/contact")
    return dataclasses.replace(event, contact=contact)
