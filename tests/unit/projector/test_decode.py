"""Is everything that Postgres would refuse refused before it gets there, with its reason?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from services.common.domain import topics
from services.common.domain.events import MessageReceived
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import Record, RecordConsent, SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import AVRO, JSON, dead_letter_headers
from services.common.platform.kafka import LogRecord
from services.projector.decode import LAST_INSTANT, Decoder, set_aside
from services.projector.projections.dead_letters import DeadLetterRow

CODEC = Codec()
DECODER = Decoder(CODEC)
RECEIVED = MessageReceived(
    event_id="e",
    occurred_at=1,
    recorded_at=2,
    waba_id="1",
    phone_number_id="100",
    contact="49151",
    wamid="wamid.1",
    type="text",
    raw="{}",
    text="hello",
)
CONSENT: dict[str, Any] = {
    "consent_id": "k1",
    "occurred_at": 5,
    "phone_number_id": "100",
    "contact": "+49 151 1",
    "category": "marketing",
    "decision": "granted",
    "source": "web",
}


def test_an_event_comes_back_as_it_was() -> None:
    assert DECODER.decode(_record(topics.INBOUND_MESSAGES, RECEIVED)) == RECEIVED


@pytest.mark.parametrize(
    ("change", "reason", "pointer"),
    [
        ({"text": "a\0b"}, Reason.TEXT_NUL, "/text"),
        ({"wamid": "wamid\0"}, Reason.TEXT_NUL, "/wamid"),
        ({"occurred_at": -1}, Reason.VALUE_RANGE, "/occurred_at"),
        ({"recorded_at": LAST_INSTANT + 1}, Reason.VALUE_RANGE, "/recorded_at"),
        ({"wamid": "w" * 513}, Reason.VALUE_RANGE, "/wamid"),
        ({"contact": "ü" * 257}, Reason.VALUE_RANGE, "/contact"),
    ],
)
@pytest.mark.failure("R12")
def test_values_that_postgres_cannot_hold_are_refused(change: dict[str, Any], reason: Reason, pointer: str) -> None:
    problem = _refusal(_record(topics.INBOUND_MESSAGES, replace(RECEIVED, **change)))
    assert (problem.reason, problem.pointer) == (reason, pointer)


def test_bytes_that_are_no_record_are_refused() -> None:
    bare = _record(topics.INBOUND_MESSAGES, RECEIVED)
    assert _refusal(bare._replace(value=None)).reason == Reason.TOMBSTONE
    assert _refusal(bare._replace(value=b"{}")).reason == Reason.AVRO_SYNTAX
    assert _refusal(bare._replace(topic=topics.MESSAGE_STATUSES)).reason == Reason.RECORD_TYPE
    command = SendMessage(command_id="c", phone_number_id="100", type="text", content="{}")
    assert _refusal(bare._replace(value=CODEC.encode(command))).reason == Reason.RECORD_TYPE


def test_consent_is_read_from_json_and_avro_alike() -> None:
    from_json = DECODER.decode(_json(CONSENT))
    from_avro = DECODER.decode(_record(topics.CONSENT_RECORDS, RecordConsent(**CONSENT)))
    assert from_json == from_avro == RecordConsent(**{**CONSENT, "contact": "491511"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"category": "everything"}, Reason.COMMAND_SCHEMA),
        ({"decision": "maybe"}, Reason.COMMAND_SCHEMA),
        ({"contact": "maria@example.org"}, Reason.RECIPIENT),
        ({"contact": ""}, Reason.RECIPIENT),
        ({"consent_id": ""}, Reason.COMMAND_ID),
        ({"phone_number_id": ""}, Reason.PHONE_MISSING),
        ({"occurred_at": "yesterday"}, Reason.COMMAND_SCHEMA),
        ({"source": "we\0b"}, Reason.TEXT_NUL),
    ],
)
def test_consent_that_says_nothing_usable_is_refused(change: dict[str, Any], reason: Reason) -> None:
    assert _refusal(_json({**CONSENT, **change})).reason == reason


def test_a_bsuid_is_a_contact_as_it_is() -> None:
    event = DECODER.decode(_json({**CONSENT, "contact": "DE.AbC123"}))
    assert isinstance(event, RecordConsent)
    assert event.contact == "DE.AbC123"


def test_consent_that_is_no_json_object_is_refused() -> None:
    assert _refusal(_json(CONSENT)._replace(value=b"{")).reason == Reason.JSON_SYNTAX
    assert _refusal(_json(CONSENT)._replace(value=b"[]")).reason == Reason.NOT_OBJECT


def test_a_dead_letter_stands_under_the_place_it_came_from() -> None:
    record = LogRecord("parley.webhooks.v1", 3, 42, 1_700, b"k", b"\0\xff", [("a", b"text"), ("b", b"\xff")])
    problem = Unprocessable(Reason.JSON_SYNTAX, pointer="/entry/0", detail="why")
    letter = LogRecord(
        topics.ROUTER_DEAD_LETTERS, 1, 7, 9_999, b"k", b"\0\xff", dead_letter_headers(record, problem, group="parley.router")
    )
    row = DECODER.decode(letter)
    assert row == set_aside(record, problem)._replace(consumer_group="parley.router")


def test_a_dead_letter_without_origin_stands_under_its_own_place() -> None:
    row = DECODER.decode(LogRecord(topics.SENDER_DEAD_LETTERS, 1, 7, 9_999, None, None, [("parley-dead-letter-offset", b"x")]))
    assert isinstance(row, DeadLetterRow)
    assert row[:5] == (topics.SENDER_DEAD_LETTERS, 1, 7, "", 9_999)


def test_a_pointer_of_any_length_fits_the_index() -> None:
    record = _record(topics.INBOUND_MESSAGES, RECEIVED)
    rows = [set_aside(record, Unprocessable(Reason.TEXT_NUL, pointer="/ü" * 5_000 + end)) for end in ("a", "b")]
    assert all(len(row.pointer.encode()) <= 512 for row in rows)
    assert rows[0].pointer != rows[1].pointer


def _record(topic: str, event: Record) -> LogRecord:
    return LogRecord(topic, 0, 0, 1_000, b"key", CODEC.encode(event), [("content-type", AVRO)])


def _json(fields: dict[str, Any]) -> LogRecord:
    return LogRecord(topics.CONSENT_RECORDS, 0, 0, 1_000, b"key", orjson.dumps(fields), [("content-type", JSON)])


def _refusal(record: LogRecord) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        DECODER.decode(record)
    return caught.value
