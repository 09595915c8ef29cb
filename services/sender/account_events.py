"""What did Meta tell of our accounts and numbers lately? The projector's rows, read again from a little before the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.common.domain.account_state import STOPPING_EVENTS, AccountEvent
from services.common.domain.recipients import phone_digits
from services.common.platform import postgres
from services.common.platform.registry import RegisteredNumber
from services.sender.stop_ledger import SQL

_OVERLAP_MS: Final = 600_000
"""The projector takes partitions in at different paces: what was recorded so much before the newest row is read again."""
_DIGITS: Final = 12
"""Seconds until the year 9999 have no more."""
_ALL_EVERY: Final = 100
"""Everything is read again every so many times: for what came later than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An element of a webhook, as the projector keeps it. Instants are milliseconds."""

    waba_id: str | None
    phone_number_id: str | None
    field: str
    event: str | None
    raw: str
    at: int
    recorded_at: int


class AccountEvents:
    """Reads `projector.account_events`."""

    def __init__(self, pool: postgres.Pool) -> None:
        self._pool = pool
        self._newest = 0
        self._turn = 0

    async def newest(self) -> list[Told]:
        """What may be new, among much that is not; at first everything."""
        since = 0 if self._turn % _ALL_EVERY == 0 else self._newest - _OVERLAP_MS
        async with self._pool.connection() as connection:
            asked = {"since": since, "stopping": list(STOPPING_EVENTS)}
            rows = await (await connection.execute(SQL["account_events"], asked)).fetchall()
        return [
            Told(waba_id=row[0], phone_number_id=row[1], field=row[2], event=row[3], raw=row[4], at=row[5], recorded_at=row[6])
            for row in rows
        ]

    def taken(self, told: Sequence[Told]) -> None:
        """These have had their effect."""
        self._turn += 1
        self._newest = max((one.recorded_at for one in told), default=self._newest)


def account_events(told: Iterable[Told], *, waba_ids: Set[str]) -> Iterator[AccountEvent]:
    """What is about an account as a whole, of accounts that are ours. The account that a value names is the one it is about."""
    for one in told:
        if one.field != "account_update" or one.event is None:
            continue
        value = _parsed(one.raw)
        named = _object(value.get("waba_info")).get("waba_id")
        waba_id = named if isinstance(named, str) and named else one.waba_id
        if waba_id is not None and waba_id in waba_ids:
            ban_state = _object(value.get("ban_info")).get("waba_ban_state")
            yield AccountEvent(
                waba_id=waba_id,
                event=one.event,
                at=one.at,
                ban_state=ban_state if isinstance(ban_state, str) else None,
                restrictions=tuple(_restrictions(value.get("restriction_info"))),
            )


def upgrades(told: Iterable[Told], numbers: Sequence[RegisteredNumber]) -> dict[str, int]:
    """Number -> when Meta last said that its throughput was upgraded. The event names it as people dial it."""
    by_digits = {phone_digits(one.display_phone_number or ""): one.phone_number_id for one in numbers}
    found: dict[str, int] = {}
    for one in told:
        if one.field == "phone_number_quality_update" and one.event == "THROUGHPUT_UPGRADE":
            dialled = _parsed(one.raw).get("display_phone_number")
            phone_number_id = by_digits.get(phone_digits(dialled)) if isinstance(dialled, str) and dialled else None
            if phone_number_id is not None:
                found[phone_number_id] = max(one.at, found.get(phone_number_id, 0))
    return found


def coexisting(told: Iterable[Told]) -> frozenset[str]:
    """Numbers that Meta sends what only those have that are shared with the WhatsApp Business app."""
    fields = ("history", "smb_app_state_sync")
    return frozenset(one.phone_number_id for one in told if one.field in fields and one.phone_number_id is not None)


def _restrictions(given: object) -> Iterator[tuple[str, int | None]]:
    """Types with their ends; Meta gives those in seconds."""
    for one in given if isinstance(given, list) else []:
        word, ends = _object(one).get("restriction_type"), _object(one).get("expiration")
        seconds = int(ends) if isinstance(ends, str) and len(ends) <= _DIGITS and ends.isascii() and ends.isdigit() else ends
        if isinstance(word, str):
            is_instant = isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds < 253_402_300_800
            yield word, seconds * 1000 if isinstance(seconds, int) and is_instant else None


def _parsed(raw: str) -> dict[str, Any]:
    """What is no object says nothing, and stops nobody from reading the next."""
    try:
        return _object(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return {}


def _object(given: object) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}
