"""Until when may a business answer a contact with free-form messages? The only place that answers.

Meta's customer service window: 24 hours from the contact's last message, or call the business was party to,
by *Meta's* timestamp of it and not by when the webhook reached us; a late webhook must not lengthen it.
Statuses, echoes, history and system notices never open it. The 72-hour free entry point is about price, not
about permission.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

CUSTOMER_SERVICE_WINDOW_SECONDS = 24 * 60 * 60

GUARD_SECONDS = 60.0
"""How long before the end we stop: a message queued inside the window must still reach Meta inside it."""


def merge(known: int | None, reported: int | None) -> int | None:
    """The later of two last-inbound instants, in any order; an old webhook coming late shortens nothing."""
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)


def open_until(last_inbound_at: int) -> int:
    """The first instant at which the window is closed."""
    return last_inbound_at + CUSTOMER_SERVICE_WINDOW_SECONDS * 1000


def is_open(last_inbound_at: int | None, *, now: int, guard_seconds: float = GUARD_SECONDS) -> bool:
    """True while more than `guard_seconds` of the window remain; a contact that never wrote has no window."""
    return last_inbound_at is not None and now < open_until(last_inbound_at) - guard_seconds * 1000
