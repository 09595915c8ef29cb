"""What did Meta count as one conversation? Sessions as it priced them until July 2025, and free entry points.

Where each message has its price the id of a conversation is another for each one, and such are not kept. What is kept was priced
by conversation (CBP), or began at an advertisement or a page's button (`referral_conversion`): free for 72 hours from the answer.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import MessageStatusChanged
from services.projector.projections.merges import greatest, latest, least, words_and_instants
from services.projector.projections.table import Kind, Row, Table

_BY_CONVERSATION: Final = "CBP"
_FREE_ENTRY_POINT: Final = "referral_conversion"


class ConversationRow(NamedTuple):
    """One conversation by Meta's id of it. `first_status_at`: of the statuses that named it; Meta tells no beginning.

    `expires_at` is told by `sent` alone.
    """

    conversation_id: str
    phone_number_id: str
    waba_id: str
    contact: str | None
    origin_type: str | None
    first_status_at: int
    expires_at: int | None
    pricing_model: str | None
    pricing_type: tuple[int, str] | None
    pricing_category: tuple[int, str] | None
    is_billable: bool | None


def of_status(event: MessageStatusChanged) -> tuple[ConversationRow, ...]:
    """A status names the conversation that its message belongs to."""
    is_kept = event.pricing_model == _BY_CONVERSATION or event.conversation_origin_type == _FREE_ENTRY_POINT
    if event.type != "message" or event.conversation_id is None or not is_kept:
        return ()
    at = event.occurred_at
    return (
        ConversationRow(
            event.conversation_id,
            event.phone_number_id,
            event.waba_id,
            (event.contact or None) if event.group_id is None else None,
            event.conversation_origin_type,
            at,
            event.conversation_expires_at,
            event.pricing_model,
            (at, event.pricing_type) if event.pricing_type else None,
            (at, event.pricing_category) if event.pricing_category else None,
            event.pricing_billable,
        ),
    )


def merge(known: ConversationRow, reported: ConversationRow) -> ConversationRow:
    """Everything either knows; billed is what any status says is."""
    return ConversationRow(
        known.conversation_id,
        max(known.phone_number_id, reported.phone_number_id),
        max(known.waba_id, reported.waba_id),
        greatest(known.contact, reported.contact),
        greatest(known.origin_type, reported.origin_type),
        min(known.first_status_at, reported.first_status_at),
        greatest(known.expires_at, reported.expires_at),
        least(known.pricing_model, reported.pricing_model),
        latest(known.pricing_type, reported.pricing_type),
        latest(known.pricing_category, reported.pricing_category),
        greatest(known.is_billable, reported.is_billable),
    )


def _flat(row: ConversationRow) -> Row:
    return (*row[:8], *words_and_instants(row[8:10]), row.is_billable)


TABLE: Final = Table(
    name="priced_conversations",
    columns={
        "conversation_id": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "origin_type": Kind.TEXT,
        "first_status_at": Kind.INSTANT,
        "expires_at": Kind.INSTANT,
        "pricing_model": Kind.TEXT,
        "pricing_type": Kind.TEXT,
        "pricing_type_at": Kind.INSTANT,
        "pricing_category": Kind.TEXT,
        "pricing_category_at": Kind.INSTANT,
        "is_billable": Kind.BOOL,
    },
    key=1,
    merge=merge,
    flat=_flat,
)
