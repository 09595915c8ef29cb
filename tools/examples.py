"""What does each record look like? Real ones: what the router makes of sample webhooks, and commands as producers write them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

from services.common.domain import ids, topics
from services.common.domain.consent import ConsentCategory, Decision
from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    ErrorReported,
    FlowChanged,
    GroupChanged,
    MessageCopied,
    MessageReceived,
    MessageStatusChanged,
    PhoneNumberChanged,
    TemplateChanged,
    ThreadHandedOver,
    UnrecognizedChange,
    UserActionReported,
    UserPreferenceChanged,
    WebhookEvent,
)
from services.common.domain.lanes import Lane
from services.common.domain.records import Record, RecordConsent, SendingStateChanged, SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord, NewRecord
from services.ingest.keys import record_key
from services.router.routing import RECEIVED_AT, Router
from tools.contract import ROOT

SAMPLES: Final = ROOT / "tests" / "samples" / "webhooks"

_OF_EVENTS: Final[dict[type[WebhookEvent], str]] = {
    MessageReceived: "message_order.json",
    MessageCopied: "echo_text.json",
    MessageStatusChanged: "status_sent_conversation_pmp_new_id_per_message.json",
    CallChanged: "call_terminate_answered.json",
    ContactChanged: "system_user_changed_number.json",
    UserPreferenceChanged: "preference_stop.json",
    UserActionReported: "automatic_event_purchase.json",
    ThreadHandedOver: "handover_control_passed.json",
    AccountChanged: "account_update_account_restriction.json",
    PhoneNumberChanged: "phone_name_approved.json",
    TemplateChanged: "template_status_paused_first.json",
    FlowChanged: "flow_endpoint_latency.json",
    GroupChanged: "group_participants_add_with_failed.json",
    ErrorReported: "errors_account_level_131042.json",
    UnrecognizedChange: "unknown_field_of_tomorrow.json",
}
"""The first event of its kind in the sample is the example."""
_OF_DEAD_LETTER: Final = "object_page.json"

_RECEIVED: Final = 1_763_840_000_000
_NUMBER: Final = "106540352242922"
_WABA: Final = "102290129340398"
_COMMAND: Final = "7b0f6a52-6f0e-4b7e-9a55-0c1c7f0f4b53"

SEND_MESSAGE: Final = SendMessage(
    command_id=_COMMAND,
    phone_number_id=_NUMBER,
    to="+16505551234",
    type="template",
    content=json.dumps(
        {
            "name": "order_update",
            "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "Sheena"}]}],
        }
    ),
    lane=Lane.TRANSACTIONAL.value,
    expires_at=_RECEIVED + 3_600_000,
)
RECORD_CONSENT: Final = RecordConsent(
    consent_id="0f3c1f9e-58a4-4d55-8f0e-2a8f3a9d6c10",
    occurred_at=_RECEIVED,
    phone_number_id=_NUMBER,
    contact="+16505551234",
    category=ConsentCategory.MARKETING.value,
    decision=Decision.GRANTED.value,
    source="checkout form",
    wording="Send me offers on WhatsApp",
)
SEND_OUTCOME: Final = SendOutcome(
    event_id=ids.outcome_event_id(_COMMAND, 1, "accepted"),
    occurred_at=_RECEIVED + 412,
    command_id=_COMMAND,
    attempt_no=1,
    attempt_id=ids.attempt_id(_COMMAND, 1),
    phone_number_id=_NUMBER,
    waba_id=_WABA,
    kind="accepted",
    lane=Lane.TRANSACTIONAL.value,
    type="template",
    template_name="order_update",
    to="+16505551234",
    contact="US.13491208655302741918",
    wa_id="16505551234",
    bsuid="US.13491208655302741918",
    wamid="wamid.HBgLMTY1MDU1NTEyMzQVAgARGBIzMUY1QjQ0RjE5RDA2RTFGNkYA",
)

SENDING_STATE_CHANGED: Final = SendingStateChanged(
    event_id=ids.named(f"waba/{_WABA}/131042/stopped/{_RECEIVED}/None"),
    occurred_at=_RECEIVED + 3,
    waba_id=_WABA,
    state="stopped",
    source="response",
    cause="131042",
    covers="everything",
    reason="payment",
    error_code=131042,
    trace_id="AbCdEfGhIjKlMnOpQrStUvW",
    since_at=_RECEIVED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A record as it stands in a topic. `key` is None where the producer may choose it."""

    topic: str
    key: str | None
    headers: dict[str, str]
    record: Record


