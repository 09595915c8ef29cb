"""Is a redriven webhook known again: the same ids, only the elements that are meant, and nobody believed who lies?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from services.common.domain import topics
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import (
    REDRIVEN_FROM,
    Origin,
    dead_letter_origin,
    header,
    redriven_from,
    redriven_headers,
    redriven_pointers,
)
from services.common.platform.kafka import LogRecord, NewRecord
from services.sandbox.webhook_elements import elements
from tests.support import samples

NAMES: Final = samples.names()
SOME: Final = NAMES[::4]
"""A pointer is a place, and samples of a family have theirs in the same places."""
ID: Final = "0a1b2c3d-0000-4000-8000-000000000000"
FIRST: Final = Origin(topics.WEBHOOKS, 0, 0)
LATER: Final = 9
IN_A_LIST: Final = "/entry/0/changes/0/value/messages/0"


def again(raw: LogRecord, *pointers: str, offset: int = LATER) -> LogRecord:
    """The record as a redrive appends it, for these elements or for all of it."""
    origin = redriven_from(raw) or Origin(*raw[:3])
    headers = redriven_headers(raw.headers, origin=origin, pointers=pointers, redrive_id=ID)
    return raw._replace(offset=offset, headers=headers)


def damaged(node: Any) -> Iterator[Any]:
    """Copies of a document, in each of which one thing more has a timestamp that is none."""
    whole = json.loads(json.dumps(node))
    stack = [whole]
    while stack:
        one = stack.pop()
        if isinstance(one, dict) and "timestamp" in one:
            one["timestamp"] = "soon"
            yield whole
        stack += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def pointer_of(letter: NewRecord) -> str:
    return dead_letter_origin(as_logged(letter))["pointer"]


def as_logged(letter: NewRecord) -> LogRecord:
    return LogRecord(letter.topic, 0, 0, 0, letter.key, letter.value, letter.headers)


def place_of(event: NewRecord) -> bytes | None:
    return header(as_logged(event), "ce_source")


@pytest.mark.parametrize("name", SOME)
def test_each_element_redriven_alone_is_the_same_record_again(name: str) -> None:
    raw = samples.record(samples.body(name))
    first = samples.routed(raw)
    alone = [out for one in elements(raw.value or b"") for out in samples.routed(again(raw, one.pointer))]
    assert [out for out in alone if out.topic not in topics.DEAD_LETTERS] == [
        out for out in first if out.topic not in topics.DEAD_LETTERS
    ]
    assert [(out.value, pointer_of(out)) for out in alone if out.topic in topics.DEAD_LETTERS] == [
        (out.value, pointer_of(out)) for out in first if out.topic in topics.DEAD_LETTERS
    ]


@pytest.mark.parametrize("name", SOME)
def test_each_dead_letter_redriven_by_its_own_pointer_is_that_one_and_no_sibling(name: str) -> None:
    for document in damaged(samples.document(name)):
        raw = samples.record(json.dumps(document).encode())
        letters = [out for out in samples.routed(raw) if out.topic in topics.DEAD_LETTERS]
        for letter in letters:
            [found] = samples.routed(again(raw, pointer_of(letter)))
            assert (found.topic, found.value, pointer_of(found)) == (letter.topic, letter.value, pointer_of(letter))
            assert dead_letter_origin(as_logged(found))["offset"] == str(LATER)


def test_without_a_pointer_all_of_it_is_the_same_again_and_a_redrive_of_a_redrive_too() -> None:
    raw = samples.record(samples.body(NAMES[0]))
    once = again(raw)
    assert samples.routed(once) == samples.routed(raw)
    twice = again(once, offset=LATER + 1)
    assert samples.routed(twice) == samples.routed(raw)
    assert (redriven_from(twice), redriven_pointers(twice)) == (FIRST, [])


def test_what_was_set_aside_around_elements_gives_the_elements() -> None:
    raw = samples.record(samples.body(next(name for name in NAMES if name.startswith("batch_twenty"))))
    assert samples.routed(again(raw, "/entry/0")) == samples.routed(raw)


def test_a_pointer_to_nothing_is_set_aside_and_its_neighbour_goes_on() -> None:
    raw = samples.record(samples.body(next(name for name in NAMES if name.startswith("batch_twenty"))))
    event, letter = samples.routed(again(raw, IN_A_LIST, "/entry/7/changes/0/value"))
    assert event == samples.routed(raw)[0]
    assert (dead_letter_origin(as_logged(letter))["reason"], pointer_of(letter)) == (
        "redriven_pointer",
        "/entry/7/changes/0/value",
    )


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"parley.webhooks.v1/0/9",
        b"parley.webhooks.v1/0/10",
        b"parley.webhooks.v1/1/0",
        b"parley.send-commands.v1/0/0",
        b"parley.webhooks.v1/0/-1",
        b"parley.webhooks.v1/0/\xc2\xb2",
        b"parley.webhooks.v1/0/1/2",
        b"parley.webhooks.v1/0/" + b"0" * 5_000,
        b"\xff",
    ],
)
def test_only_an_earlier_offset_of_its_own_partition_is_believed(told: bytes) -> None:
    raw = samples.record(samples.body(NAMES[0]), offset=LATER)
    forged = raw._replace(headers=[*raw.headers, (REDRIVEN_FROM, told)])
    assert redriven_from(forged) is None
    assert samples.routed(forged) == samples.routed(raw)


def test_a_command_that_says_where_it_stood_is_a_command_like_any_other() -> None:
    command = SendMessage(command_id=ID, phone_number_id="106", type="text", content="{}", to="+491700000001")
    raw = LogRecord(topics.SEND_COMMANDS, 3, 7, samples.RECEIVED, b"k", Codec().encode(command), ())
    [sent] = samples.routed(again(raw, offset=8))
    assert sent._replace(headers=()) == samples.routed(raw)[0]._replace(headers=())
    assert place_of(sent) == b"/parley.send-commands.v1/3/8"
