"""Can a person read a record in one line, without seeing a phone number, and a program all of it?"""

from __future__ import annotations

import pytest

from services.cli.describing import Describer, full_name
from services.cli.show import masked
from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_headers
from services.common.platform.kafka import LogRecord

DESCRIBER = Describer(Codec())
OUTCOME = SendOutcome(
    event_id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
    occurred_at=1_700_000_000_000,
    command_id="550e8400-e29b-41d4-a716-446655440000",
    attempt_no=1,
    phone_number_id="106540352242922",
    kind="accepted",
    lane="otp",
    type="text",
    contact="5511987654321",
    to="+55 11 98765-4321",
    wa_id="5511987654321",
)


def record(value: bytes | None, topic: str = topics.SEND_OUTCOMES, headers: tuple[tuple[str, bytes], ...] = ()) -> LogRecord:
    return LogRecord(topic, 3, 41, 1_700_000_000_123, b"k", value, headers)


def test_a_line_says_what_happened_and_hides_the_phone_number() -> None:
    line = DESCRIBER.as_line(record(Codec().encode(OUTCOME)))
    assert "SendOutcome" in line
    assert "kind=accepted" in line
    assert "phone_number_id=106540352242922" in line
    assert "contact=+55••••4321" in line
    assert "98765" not in line
    assert "\n" not in line


def test_json_has_the_place_the_headers_and_the_whole_record() -> None:
    told = DESCRIBER.as_object(record(Codec().encode(OUTCOME), headers=(("ce_id", b"x"),)))
    assert (told["topic"], told["partition"], told["offset"], told["key"]) == (topics.SEND_OUTCOMES, 3, 41, "k")
    assert told["headers"] == {"ce_id": "x"}
    assert told["type"] == "SendOutcome"
    assert told["value"]["contact"] == "5511987654321"


def test_a_dead_letter_shows_its_reason_and_where_it_came_from() -> None:
    original = LogRecord(topics.WEBHOOKS, 7, 99, 1, None, b"{", ())
    headers = dead_letter_headers(original, Unprocessable(Reason.JSON_SYNTAX, pointer="/entry/0"), group="parley.router")
    letter = record(b"{", topics.ROUTER_DEAD_LETTERS, tuple(headers))
    assert f"json_syntax at /entry/0 from {topics.WEBHOOKS}/7/99" in DESCRIBER.as_line(letter)
    assert DESCRIBER.as_object(letter)["dead_letter"]["reason"] == "json_syntax"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"\0\0\0\0\xff", "undecodable: unknown_schema"),
        (b"\0", "undecodable: avro_syntax"),
        (b"\xff\xfe", "2 bytes that are no text"),
        (None, "no value"),
    ],
)
def test_what_cannot_be_decoded_is_shown_with_the_reason(value: bytes | None, words: str) -> None:
    assert words in DESCRIBER.as_line(record(value))


def test_raw_json_is_shown_in_one_line_with_numbers_masked() -> None:
    line = DESCRIBER.as_line(record(b'{"from":\n "5511987654321"}', topics.WEBHOOKS))
    assert '{"from": "+55••••4321"}' in line


@pytest.mark.parametrize("text", ["5511987654321", "+5511987654321", "call 5511987654321 now"])
def test_a_masked_number_keeps_two_and_four_digits(text: str) -> None:
    assert "+55••••4321" in masked(text)
    assert "98765" not in masked(text)


@pytest.mark.parametrize("text", ["550e8400-e29b-41d4-a716-446655440000", "order 12345", "2026-11-22"])
def test_what_is_no_phone_number_stays_readable(text: str) -> None:
    assert masked(text) == text


def test_topics_have_short_names() -> None:
    assert full_name("send-outcomes") == full_name(topics.SEND_OUTCOMES) == topics.SEND_OUTCOMES
    assert full_name("router.dead-letters") == topics.ROUTER_DEAD_LETTERS
    with pytest.raises(ValueError, match=r"known are webhooks, .*send-outcomes"):
        full_name("outcomes")
