"""What did Meta report of a message, and when? Every report once, however often it was delivered.

The sender settles unknown sends by `biz_opaque_callback_data`, which is the attempt id.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import MessageStatusChanged
from services.projector.projections.merges import first_recorded
from services.projector.projections.table import Kind, Table, new

OPAQUE_CHARACTERS: Final = 512
"""Meta's limit. A longer one is nobody's attempt id; it stays in `raw`."""


class StatusRow(NamedTuple):
    """One report."""

    wamid: str
    status: str
    occurred_at: int
    contact: str
    type: str
    event_id: str
    recorded_at: int
    phone_number_id: str
    waba_id: str
    biz_opaque_callback_data: str | None
    error_code: int | None
    error_title: str | None
    pricing_model: str | None
    pricing_type: str | None
    pricing_category: str | None
    pricing_billable: bool | None
    conversation_id: str | None
    conversation_origin_type: str | None
    conversation_expires_at: int | None
    raw: str


def of_status(event: MessageStatusChanged) -> tuple[StatusRow, ...]:
    """Every status, of payments and calls too, and words that we do not know."""
    opaque = event.biz_opaque_callback_data
    return (
        new(
            StatusRow,
            (
                event.wamid,
                event.status,
                event.occurred_at,
                event.contact or "",
                event.type,
                event.event_id,
                event.recorded_at,
                event.phone_number_id,
                event.waba_id,
                opaque if opaque and len(opaque) <= OPAQUE_CHARACTERS else None,
                event.error_code,
                event.error_title,
                event.pricing_model,
                event.pricing_type,
                event.pricing_category,
                event.pricing_billable,
                event.conversation_id,
                event.conversation_origin_type,
                event.conversation_expires_at,
                event.raw,
            ),
        ),
    )


TABLE: Final = Table(
    name="message_statuses",
    columns={
        "wamid": Kind.TEXT,
        "status": Kind.TEXT,
        "occurred_at": Kind.INSTANT,
        "contact": Kind.TEXT,
        "type": Kind.TEXT,
        "event_id": Kind.TEXT,
        "recorded_at": Kind.INSTANT,
        "phone_number_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "biz_opaque_callback_data": Kind.TEXT,
        "error_code": Kind.INT4,
        "error_title": Kind.TEXT,
        "pricing_model": Kind.TEXT,
        "pricing_type": Kind.TEXT,
        "pricing_category": Kind.TEXT,
        "pricing_billable": Kind.BOOL,
        "conversation_id": Kind.TEXT,
        "conversation_origin_type": Kind.TEXT,
        "conversation_expires_at": Kind.INSTANT,
        "raw": Kind.TEXT,
    },
    key=5,
    merge=first_recorded,
)
