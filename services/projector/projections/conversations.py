"""When did a business number and a contact, or a group, last hear from each other? The window is read from here.

A group has one window, whoever of it wrote, and what is said there opens none with the person who said it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain import window
from services.common.domain.events import MessageReceived, MessageStatusChanged
from services.common.domain.records import SendOutcome
from services.projector.projections.contacts import recipient
from services.projector.projections.merges import greatest, least
from services.projector.projections.table import Kind, Table


class ConversationRow(NamedTuple):
    """One business number and one contact, or one group under its id: no number and no user id looks like one."""

    phone_number_id: str
    contact: str
    waba_id: str | None
    first_inbound_at: int | None
    last_inbound_at: int | None
    last_outbound_at: int | None


_NO_MESSAGES: Final = frozenset({"system", "request_welcome"})
_NOT_NEW: Final = frozenset({"edit", "revoke"})


def speaks_to_us(event: MessageReceived) -> bool:
    """The contact wrote to this number itself: not in a group, not as history or echo, and not Meta's own notice."""
    return _speaks(event) and event.group_id is None


def _speaks(event: MessageReceived) -> bool:
    return event.field == "messages" and event.type not in _NO_MESSAGES


def opens_window(event: MessageReceived) -> bool:
    """A new message: to change or take back an old one is none."""
    return _speaks(event) and event.type not in _NOT_NEW


def of_received(event: MessageReceived) -> tuple[ConversationRow, ...]:
    """By Meta's instant of the message, not by when the webhook came."""
    if not opens_window(event):
        return ()
    at = event.occurred_at
    return (ConversationRow(event.phone_number_id, event.group_id or event.contact, event.waba_id, at, at, None),)


def of_status(event: MessageStatusChanged) -> tuple[ConversationRow, ...]:
    """`sent` also tells of messages that another system sent; later statuses are not writing."""
    whom = event.group_id or event.contact
    if event.type != "message" or event.status != "sent" or not whom or not event.phone_number_id:
        return ()
    return (ConversationRow(event.phone_number_id, whom, event.waba_id, None, None, event.occurred_at),)


def of_outcome(event: SendOutcome) -> tuple[ConversationRow, ...]:
    """An accepted send."""
    whom = recipient(event) if event.group_id is None or event.kind != "accepted" else event.group_id
    if whom is None:
        return ()
    return (ConversationRow(event.phone_number_id, whom, event.waba_id, None, None, event.occurred_at),)


def merge(known: ConversationRow, reported: ConversationRow) -> ConversationRow:
    """Firsts and lasts."""
    return ConversationRow(
        known.phone_number_id,
        known.contact,
        least(known.waba_id, reported.waba_id),
        least(known.first_inbound_at, reported.first_inbound_at),
        window.merge(known.last_inbound_at, reported.last_inbound_at),
        greatest(known.last_outbound_at, reported.last_outbound_at),
    )


TABLE: Final = Table(
    name="conversations",
    columns={
        "phone_number_id": Kind.TEXT,
        "contact": Kind.TEXT,
        "waba_id": Kind.TEXT,
        "first_inbound_at": Kind.INSTANT,
        "last_inbound_at": Kind.INSTANT,
        "last_outbound_at": Kind.INSTANT,
    },
    key=2,
    merge=merge,
)
