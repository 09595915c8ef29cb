"""Which limit, tier, rate, name and rights had a business number, and since when? Every change, each once.

Meta tells a tier of a number or of a whole account; the rate is what the sender follows, and told by it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import AccountChanged, PhoneNumberChanged
from services.common.domain.records import SendingStateChanged
from services.projector.projections.account_events import content_sha256, id_sha256
from services.projector.projections.merges import first_recorded
from services.projector.projections.messaging_limits import limit_of
from services.projector.projections.table import Kind, Table


class PhoneNumberChangeRow(NamedTuple):
    """One change of one number; without `phone_number_id` and `display_phone_number` it is about all numbers of the account."""

    content_sha256: bytes
    event_id: str
    recorded_at: int
    occurred_at: int | None
    waba_id: str | None
    phone_number_id: str | None
    display_phone_number: str | None
    field: str | None
    event: str
    messaging_limit: str | None = None
    previous_limit: str | None = None
    messages_per_second: int | None = None
    requested_verified_name: str | None = None
    decision: str | None = None
    rejection_reason: str | None = None
    username: str | None = None
    status: str | None = None
    calling_status: str | None = None


def of_changed(event: PhoneNumberChanged) -> tuple[PhoneNumberChangeRow, ...]:
    """A redelivery is the same row."""
    return (
        _of_webhook(event)._replace(
            previous_limit=event.old_limit,
            requested_verified_name=event.requested_verified_name,
            decision=event.decision,
            rejection_reason=event.rejection_reason,
            username=event.username,
            status=event.status,
            calling_status=event.calling_status,
        ),
    )


def of_account(event: AccountChanged) -> tuple[PhoneNumberChangeRow, ...]:
    """A tier that Meta tells of an account is one of its numbers; the rest of the account stands in account_events."""
    return (_of_webhook(event),) if event.messaging_limit else ()


def _of_webhook(event: AccountChanged | PhoneNumberChanged) -> PhoneNumberChangeRow:
    return PhoneNumberChangeRow(
        content_sha256(event),
        event.event_id,
        event.recorded_at,
        event.occurred_at,
        event.waba_id,
        event.phone_number_id,
        event.display_phone_number,
        event.field,
        event.event,
        messaging_limit=limit_of(event),
    )


def of_sending_state(event: SendingStateChanged) -> tuple[PhoneNumberChangeRow, ...]:
    """The rate that the sender keeps to from now on, and each stop and its end."""
    return (
        PhoneNumberChangeRow(
            id_sha256(event),
            event.event_id,
            event.occurred_at,
            event.occurred_at,
            event.waba_id,
            event.phone_number_id,
            None,
            None,
            event.state,
            messages_per_second=event.messages_per_second,
            status=event.reason,
        ),
    )


TABLE: Final = Table(
    name="phone_number_changes",
    columns={
        "content_sha256": Kind.BYTES,
        "event_id": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "occurred_at": Kind.INSTANT,
        "waba_id": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "display_phone_number": Kind.TEXT,
        "field": Kind.TEXT,
        "event": Kind.TEXT,
        "messaging_limit": Kind.TEXT,
        "previous_limit": Kind.TEXT,
        "messages_per_second": Kind.INT4,
        "requested_verified_name": Kind.TEXT,
        "decision": Kind.TEXT,
        "rejection_reason": Kind.TEXT,
        "username": Kind.TEXT,
        "status": Kind.TEXT,
        "calling_status": Kind.TEXT,
    },
    key=1,
    merge=first_recorded,
)
