"""What else did Meta tell, besides messages and their statuses? Every event of every other family, whole, each content once."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Final, NamedTuple

from services.common.domain.events import (
    AccountChanged,
    CallChanged,
    ContactChanged,
    ErrorReported,
    FlowChanged,
    GroupChanged,
    PhoneNumberChanged,
    TemplateChanged,
    ThreadHandedOver,
    UnrecognizedChange,
    UserActionReported,
    UserPreferenceChanged,
)
from services.common.domain.records import SendingStateChanged
from services.projector.projections.merges import first_recorded
from services.projector.projections.table import Kind, Table

OtherEvent = (
    AccountChanged
    | CallChanged
    | ContactChanged
    | ErrorReported
    | FlowChanged
    | GroupChanged
    | PhoneNumberChanged
    | TemplateChanged
    | ThreadHandedOver
    | UnrecognizedChange
    | UserActionReported
    | UserPreferenceChanged
)
_WORDS: Final = ("event", "type", "action", "value")
"""Under which of these a record has Meta's word."""


class AccountEventRow(NamedTuple):
    """One element of a webhook, or one change of what may be sent."""

    content_sha256: bytes
    event_id: str
    recorded_at: int
    occurred_at: int | None
    waba_id: str | None
    phone_number_id: str | None
    field: str | None
    pointer: str | None
    raw: str
    record: str
    event: str | None
    contact: str | None


def content_sha256(event: OtherEvent) -> bytes:
    """The account, the field, the words and Meta's instant: a redelivery has the same."""
    return sha256(json.dumps([event.waba_id, event.field, event.raw, event.occurred_at]).encode()).digest()


def id_sha256(event: SendingStateChanged) -> bytes:
    """What the sender told has an id of its own."""
    return sha256(event.event_id.encode()).digest()


def of_event(event: OtherEvent) -> tuple[AccountEventRow, ...]:
    """A redelivery is the same row."""
    return (
        AccountEventRow(
            content_sha256(event),
            event.event_id,
            event.recorded_at,
            event.occurred_at,
            event.waba_id,
            getattr(event, "phone_number_id", None),
            event.field,
            getattr(event, "pointer", None),
            event.raw,
            type(event).__name__,
            next((word for name in _WORDS if (word := getattr(event, name, None))), None),
            getattr(event, "contact", None),
        ),
    )


def of_sending_state(event: SendingStateChanged) -> tuple[AccountEventRow, ...]:
    """What the sender told is its own raw text."""
    return (
        AccountEventRow(
            id_sha256(event),
            event.event_id,
            event.occurred_at,
            event.occurred_at,
            event.waba_id,
            event.phone_number_id,
            None,
            None,
            json.dumps(vars(event), sort_keys=True),
            type(event).__name__,
            event.state,
            None,
        ),
    )


TABLE: Final = Table(
    name="account_events",
    columns={
        "content_sha256": Kind.BYTES,
        "event_id": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "occurred_at": Kind.INSTANT,
        "waba_id": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "field": Kind.TEXT,
        "pointer": Kind.TEXT,
        "raw": Kind.TEXT,
        "record": Kind.TEXT,
        "event": Kind.TEXT,
        "contact": Kind.TEXT,
    },
    key=1,
    merge=first_recorded,
)
