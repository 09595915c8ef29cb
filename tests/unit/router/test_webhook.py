"""Does every element of a webhook become exactly one event or one dead letter?"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.domain import topics
from services.common.domain.events import (
    ContactChanged,
    ErrorReported,
    MessageReceived,
    MessageStatusChanged,
    UnrecognizedChange,
    UserActionReported,
    WebhookEvent,
)
from services.common.domain.failure import Unprocessable
from services.common.domain.reasons import Reason
from services.common.platform import metrics
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord
from services.router import app
from services.router.body import inflated
from services.router.reading import Position
from services.router.routing import Router
from services.router.webhook import FIELDS, SetAside, split

AT = Position(place="parley.webhooks.v1/3/41", received_at=1_795_000_000_000)


def message(**changes: Any) -> dict[str, Any]:
    base = {"from": "5511999990000", "id": "wamid.A", "timestamp": "1794999999", "type": "text", "text": {"body": "Olá"}}
    return {**base, **changes}


def status(**changes: Any) -> dict[str, Any]:
    base = {"id": "wamid.B", "status": "sent", "timestamp": "1794999999", "recipient_id": "5511999990000"}
    return {**base, **changes}


def value(**changes: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "15550000001", "phone_number_id": "106"}
    return {"messaging_product": "whatsapp", "metadata": metadata, **changes}


def webhook(*values: Any, field: str = "messages", **entry: Any) -> bytes:
    changes = [{"field": field, "value": each} for each in values]
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": "900", "changes": changes, **entry}]})


def only(body: bytes) -> WebhookEvent:
    (found,) = split(body, AT)
    assert not isinstance(found, SetAside)
    return found


def reasons(body: bytes) -> list[Reason]:
    return [found.problem.reason for found in split(body, AT) if isinstance(found, SetAside)]


def test_a_text_message_becomes_message_received() -> None:
    contacts = [{"wa_id": "1", "profile": {"name": "Other"}}, {"wa_id": "5511999990000", "profile": {"name": "Ana"}}]
    event = only(webhook(value(contacts=contacts, messages=[message(context={"id": "wamid.0"})])))
    assert isinstance(event, MessageReceived)
    assert (event.waba_id, event.phone_number_id, event.contact, event.wa_id) == ("900", "106", "5511999990000", "5511999990000")
    assert (event.type, event.text, event.profile_name, event.context_wamid) == ("text", "Olá", "Ana", "wamid.0")
    assert (event.occurred_at, event.recorded_at) == (1_794_999_999_000, AT.received_at)
    assert orjson.loads(event.raw)["text"] == {"body": "Olá"}


@pytest.mark.failure("R1")
def test_the_same_bytes_at_the_same_position_give_the_same_events() -> None:
    body = webhook(value(messages=[message(), message(id="wamid.C")], statuses=[status()]))
    assert split(body, AT) == split(body, AT)
    ids = [event.event_id for event in split(body, AT) if not isinstance(event, SetAside)]
    assert len(set(ids)) == 3


def test_another_offset_gives_other_ids() -> None:
    other = AT._replace(place="parley.webhooks.v1/3/42")
    (again,) = split(webhook(value(messages=[message()])), other)
    assert not isinstance(again, SetAside)
    assert only(webhook(value(messages=[message()]))).event_id != again.event_id


def test_a_bsuid_is_the_contact_wherever_it_stands() -> None:
    for changes in ({"from_user_id": "US.1349"}, {"from": "US.1349"}, {"from": None, "from_user_id": "US.1349"}):
        event = only(webhook(value(messages=[message(**changes)])))
        assert isinstance(event, MessageReceived)
        assert (event.contact, event.bsuid) == ("US.1349", "US.1349")


@pytest.mark.parametrize(
    ("changes", "text", "payload"),
    [
        pytest.param({"type": "button", "button": {"text": "Stop", "payload": "P"}}, "Stop", "P", id="template quick reply"),
        pytest.param(
            {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "i", "title": "Yes"}}},
            "Yes",
            "i",
            id="reply button",
        ),
        pytest.param(
            {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r", "title": "Row"}}},
            "Row",
            "r",
            id="list row",
        ),
        pytest.param({"type": "image", "image": {"id": "1", "caption": "look"}}, "look", None, id="caption"),
        pytest.param({"type": "reaction", "reaction": {"message_id": "w", "emoji": "👍"}}, "👍", None, id="reaction"),
        pytest.param({"type": "holograms", "holograms": [1]}, None, None, id="a type that Meta adds tomorrow"),
        pytest.param({"type": "interactive"}, None, None, id="type without its object"),
        pytest.param({"text": {"body": "a\0b"}}, "a\ufffdb", None, id="NUL, which Postgres cannot hold"),
    ],
)
def test_words_and_payload_are_found_by_type(changes: dict[str, Any], text: str | None, payload: str | None) -> None:
    event = only(webhook(value(messages=[message(**changes)])))
    assert isinstance(event, MessageReceived)
    assert (event.text, event.payload) == (text, payload)


def test_a_status_keeps_the_attempt_and_its_error() -> None:
    errors = [{"code": 131026, "title": "Undeliverable"}]
    pricing = {"pricing_model": "PMP", "type": "regular", "category": "utility"}
    event = only(
        webhook(value(statuses=[status(status="failed", errors=errors, pricing=pricing, biz_opaque_callback_data="attempt")]))
    )
    assert isinstance(event, MessageStatusChanged)
    assert (event.status, event.error_code, event.error_title) == ("failed", 131026, "Undeliverable")
    assert (event.biz_opaque_callback_data, event.pricing_category, event.type) == ("attempt", "utility", "message")


def test_a_payment_status_keeps_its_type() -> None:
    event = only(webhook(value(statuses=[status(type="payment", status="captured")])))
    assert isinstance(event, MessageStatusChanged)
    assert event.type == "payment"


@pytest.mark.failure("R17")
def test_a_field_that_has_no_type_here_is_kept_whole() -> None:
    event = only(webhook({"event": "X", "nested": {"deep": [1]}}, field="a_field_of_tomorrow", time=1_794_999_000))
    assert isinstance(event, UnrecognizedChange)
    assert (event.field, event.pointer) == ("a_field_of_tomorrow", "/entry/0/changes/0/value")
    assert event.occurred_at == 1_794_999_000_000
    assert orjson.loads(event.raw) == {"event": "X", "nested": {"deep": [1]}}


def test_errors_and_user_actions_beside_messages_are_events_one_by_one() -> None:
    action = {"action_type": "landing_page_view", "timestamp": "1794999999"}
    payload = value(messages=[message()], errors=[{"code": 1}, {"code": 2}], user_actions=[action], tomorrow=[1], soon="x")
    found = split(webhook(payload), AT)
    kinds = [MessageReceived, ErrorReported, ErrorReported, UserActionReported, UnrecognizedChange, UnrecognizedChange]
    assert [type(event) for event in found] == kinds
    unrecognized = [event.pointer for event in found if isinstance(event, UnrecognizedChange)]
    assert unrecognized == ["/entry/0/changes/0/value/tomorrow/0", "/entry/0/changes/0/value/soon"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param("text", Reason.ELEMENT_SHAPE, id="no object"),
        pytest.param(None, Reason.ELEMENT_SHAPE, id="null"),
        pytest.param(message(id=None), Reason.MESSAGE_ID, id="no id"),
        pytest.param(message(id=""), Reason.MESSAGE_ID, id="empty id"),
        pytest.param(message(id=1.8446744073709552e19), Reason.MESSAGE_ID, id="id as number"),
        pytest.param(message(id="w" * 10_000), Reason.MESSAGE_ID, id="id of 10 KB"),
        pytest.param(message(id="wamid.\0"), Reason.TEXT_NUL, id="NUL in id"),
        pytest.param({k: v for k, v in message().items() if k != "from"}, Reason.SENDER_MISSING, id="nobody"),
        pytest.param(message(**{"from": 5511}), Reason.ID_TYPE, id="sender as number"),
        pytest.param(message(timestamp=None), Reason.TIMESTAMP, id="no time"),
        pytest.param(message(timestamp="soon"), Reason.TIMESTAMP, id="time in words"),
        pytest.param(message(timestamp="-5"), Reason.TIMESTAMP, id="negative time"),
        pytest.param(message(timestamp="0"), Reason.TIMESTAMP, id="time zero"),
        pytest.param(message(timestamp="1795999999"), Reason.TIMESTAMP, id="far ahead"),
        pytest.param(message(timestamp="٣"), Reason.TIMESTAMP, id="digits of another script"),
        pytest.param(message(deep=[[[[[[]]]]]]), None, id="a little nested is fine"),
    ],
)
@pytest.mark.failure("R16")
def test_one_bad_message_is_set_aside_alone(bad: Any, reason: Reason | None) -> None:
    found = split(webhook(value(messages=[message(id="wamid.1"), bad, message(id="wamid.2")])), AT)
    aside = [each for each in found if isinstance(each, SetAside)]
    assert [each.problem.reason for each in aside] == ([reason] if reason else [])
    assert len(found) == 3
    if aside:
        assert aside[0].problem.pointer.startswith("/entry/0/changes/0/value/messages/1")
        assert orjson.loads(aside[0].value) == orjson.loads(orjson.dumps(bad))


def test_nesting_beyond_64_levels_is_set_aside() -> None:
    deep: Any = []
    for _ in range(70):
        deep = [deep]
    assert reasons(webhook(value(messages=[message(text={"body": "x", "more": deep})]))) == [Reason.JSON_DEPTH]


def test_milliseconds_are_taken_as_such_and_numbers_as_text() -> None:
    for timestamp in ("1794999999000", 1794999999, "1794999999"):
        event = only(webhook(value(messages=[message(timestamp=timestamp)])))
        assert isinstance(event, MessageReceived)
        assert event.occurred_at == 1_794_999_999_000


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [({}, Reason.PHONE_MISSING), (None, Reason.PHONE_MISSING), ({"phone_number_id": 106}, Reason.ID_TYPE)],
)
def test_a_number_that_is_missing_or_no_text_is_named(metadata: Any, reason: Reason) -> None:
    assert reasons(webhook(value(metadata=metadata, messages=[message()], statuses=[status()]))) == [reason, reason]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", Reason.EMPTY_BODY, id="empty"),
        pytest.param(b"{", Reason.JSON_SYNTAX, id="cut"),
        pytest.param(b"{} {}", Reason.JSON_SYNTAX, id="two documents"),
        pytest.param(b'{"object":NaN,"entry":[]}', Reason.JSON_NUMBER, id="NaN"),
        pytest.param(b'{"object":"\xff\xfe","entry":[]}', Reason.JSON_ENCODING, id="not UTF-8"),
        pytest.param(b'{"object":"\\ud800","entry":[]}', Reason.JSON_ENCODING, id="lone surrogate"),
        pytest.param(b"[" * 100_000, Reason.JSON_DEPTH, id="100,000 levels"),
        pytest.param(b"[]", Reason.NOT_OBJECT, id="array"),
        pytest.param(b"null", Reason.NOT_OBJECT, id="null"),
        pytest.param(b'{"object":"page","entry":[]}', Reason.OBJECT_UNKNOWN, id="another product"),
        pytest.param(b'{"entry":[]}', Reason.OBJECT_UNKNOWN, id="no object"),
        pytest.param(b'{"object":"whatsapp_business_account"}', Reason.ENTRY_SHAPE, id="no entry"),
        pytest.param(b'{"object":"whatsapp_business_account","entry":{}}', Reason.ENTRY_SHAPE, id="entry as object"),
    ],
)
def test_a_body_that_is_no_webhook_is_named(body: bytes, reason: Reason) -> None:
    with pytest.raises(Unprocessable) as caught:
        split(body, AT)
    assert caught.value.reason is reason


def test_bad_entries_and_changes_are_set_aside_alone() -> None:
    good = {"field": "messages", "value": value(messages=[message()])}
    entries = ["x", {"id": "1"}, {"id": "1", "changes": [1, {"field": 5}, {"field": "messages", "value": []}, good]}]
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": entries})
    assert reasons(body) == [Reason.CHANGES_SHAPE] * 4 + [Reason.VALUE_SHAPE]
    assert sum(isinstance(found, MessageReceived) for found in split(body, AT)) == 1


def test_an_empty_entry_list_is_nothing() -> None:
    assert split(b'{"object":"whatsapp_business_account","entry":[]}', AT) == []


def test_compressed_bodies_are_inflated_with_a_bound() -> None:
    body = webhook(value(messages=[message()]))
    assert inflated(gzip.compress(body), b"gzip") == inflated(zlib.compress(body), b"deflate") == inflated(body, None) == body
    with pytest.raises(Unprocessable) as bomb:
        inflated(gzip.compress(bytes(50_000_000)), b"gzip")
    assert bomb.value.reason is Reason.DECOMPRESS_LIMIT
    for data, encoding in ((b"rubbish", b"gzip"), (body, b"br")):
        with pytest.raises(Unprocessable) as caught:
            inflated(data, encoding)
        assert caught.value.reason is Reason.JSON_ENCODING


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=6), st.lists(JSON, max_size=6), JSON)
def test_elements_in_are_events_and_dead_letters_out(messages: list[Any], statuses: list[Any], metadata: Any) -> None:
    payload = value(metadata=metadata)
    payload |= {"messages": messages, "statuses": statuses}
    found = split(webhook(payload), AT)
    assert len(found) == len(messages) + len(statuses)


def test_a_webhook_without_elements_is_counted_and_makes_nothing() -> None:
    counted = []
    router = Router(
        Codec(), on_dead_letter=lambda _: None, on_unrecognized=lambda _: None, on_empty=lambda: counted.append("empty")
    )
    for body in (b'{"object":"whatsapp_business_account","entry":[]}', webhook(value(messages=[]))):
        assert router.route(LogRecord("parley.webhooks.v1", 0, 0, 0, None, body, [])) == []
    assert counted == ["empty", "empty"]


@pytest.mark.failure("R5")
def test_a_record_counts_once_however_much_of_it_is_set_aside() -> None:
    told: list[bool] = []
    router = Router(Codec(), on_dead_letter=lambda _: None, on_unrecognized=lambda _: None, on_record=told.append)
    bodies = [webhook(value(messages=["no message"] * 60)), webhook(value(messages=[])), b"no JSON"]
    router.route(*[LogRecord(topics.WEBHOOKS, 0, offset, 0, None, body, []) for offset, body in enumerate(bodies)])
    assert told == [True, False, True]


def test_a_name_that_nobody_published_is_counted_under_itself_until_there_are_too_many() -> None:
    counter = metrics.UNRECOGNIZED
    for n in range(app.UNPUBLISHED_FIELDS + 50):
        app._count_unrecognized(UnrecognizedChange(event_id="e", recorded_at=0, pointer="", raw="{}", field=f"tomorrow_{n}"))
    app._count_unrecognized(UnrecognizedChange(event_id="e", recorded_at=0, pointer="", raw="{}", field="x" * 1_000))
    names = {sample.labels["field"] for metric in counter.collect() for sample in metric.samples if "field" in sample.labels}
    assert "tomorrow_0" in names
    assert "(other)" in names
    assert len(names) <= app.UNPUBLISHED_FIELDS + 2 + len(FIELDS)


@pytest.mark.parametrize(
    ("names", "notice", "now", "before"),
    [
        pytest.param({"from": "1"}, {"type": "user_changed_number", "wa_id": "2"}, ("2", "2", None), ("1", None), id="number"),
        pytest.param(
            {"from": "1"},
            {"type": "user_changed_number", "wa_id": "2", "user_id": "US.b", "previous_user_id": "US.a"},
            ("US.b", "2", "US.b"),
            ("1", "US.a"),
            id="number and id",
        ),
        pytest.param(
            {},
            {"type": "user_changed_user_id", "user_id": "US.b", "previous_user_id": "US.a"},
            ("US.b", None, "US.b"),
            (None, "US.a"),
            id="id",
        ),
        pytest.param(
            {"from_user_id": "US.a"},
            {"type": "user_changed_user_id", "user_id": "US.b"},
            ("US.b", None, "US.b"),
            (None, "US.a"),
            id="id of the sender",
        ),
        pytest.param(
            {"from": "2"},
            {"type": "customer_changed_number", "customer": "1", "new_wa_id": "2"},
            ("2", "2", None),
            ("1", None),
            id="legacy",
        ),
        pytest.param(
            {"from": "1"},
            {"type": "customer_identity_changed", "user_id": "US.a"},
            ("US.a", "1", "US.a"),
            (None, None),
            id="new keys are no new number",
        ),
        pytest.param({"from": "1"}, {"type": "of_tomorrow"}, ("1", "1", None), (None, None), id="a notice that nobody knows"),
    ],
)
def test_a_notice_names_both_sides_of_a_change_and_one_of_anything_else(
    names: dict[str, str], notice: dict[str, str], now: tuple[str | None, ...], before: tuple[str | None, ...]
) -> None:
    event = only(
        webhook(value(messages=[{"id": "wamid.A", "timestamp": "1794999999", "type": "system", "system": notice, **names}]))
    )
    assert isinstance(event, ContactChanged)
    assert (event.contact, event.wa_id, event.bsuid) == now
    assert (event.previous_wa_id, event.previous_bsuid) == before
