"""Are commands of any client read the same, and bad ones named?"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.domain.records import RecordConsent, SendMessage
from services.common.platform.avro import Codec, schema_text
from services.common.platform.kafka import MAX_KEPT_BYTES, LogRecord, NewRecord
from services.router.commands import MAX_COMMAND_BYTES, decode
from services.router.routing import Router

CODEC = Codec()
ID = "0d9c9b7e-1b2a-4a53-9a37-6a8f0a3f7d11"
COMMAND = SendMessage(command_id=ID, phone_number_id="106", to="+5511999990000", type="text", content='{"body":"Oi"}')
FIELDS: dict[str, Any] = {
    "command_id": ID,
    "phone_number_id": "106",
    "to": "+5511999990000",
    "type": "text",
    "content": {"body": "Oi"},
}


def as_json(**changes: Any) -> bytes:
    return json.dumps({**FIELDS, **changes}, separators=(",", ":")).encode()


def nested(levels: int) -> bytes:
    """A command of so many levels; two are the command and its content."""
    inner = "[" * (levels - 2) + "]" * (levels - 2)
    return as_json(content={})[:-2] + f'"body":"a","deep":{inner}}}}}'.encode()


def test_json_and_avro_give_the_same_command() -> None:
    assert decode(as_json(), b"application/json", CODEC) == COMMAND
    assert decode(as_json(), b"application/json; charset=utf-8", CODEC) == COMMAND
    assert decode(as_json(), None, CODEC) == COMMAND
    assert decode(CODEC.encode(COMMAND), b"application/avro", CODEC) == COMMAND
    assert decode(CODEC.encode(COMMAND), None, CODEC) == COMMAND


def test_content_may_be_json_text_as_in_avro() -> None:
    assert decode(as_json(content='{"body":"Oi"}'), None, CODEC) == COMMAND


def test_unknown_fields_are_ignored_and_ids_are_lower_case() -> None:
    assert decode(as_json(command_id=ID.upper(), campaign="spring"), None, CODEC) == COMMAND


@pytest.mark.failure("R17")
def test_unknown_fields_are_counted() -> None:
    ignored: list[int] = []
    decode(as_json(campaign="spring", note=None), None, CODEC, on_ignored=ignored.append)
    decode(as_json(), None, CODEC, on_ignored=ignored.append)
    assert ignored == [2]


def test_64_levels_are_not_too_many() -> None:
    assert decode(nested(64), None, CODEC).command_id == ID


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ({"type": None}, ("", '{"body":"Oi"}')),
        ({"content": None}, ("text", "null")),
        ({"content": 1}, ("text", "1")),
        ({"content": {"body": "\ud800"}}, ("text", '{"body":"\\ud800"}')),
        ({"content": {"body": "\0"}}, ("text", '{"body":"\\u0000"}')),
        ({"content": "no json"}, ("text", "no json")),
    ],
)
def test_what_the_gate_will_refuse_is_a_command(left: dict[str, Any], told: tuple[str, str]) -> None:
    command = decode(as_json(**left), None, CODEC)
    assert (command.type, command.content) == told


def test_a_command_without_type_and_content_is_one() -> None:
    few = {name: value for name, value in FIELDS.items() if name not in ("type", "content")}
    command = decode(json.dumps(few).encode(), None, CODEC)
    assert (command.type, command.content) == ("", "null")


@pytest.mark.parametrize("ahead", [1, 1_000])
def test_a_later_schema_is_told_apart_from_garbage(ahead: int) -> None:
    newest = max(int(number) for number in json.loads(schema_text("ids.lock.json")))
    later = struct.pack(">bI", 0, newest + ahead) + CODEC.encode(COMMAND)[5:]
    with pytest.raises(Unprocessable) as caught:
        decode(later, None, CODEC)
    assert caught.value.reason is Reason.VERSION
    with pytest.raises(Unprocessable) as empty:
        decode(later[:5], None, CODEC)
    assert empty.value.reason is Reason.UNKNOWN_SCHEMA


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(b"{nonsense", Reason.COMMAND_SYNTAX, id="broken JSON"),
        pytest.param(b"nonsense", Reason.COMMAND_SYNTAX, id="neither"),
        pytest.param(b'{"command_id":"' + b"\xff", Reason.COMMAND_SYNTAX, id="not UTF-8"),
        pytest.param(b"\x01" + CODEC.encode(COMMAND)[1:], Reason.COMMAND_SYNTAX, id="another framing"),
        pytest.param(CODEC.encode(COMMAND)[:-1], Reason.COMMAND_SYNTAX, id="Avro cut off"),
        pytest.param(b"\0\0\0\0\0\0", Reason.UNKNOWN_SCHEMA, id="schema 0"),
        pytest.param(b"\0\xff\xff\xff\xff\0", Reason.UNKNOWN_SCHEMA, id="no id of ours"),
        pytest.param(gzip.compress(as_json()), Reason.COMMAND_SYNTAX, id="compressed"),
        pytest.param(nested(65), Reason.JSON_DEPTH, id="65 levels"),
        pytest.param(nested(2_000), Reason.JSON_DEPTH, id="2,000 levels"),
        pytest.param(as_json()[:-1] + b',"to":"+15550100001"}', Reason.JSON_DUP_KEY, id="a key twice"),
        pytest.param(as_json(content={})[:-2] + b'"a":1,"a":2}}', Reason.JSON_DUP_KEY, id="a key twice in the content"),
        pytest.param(as_json(expires_at=1.8e12), Reason.JSON_NUMBER, id="an instant as a float"),
        pytest.param(as_json(send_at=1.5), Reason.JSON_NUMBER, id="a fraction of an instant"),
        pytest.param(as_json(expires_at=2**70), Reason.JSON_NUMBER, id="an integer beyond 64 bits"),
        pytest.param(as_json(content={"n": float("nan")}), Reason.JSON_NUMBER, id="no number"),
        pytest.param(as_json(content={"n": float("inf")}), Reason.JSON_NUMBER, id="infinity"),
        pytest.param(as_json(to="\ud800"), Reason.JSON_ENCODING, id="half of a character in a number"),
        pytest.param(as_json(command_id="7"), Reason.COMMAND_ID, id="id is no UUID"),
        pytest.param(as_json(command_id=7), Reason.COMMAND_ID, id="id is a number"),
        pytest.param(as_json(lane="express"), Reason.LANE_UNKNOWN, id="unknown lane"),
        pytest.param(as_json(phone_number_id=""), Reason.PHONE_MISSING, id="no number"),
        pytest.param(as_json(to="\0"), Reason.TEXT_NUL, id="NUL"),
        pytest.param(as_json(expires_at="tomorrow"), Reason.COMMAND_SCHEMA, id="expiry in words"),
        pytest.param(as_json(content={"body": "x" * MAX_COMMAND_BYTES}), Reason.COMMAND_SIZE, id="too large"),
        pytest.param(b"{}", Reason.COMMAND_ID, id="nothing in it"),
        pytest.param(b'{"command_id":"' + ID.encode() + b'"}', Reason.COMMAND_SCHEMA, id="only an id in it"),
        pytest.param(
            CODEC.encode(
                RecordConsent(
                    consent_id="1",
                    occurred_at=1,
                    phone_number_id="1",
                    contact="1",
                    category="all",
                    decision="granted",
                    source="w",
                )
            ),
            Reason.RECORD_TYPE,
            id="another record",
        ),
    ],
)
def test_what_is_no_command_is_named(value: bytes, reason: Reason) -> None:
    with pytest.raises(Unprocessable) as caught:
        decode(value, None, CODEC)
    assert caught.value.reason is reason


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(dataclasses.fields(SendMessage)).map(lambda field: field.name) | st.text(max_size=8), ANYTHING
    )
)
def test_whatever_a_producer_writes_is_a_command_that_can_go_on_or_is_named(changes: dict[str, Any]) -> None:
    value = json.dumps({**FIELDS, **changes}).encode()
    with contextlib.suppress(Unprocessable):
        command = decode(value, b"application/json", CODEC)
        assert CODEC.decode(CODEC.encode(command)) == command


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.sampled_from([b"", b"\0", b"\0\0\0\0", b"{", CODEC.encode(COMMAND)[:40]]), st.booleans())
def test_bytes_of_any_kind_are_named(rest: bytes, begin: bytes, as_json: bool) -> None:
    with contextlib.suppress(Unprocessable):
        decode(begin + rest, b"application/json" if as_json else None, CODEC)


NEWER = b"\0\0\0\1\0later than ours"
"""A frame with an id that will be given one day."""


def routed(value: bytes, *headers: tuple[str, bytes]) -> NewRecord:
    """What a command record becomes."""
    router = Router(CODEC, on_dead_letter=lambda _: None, on_unrecognized=lambda _: None)
    [one] = router.route(LogRecord(topics.SEND_COMMANDS, 0, 0, 0, b"key", value, headers))
    return one


def test_a_later_command_that_cannot_be_parked_with_its_bytes_is_a_dead_letter() -> None:
    assert routed(NEWER).topic == topics.PARKED_COMMANDS
    assert routed(NEWER, ("long", b"x" * MAX_KEPT_BYTES)).topic == topics.ROUTER_DEAD_LETTERS


@pytest.mark.parametrize("length", [0, 54, 56, 100_000])
def test_a_trace_goes_on_only_if_it_has_the_length_of_one(length: int) -> None:
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert trace in routed(as_json(), trace).headers
    assert "traceparent" not in dict(routed(as_json(), ("traceparent", b"x" * length)).headers)
