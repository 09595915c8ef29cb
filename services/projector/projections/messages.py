"""What is known of one message, in either direction? One row by wamid, filled by whatever comes first.

A status may come before the answer to our send, or for a message that another system sent; then the row has no description.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain import status
from services.common.domain.events import MessageCopied, MessageReceived, MessageStatusChanged
from services.common.domain.records import SendOutcome
from services.common.domain.status import Delivery, DeliveryStatus
from services.projector.projections.contacts import recipient
from services.projector.projections.merges import greatest, least
from services.projector.projections.table import Kind, Row, Table, new

INBOUND: Final = "inbound"
OUTBOUND: Final = "outbound"
_WORDS: Final = {word.value: word for word in DeliveryStatus}


class Description(NamedTuple):
    """What the message is: from the message itself or the accepted send, else from a copy. The first one recorded stays."""

    is_copy: bool
    recorded_at: int
    event_id: str
    occurred_at: int
    type: str
    text: str | None = None
    payload: str | None = None
    context_wamid: str | None = None
    group_id: str | None = None
    raw: str | None = None
    command_id: str | None = None
    attempt_id: str | None = None
    attempt_no: int | None = None
    lane: str | None = None
    template_name: str | None = None
    accepted_at: int | None = None
    field: str | None = None


class Pricing(NamedTuple):
    """What Meta says the message costs. Later words win; empty text stands for absent ones, so that they compare."""

    priced_at: int
    model: str
    type: str
    category: str


class MessageRow(NamedTuple):
    """Everything about one wamid."""

    wamid: str
    direction: str
    phone_number_id: str
    waba_id: str | None
    contact: str | None
    description: Description | None
    delivery: Delivery
    error_title: str | None
    pricing: Pricing | None


_UNDELIVERED: Final = Delivery()


def of_received(event: MessageReceived) -> tuple[MessageRow, ...]:
    """A message of a contact."""
    return (_described(event, INBOUND, is_copy=False),)


def of_copied(event: MessageCopied) -> tuple[MessageRow, ...]:
    """What is known of a message from elsewhere; the message itself, if it comes, takes its place. Moves no delivery."""
    return (_described(event, event.direction, is_copy=True),)


def _described(event: MessageReceived | MessageCopied, direction: str, *, is_copy: bool) -> MessageRow:
    description = Description(
        is_copy,
        event.recorded_at,
        event.event_id,
        event.occurred_at,
        event.type,
        event.text,
        event.payload,
        event.context_wamid,
        event.group_id,
        event.raw,
        template_name=event.template_name if isinstance(event, MessageCopied) else None,
        field=event.field,
    )
    return MessageRow(
        event.wamid,
        direction,
        event.phone_number_id,
        event.waba_id,
        event.contact,
        description,
        _UNDELIVERED,
        None,
        None,
    )


def of_status(event: MessageStatusChanged) -> tuple[MessageRow, ...]:
    """Only message statuses move delivery. Words that we do not know stay in the history alone.

    Of a message to a group each participant has statuses of their own: the history has them all, here stands what came first.
    """
    if event.type != "message":
        return ()
    word = _WORDS.get(event.status)
    delivery = status.report(word, at=event.occurred_at, code=event.error_code) if word else _UNDELIVERED
    failed = word is DeliveryStatus.FAILED
    return (
        new(
            MessageRow,
            (
                event.wamid,
                OUTBOUND,
                event.phone_number_id,
                event.waba_id,
                (event.contact or None) if event.group_id is None else None,
                None,
                delivery,
                event.error_title if failed else None,
                _pricing(event),
            ),
        ),
    )


def of_outcome(event: SendOutcome) -> tuple[MessageRow, ...]:
    """A message of ours, once Meta has named it."""
    if event.kind != "accepted" or not event.wamid:
        return ()
    description = Description(
        False,
        event.occurred_at,
        event.event_id,
        event.occurred_at,
        event.type,
        group_id=event.group_id,
        command_id=event.command_id,
        attempt_id=event.attempt_id,
        attempt_no=event.attempt_no,
        lane=event.lane,
        template_name=event.template_name,
        accepted_at=event.occurred_at,
    )
    return (
        MessageRow(
            event.wamid,
            OUTBOUND,
            event.phone_number_id,
            event.waba_id,
            recipient(event),
            description,
            _UNDELIVERED,
            None,
            None,
        ),
    )


def _pricing(event: MessageStatusChanged) -> Pricing | None:
    words = (event.pricing_model or "", event.pricing_type or "", event.pricing_category or "")
    return Pricing(event.occurred_at, *words) if any(words) else None


def merge(known: MessageRow, reported: MessageRow) -> MessageRow:
    """Everything either knows. An inbound message stays one; a BSUID is preferred to a wa_id (letters sort after digits)."""
    delivery = status.merge(known.delivery, reported.delivery)
    return MessageRow(
        known.wamid,
        min(known.direction, reported.direction),
        max(known.phone_number_id, reported.phone_number_id),
        least(known.waba_id, reported.waba_id),
        greatest(known.contact, reported.contact),
        _first(known.description, reported.description),
        delivery,
        _title(delivery, known, reported),
        _last(known.pricing, reported.pricing),
    )


def _first(known: Description | None, reported: Description | None) -> Description | None:
    if known is None or reported is None:
        return reported if known is None else known
    return min(known, reported, key=lambda told: told[:3])


def _last(known: Pricing | None, reported: Pricing | None) -> Pricing | None:
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)


def _title(delivery: Delivery, *rows: MessageRow) -> str | None:
    """Of the failure that stays; in a tie the smaller."""
    if delivery.failed_at is None:
        return None
    failure = (delivery.failed_at, delivery.failed_code)
    titles = [row.error_title for row in rows if (row.delivery.failed_at, row.delivery.failed_code) == failure]
    return min((title for title in titles if title is not None), default=None)


_NOT_DESCRIBED: Final = (None,) * len(Description._fields)
_NOT_PRICED: Final = (None,) * len(Pricing._fields)


def _flat(row: MessageRow) -> Row:
    d = row.delivery
    return (
        *row[:5],
        *(row.description or _NOT_DESCRIBED),
        d.sent_at,
        d.delivered_at,
        d.read_at,
        d.played_at,
        d.failed_at,
        d.failed_code,
        row.error_title,
        *(row.pricing or _NOT_PRICED),
    )


TABLE: Final = Table(
    name="messages",
    columns={
        "wamid": Kind.TEXT,
        "direction": Kind.TEXT,
        "phone_number_id": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "is_copy": Kind.BOOL,
        "recorded_at": Kind.INSTANT,
        "event_id": Kind.TEXT,
        "occurred_at": Kind.INSTANT,
        "type": Kind.TEXT,
        "text": Kind.TEXT,
        "payload": Kind.TEXT,
        "context_wamid": Kind.TEXT,
        "group_id": Kind.TEXT,
        "raw": Kind.TEXT,
        "command_id": Kind.TEXT,
        "attempt_id": Kind.TEXT,
        "attempt_no": Kind.INT4,
        "lane": Kind.TEXT,
        "template_name": Kind.TEXT,
        "accepted_at": Kind.INSTANT,
        "field": Kind.TEXT,
        "sent_at": Kind.INSTANT,
        "delivered_at": Kind.INSTANT,
        "read_at": Kind.INSTANT,
        "played_at": Kind.INSTANT,
        "failed_at": Kind.INSTANT,
        "error_code": Kind.INT4,
        "error_title": Kind.TEXT,
        "priced_at": Kind.INSTANT,
        "pricing_model": Kind.TEXT,
        "pricing_type": Kind.TEXT,
        "pricing_category": Kind.TEXT,
    },
    key=1,
    merge=merge,
    flat=_flat,
)
