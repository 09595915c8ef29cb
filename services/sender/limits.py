"""How many messages a second does Meta allow each number now? Upgrades and shared numbers are followed, changes are told.

Crash thinking: the registry, what was followed and the event are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.common.domain import ids
from services.common.domain.account_state import Source
from services.common.domain.records import SendingStateChanged
from services.common.platform import logging, postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.common.platform.registry import COEXISTENCE_LIMIT, RegisteredNumber
from services.sender.account_events import Told, coexisting, upgrades
from services.sender.number_client import NumberClient, NumberSeen
from services.sender.numbers import Numbers
from services.sender.stop_ledger import SQL, tell

log = logging.get(__name__)

UPGRADED: Final = 1000
"""What Meta upgrades a number to; where it cannot be asked, the webhook is believed. Meta: page "throughput"."""
_SETTLED_MS: Final = 600_000
"""An upgrade takes a minute at most. What Meta still calls standard so long after its webhook stays so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the log was told of a number, and the newest upgrade that was followed."""

    messages_per_second: int
    upgraded_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A number's limit from now on, and who changed it."""

    number: RegisteredNumber
    limit: Limit
    is_coexistence: bool
    source: Source
    is_told: bool


def change_of(
    number: RegisteredNumber, known: Limit | None, *, upgraded_at: int | None, is_shared: bool, seen: NumberSeen | None, now: int
) -> Change | None:
    """What has changed since the log was told; None when nothing has. A number seen for the first time is no news."""
    followed = None if known is None else known.upgraded_at
    limit, source = number.messages_per_second, Source.OPERATOR
    is_coexistence = number.is_coexistence or is_shared
    if is_coexistence and limit > COEXISTENCE_LIMIT:
        limit, source = COEXISTENCE_LIMIT, Source.WEBHOOK
    if upgraded_at is not None and upgraded_at > (followed or 0):
        allowed = UPGRADED if seen is None or seen.messages_per_second is None else seen.messages_per_second
        if allowed >= UPGRADED or is_coexistence or now - upgraded_at > _SETTLED_MS:
            followed = upgraded_at
        if allowed > limit and not is_coexistence:
            limit, source = allowed, Source.WEBHOOK
    new = Limit(messages_per_second=limit, upgraded_at=followed)
    if new == known and is_coexistence == number.is_coexistence:
        return None
    is_told = known.messages_per_second != limit if known is not None else limit != number.messages_per_second
    return Change(number=number, limit=new, is_coexistence=is_coexistence, source=source, is_told=is_told)


class Limits:
    """Follows what Meta tells. Raises what Postgres raises."""

    def __init__(
        self, *, pool: postgres.Pool, codec: Codec, numbers: Numbers, client: NumberClient, shards: Callable[[], Sequence[int]]
    ) -> None:
        self._pool, self._codec, self._numbers, self._client, self._shards = pool, codec, numbers, client, shards

    async def sync(self, told: Sequence[Told]) -> None:
        """Take over what has changed, as the owner of some shard."""
        shards = self._shards()
        numbers = tuple(self._numbers.registered.values())
        if not shards or not numbers:
            return
        known = await self._known()
        upgraded, shared = upgrades(told, numbers), coexisting(told)
        for number in numbers:
            at, limit = upgraded.get(number.phone_number_id), known.get(number.phone_number_id)
            is_new = at is not None and (limit is None or limit.upgraded_at is None or at > limit.upgraded_at)
            change = change_of(
                number,
                limit,
                upgraded_at=at,
                is_shared=number.phone_number_id in shared,
                seen=await self._look(number) if is_new else None,
                now=now_ms(),
            )
            if change is not None:
                await self._record(change, limit, shard=min(shards))

    async def _look(self, number: RegisteredNumber) -> NumberSeen | None:
        token = self._numbers.token(number.phone_number_id)
        return None if token is None else await self._client.look(number.phone_number_id, token=token)

    async def _known(self) -> Mapping[str, Limit]:
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(SQL["limits"])).fetchall()
        return {row[0]: Limit(messages_per_second=row[1], upgraded_at=row[2]) for row in rows}

    async def _record(self, change: Change, known: Limit | None, *, shard: int) -> None:
        phone_number_id, limit = change.number.phone_number_id, change.limit
        row = {
            "phone_number_id": [phone_number_id],
            "messages_per_second": [limit.messages_per_second],
            "upgraded_at": [limit.upgraded_at],
        }
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(SQL["lock"])
            rows = await (await connection.execute(SQL["limits"])).fetchall()
            now_known = {one[0]: Limit(messages_per_second=one[1], upgraded_at=one[2]) for one in rows}
            if now_known.get(phone_number_id) != known:
                return  # another sender was faster
            await connection.execute(SQL["put_limits"], row)
            if change.source is Source.WEBHOOK or change.is_coexistence != change.number.is_coexistence:
                asked = {
                    "phone_number_id": phone_number_id,
                    "messages_per_second": limit.messages_per_second,
                    "is_coexistence": change.is_coexistence,
                }
                await connection.execute(SQL["limit_number"], asked)
            if change.is_told:
                await tell(connection, self._codec, [event_of(change, now=now_ms())], shard=shard)
        if change.is_told:
            log.info(
                "number.limit_told",
                phone_number_id=phone_number_id,
                limit=limit.messages_per_second,
                source=str(change.source),
            )


def event_of(change: Change, *, now: int) -> SendingStateChanged:
    """What the log is told of a limit."""
    number, limit = change.number, change.limit
    at = limit.upgraded_at if change.source is Source.WEBHOOK else number.updated_at
    return SendingStateChanged(
        event_id=ids.named(f"limit/{number.phone_number_id}/{limit.messages_per_second}/{at}"),
        occurred_at=now,
        waba_id=number.waba_id,
        phone_number_id=number.phone_number_id,
        state="limit",
        source=change.source,
        messages_per_second=limit.messages_per_second,
    )
