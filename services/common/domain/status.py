"""What became of one message, whatever order its status webhooks came in? The only place that answers.

`merge` is a join: any order and any repetition of reports ends in the same `Delivery`. Meta's status webhooks
come in any order, more than once, with timestamps of one-second resolution, and may skip steps (`read`
without `delivered`). Payment and call statuses are about something else and must never be reported here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, assert_never


class DeliveryStatus(StrEnum):
    """Meta's words. The order of the first five is the rank; `failed` has none and stands beside it."""

    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    FAILED = "failed"


class Delivery(NamedTuple):
    """When each status was first true, by Meta's timestamp. Empty: accepted by Graph, or not even known of
    yet."""

    sent_at: int | None = None
    delivered_at: int | None = None
    read_at: int | None = None
    played_at: int | None = None
    failed_at: int | None = None
    failed_code: int | None = None


def report(status: DeliveryStatus, *, at: int, code: int | None = None) -> Delivery:
    """All that one report tells; `code` is Meta's error code and belongs to `failed` only."""
    match status:
        case DeliveryStatus.ACCEPTED:
            return Delivery()
        case DeliveryStatus.SENT:
            return Delivery(sent_at=at)
        case DeliveryStatus.DELIVERED:
            return Delivery(delivered_at=at)
        case DeliveryStatus.READ:
            return Delivery(read_at=at)
        case DeliveryStatus.PLAYED:
            return Delivery(played_at=at)
        case DeliveryStatus.FAILED:
            return Delivery(failed_at=at, failed_code=code)
    assert_never(status)


def merge(known: Delivery, reported: Delivery) -> Delivery:
    """The first instant of every status either knows; a replay or a late report regresses nothing."""
    failure = known if reported.failed_at is None else min(known, reported, key=_failure_order)
    return Delivery(
        _first(known.sent_at, reported.sent_at),
        _first(known.delivered_at, reported.delivered_at),
        _first(known.read_at, reported.read_at),
        _first(known.played_at, reported.played_at),
        failure.failed_at,
        failure.failed_code,
    )


def progress(delivery: Delivery) -> DeliveryStatus:
    """The furthest the message is known to have come, leaving failure aside."""
    if delivery.played_at is not None:
        return DeliveryStatus.PLAYED
    if delivery.read_at is not None:
        return DeliveryStatus.READ
    if delivery.delivered_at is not None:
        return DeliveryStatus.DELIVERED
    if delivery.sent_at is not None:
        return DeliveryStatus.SENT
    return DeliveryStatus.ACCEPTED


def has_failed(delivery: Delivery) -> bool:
    """A failure was reported, even if the message did arrive: some device of the contact may not have it."""
    return delivery.failed_at is not None


def current(delivery: Delivery) -> DeliveryStatus:
    """The one word for the message: `failed` is final unless it was delivered, before the failure or after.

    Meta reports both when a companion device has the message and the primary phone does not.
    """
    reached = progress(delivery)
    arrived = reached not in (DeliveryStatus.ACCEPTED, DeliveryStatus.SENT)
    return DeliveryStatus.FAILED if has_failed(delivery) and not arrived else reached


def _first(known: int | None, reported: int | None) -> int | None:
    if reported is None:
        return known
    return reported if known is None or reported < known else known


def _failure_order(delivery: Delivery) -> tuple[bool, int, bool, int]:
    """The earliest failure first; in a tie the one that says why, then the smaller code: any order is one."""
    at, code = delivery.failed_at, delivery.failed_code
    return (at is None, at or 0, code is None, code or 0)
