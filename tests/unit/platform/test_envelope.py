"""Does a dead letter have room for any record that Kafka takes, and does it say what it has no room for?"""

from __future__ import annotations

from typing import Final

import pytest

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.platform.envelope import dead_letter, dead_letter_origin
from services.common.platform.kafka import MAX_KEPT_BYTES, MAX_RECORD_BYTES, LogRecord, NewRecord

PROBLEM: Final = Unprocessable(Reason.JSON_SYNTAX, pointer="/entry/0", detail="not JSON")
GROUP: Final = "parley.router"


def raw(value: bytes, *headers: tuple[str, bytes], key: bytes = b"key") -> LogRecord:
    return LogRecord(topics.SEND_COMMANDS, 3, 7, 99, key, value, headers)


def told(letter: NewRecord) -> dict[str, str]:
    return dead_letter_origin(LogRecord(letter.topic, 0, 0, 0, letter.key, letter.value, letter.headers))


def set_aside(record: LogRecord) -> NewRecord:
    letter = dead_letter(record, PROBLEM, topic=topics.ROUTER_DEAD_LETTERS, group=GROUP, value=record.value)
    assert letter.fits(MAX_KEPT_BYTES)
    assert (told(letter)["topic"], told(letter)["partition"], told(letter)["offset"]) == (topics.SEND_COMMANDS, "3", "7")
    assert told(letter)["reason"] == Reason.JSON_SYNTAX
    return letter


@pytest.mark.parametrize("length", [0, 1, MAX_RECORD_BYTES])
def test_what_a_topic_takes_is_kept_whole(length: int) -> None:
    letter = set_aside(raw(b"x" * length, ("content-type", b"text/plain")))
    assert (letter.key, letter.value) == (b"key", b"x" * length)
    assert ("content-type", b"text/plain") in letter.headers
    assert told(letter)["error"] == "not JSON"


def test_of_what_was_longer_before_it_was_packed_the_bytes_are_left_out() -> None:
    letter = set_aside(raw(b"x" * MAX_KEPT_BYTES, ("content-type", b"text/plain")))
    assert (letter.key, letter.value) == (b"key", None)
    assert ("content-type", b"text/plain") in letter.headers
    assert told(letter)["error"] == "not JSON; too long to be kept here"


@pytest.mark.parametrize(
    "record", [raw(b"x", key=b"k" * MAX_KEPT_BYTES), raw(b"x", ("long", b"h" * MAX_KEPT_BYTES))], ids=["key", "header"]
)
def test_and_so_are_key_and_headers_that_are_too_long_by_themselves(record: LogRecord) -> None:
    letter = set_aside(record)
    assert (letter.key, letter.value) == (None, None)
    assert told(letter)["error"] == "not JSON; too long to be kept here"