def examples() -> dict[type[Record], Example]:
    """One of each record; those of producers in the topic that they write to."""
    codec = Codec()
    found: dict[type[Record], Example] = {
        cls: _routed(cls, sample, offset, codec) for offset, (cls, sample) in enumerate(_OF_EVENTS.items())
    }
    outcome_key = ids.record_key(SEND_OUTCOME.phone_number_id, SEND_OUTCOME.contact)
    found[SendMessage] = Example(topic=topics.SEND_COMMANDS, key=None, headers={}, record=SEND_MESSAGE)
    found[RecordConsent] = Example(topic=topics.CONSENT_RECORDS, key=None, headers={}, record=RECORD_CONSENT)
    found[SendOutcome] = Example(topic=topics.SEND_OUTCOMES, key=outcome_key, headers={}, record=SEND_OUTCOME)
    found[SendingStateChanged] = Example(
        topic=topics.ACCOUNT_EVENTS, key=SENDING_STATE_CHANGED.waba_id, headers={}, record=SENDING_STATE_CHANGED
    )
    return found


def dead_letter() -> NewRecord:
    """What the router makes of a webhook that is none of WhatsApp's."""
    (found,) = _route(topics.WEBHOOKS, _body(_OF_DEAD_LETTER), len(_OF_EVENTS), Codec())
    return found


def routed_command() -> NewRecord:
    """What the router makes of a command."""
    (found,) = _route(topics.SEND_COMMANDS, json.dumps(as_json(SEND_MESSAGE)).encode(), 0, Codec())
    return found


def as_json(record: SendMessage | RecordConsent) -> dict[str, Any]:
    """As a producer writes it in JSON: `content` is the object itself, and what has no value is left out."""
    fields = valued(record)
    return {name: json.loads(value) if name == "content" else value for name, value in fields.items()}


def valued(record: Any) -> dict[str, Any]:
    """The fields that have a value, by name; those of records within too."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is not None and value != ():
            found[field.name] = [valued(one) for one in value] if isinstance(value, tuple) else value
    return found


def _routed(cls: type[WebhookEvent], sample: str, offset: int, codec: Codec) -> Example:
    for found in _route(topics.WEBHOOKS, _body(sample), offset, codec):
        record = None if found.topic in topics.DEAD_LETTERS or found.value is None else codec.decode(found.value)
        if isinstance(record, cls):
            headers = {name: value.decode() for name, value in found.headers}
            return Example(topic=found.topic, key=(found.key or b"").decode(), headers=headers, record=record)
    raise LookupError(f"{sample} holds no {cls.__name__}: choose another sample for it")


def _body(sample: str) -> bytes:
    return (SAMPLES / sample).read_bytes()


def _route(topic: str, body: bytes, offset: int, codec: Codec) -> list[NewRecord]:
    """Every sample stands at an offset of its own, so that every example has an id of its own."""
    router = Router(codec, on_dead_letter=_nothing, on_unrecognized=_nothing)
    headers = [(RECEIVED_AT, str(_RECEIVED).encode()), ("content-type", b"application/json")]
    return router.route(LogRecord(topic, 0, offset, _RECEIVED, record_key(body), body, headers))


def _nothing(_: object) -> None:
    """Nobody counts here."""
