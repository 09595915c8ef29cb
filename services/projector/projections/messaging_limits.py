"""How many people a day may the portfolio of an account write to first, as Meta last told?"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.common.domain.events import AccountChanged, PhoneNumberChanged
from services.projector.projections.table import Kind, Row, Table


class LimitRow(NamedTuple):
    """The last word of one account, with its instant."""

    waba_id: str
    told: tuple[int, str]


def limit_of(event: AccountChanged | PhoneNumberChanged) -> str | None:
    """The tier stands in one of two fields, by the version of the webhook."""
    limit = event.messaging_limit
    return event.current_limit if limit is None and isinstance(event, PhoneNumberChanged) else limit


def of_changed(event: AccountChanged | PhoneNumberChanged) -> tuple[LimitRow, ...]:
    """Events of accounts and of numbers tell the same limit; most tell none."""
    limit = limit_of(event)
    if not limit or event.waba_id is None:
        return ()
    return (LimitRow(event.waba_id, (event.recorded_at if event.occurred_at is None else event.occurred_at, limit)),)


def merge(known: LimitRow, reported: LimitRow) -> LimitRow:
    """What was told last; of two of the same instant the greater text."""
    return LimitRow(known.waba_id, max(known.told, reported.told))


def _flat(row: LimitRow) -> Row:
    return (row.waba_id, row.told[1], row.told[0])


TABLE: Final = Table(
    name="messaging_limits",
    columns={"waba_id": Kind.TEXT, "messaging_limit": Kind.TEXT, "told_at": Kind.INSTANT},
    key=1,
    merge=merge,
    flat=_flat,
)
