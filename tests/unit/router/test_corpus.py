"""What becomes of content that is wrong, odd or hostile? Each case of the corpus, by the router's pure function alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.common.domain import topics
from services.common.platform.avro import Codec
from services.common.platform.kafka import MAX_RECORD_BYTES
from services.projector.decode import Decoder
from services.projector.fold import fold
from services.router import webhook
from tests.support import samples
from tests.support.webhook_corpus import CASES, LONGER_WRITTEN_AGAIN, headers_of, message, post, spliced, told, value

CODEC = Codec()


@pytest.mark.parametrize("name", CASES)
def test_a_category_has_exactly_this_result_and_it_can_be_projected(name: str) -> None:
    case = CASES[name]
    out = samples.routed(samples.record(case.body, headers=headers_of(case)))
    assert [told(one.topic, one.value, one.headers) for one in out] == case.expected
    if len(out) < 5_000 and not case.refused:
        decoder = Decoder(CODEC)
        fold(decoder.decode(samples.record(one.value)._replace(topic=one.topic, key=one.key, headers=one.headers)) for one in out)


def test_a_dead_letter_has_the_bytes_that_came() -> None:
    bad = b'{"id":"wamid.9",  "id":"wamid.8","from":"Gr\xfc\xdfe"}'
    letters = [one for one in samples.routed(samples.record(spliced(bad))) if one.topic == topics.ROUTER_DEAD_LETTERS]
    assert [one.value for one in letters] == [bad]
    (letter,) = samples.routed(samples.record(b"no JSON"))
    assert letter.value == b"no JSON"


@pytest.mark.parametrize(
    ("bad", "has_the_element"),
    [
        (json.dumps(message(9, text={"body": "x" * 3_000_000})).encode(), True),
        (b'{"id":"wamid.9"' + LONGER_WRITTEN_AGAIN + b"}", False),
    ],
    ids=["the element", "the webhook, for the element written again is longer than a record"],
)
def test_what_does_not_fit_into_a_record_is_a_dead_letter_that_does(bad: bytes, has_the_element: bool) -> None:
    body = spliced(bad)
    out = samples.routed(samples.record(body))
    (letter,) = [one for one in out if one.topic == topics.ROUTER_DEAD_LETTERS]
    assert json.loads(letter.value or b"") == json.loads(bad if has_the_element else body)
    assert max(len(one.value or b"") for one in out) < MAX_RECORD_BYTES


def test_lists_are_too_many_together_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of how many are too many the corpus has the true figure."""
    monkeypatch.setattr(webhook, "MAX_ELEMENTS", 100)
    half, few = [7] * 51, [7] * 26
    threads = [{"id": str(n), "messages": few} for n in range(2)]
    for field, found in {
        "messages": value(messages=half, statuses=half),
        "history": value(history=[{"threads": threads}, {"threads": threads}]),
    }.items():
        out = samples.routed(samples.record(post(found, field=field)))
        assert [told(one.topic, one.value, one.headers) for one in out] == ["too_many"]
    for found in (value(messages=half, statuses=half[2:]), value(messages=[*half, *half[2:]])):
        assert len(samples.routed(samples.record(post(found)))) == 100


def test_a_text_is_kept_to_the_byte() -> None:
    text = "\u0301\u202e\u200d" + "é" * 5_000 + " \t\n🇦🇫"
    (one,) = samples.routed(samples.record(post(value(messages=[message(text={"body": text})]))))
    event: Any = CODEC.decode(one.value or b"")
    assert event.text == text
    assert json.loads(event.raw)["text"]["body"] == text


def test_the_same_id_with_other_content_keeps_the_first() -> None:
    """Category 69: both are in the log, the read model has the one that was recorded first."""
    decoder = Decoder(CODEC)
    first, second = (post(value(messages=[message(text={"body": body})])) for body in ("first", "second"))
    events = []
    for offset, body in enumerate((first, second)):
        raw = samples.record(body, offset, [])._replace(headers=[("parley-received-at", b"%d" % (samples.RECEIVED + offset))])
        routed = samples.routed(raw)
        events += [decoder.decode(samples.record(one.value)._replace(topic=one.topic, headers=one.headers)) for one in routed]
    for order in (events, events[::-1]):
        (row,) = fold(order)["messages"]
        assert "first" in row
