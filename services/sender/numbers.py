"""What does the sender know of each business number: its limit, its token, and what it may not send now?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, assert_never

from services.common.domain import account_state, in_flight, sublanes
from services.common.domain.account_state import Index, Key, Standing, State
from services.common.domain.graph_codes import Scope
from services.common.domain.in_flight import InFlight
from services.common.domain.lane_shares import Shares
from services.common.domain.limiter import Throughput
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.domain.retry_budget import RetryBudget
from services.common.domain.send_policy import HELD
from services.common.platform import logging, metrics, postgres
from services.common.platform.clock import now_ms
from services.common.platform.registry import RegisteredNumber, list_numbers
from services.common.platform.tokens import TokenBox, TokenUnreadable
from services.sender.pacer import NOTHING, Pacer, Past
from services.sender.response import Result
from services.sender.sharing import Sharing

log = logging.get(__name__)

_LOOK_SECONDS: Final = 1.0
"""How soon a stop that may be tried is looked at again by a number that does not try it."""
FIRST_OF_ALL: Final = (-1, 0)
"""Before the first lane."""
WORTH_TELLING_SECONDS: Final = 30.0
"""A shorter wait for a limit is no news to a producer."""


@dataclass(slots=True, kw_only=True)
class Number:
    """One number that this process sends for, on one shard. Lives as long as the shard is owned.

    A number with sub-lanes is one of these on each shard that has some of them, with its share of the limit.
    """

    phone_number_id: str
    shard: int
    epoch: int
    pacer: Pacer
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    shares: Shares = field(default_factory=Shares)
    """What its lanes have coming to them."""
    retries: RetryBudget = field(default_factory=RetryBudget)
    in_flight: InFlight = field(default_factory=lambda: InFlight(inf))
    """How many calls Meta answers in good time."""
    waiting: int = 0
    """Commands known to wait in Postgres, whether their turn has come or not."""
    inflight: int = 0
    start_seconds: float = 0.0
    """How long its attempts take from the transaction that starts them until the last stands in line."""
    frozen_until: float = 0.0
    standing: Standing = field(default_factory=Standing)
    """What Meta does not let it send, and which of these stops its next attempt may try."""
    wanted: frozenset[Key] = frozenset()
    """Stops that a command of it would try."""
    try_after: float = 0.0
    """Until this monotonic instant it leaves stops to others to try."""

    state: str = "active"
    """As the registry has it: paused and disabled ones are held back by an operator."""
    limit: int = 1
    """Messages a second, of the whole number."""
    share: int = 1
    """Those of them that may be sent from this shard; 0: nothing may."""
    owed: int = 0
    """What `sublanes.debit` left over of what the number received."""
    kept_back_after: tuple[int, int] = FIRST_OF_ALL
    """While it is held: after which end and seq its waiting commands are told so next."""

    @property
    def is_paused(self) -> bool:
        """An operator holds it back."""
        return self.state in HELD

    def held(self) -> tuple[Reason, float | None] | None:
        """Why its commands wait, and how many seconds at least (None: until somebody acts); None when that is no news."""
        if self.is_paused:
            return HELD[self.state], None
        if self.share == 0:
            return Reason.THROTTLED, None
        frozen = self.frozen_until - time.monotonic()
        return (Reason.THROTTLED, frozen) if frozen >= WORTH_TELLING_SECONDS else None

    def hold_seconds(self) -> float:
        """How long nothing may be started; 0 when something may."""
        if self.is_paused or self.share == 0:
            return inf
        frozen = max(0.0, self.frozen_until - time.monotonic())
        now = now_ms()
        whole = self.standing.whole(now)
        if not whole or self.is_probing:
            return frozen
        look_at = account_state.look_at(whole)
        return inf if look_at is None else max(frozen, _LOOK_SECONDS, (look_at - now) / 1000)

    @property
    def is_probing(self) -> bool:
        """True when all is stopped, and the next attempt is there to find out whether Meta takes the number again."""
        whole = self.standing.whole(now_ms())
        return bool(whole) and {key for key, _ in whole} <= self.standing.probing

    def change_limit(self, limit: int, *, share: int) -> None:
        """The number has another limit, and this shard so much of it."""
        self.limit, self.share, self.owed = limit, share, 0
        self.pacer.change_limit(max(1, share))

    def freeze(self, seconds: float) -> None:
        """Start nothing for so long."""
        self.frozen_until = max(self.frozen_until, time.monotonic() + seconds)


class Numbers:
    """The registry as last read, and the tokens, opened in memory only."""

    def __init__(
        self, pool: postgres.Pool, tokens: TokenBox, *, jitter_seconds: float, pair_policy: PairPolicy, sharing: Sharing
    ) -> None:
        self._pool, self._tokens, self._sharing = pool, tokens, sharing
        self._jitter_seconds, self._pair_policy = jitter_seconds, pair_policy
        self._registered: dict[str, RegisteredNumber] = {}
        self._opened: dict[str, str] = {}
        self._stops: Index = {}
        self._serving: dict[str, dict[int, Number]] = {}
        """phone_number_id -> shard -> the number there."""
        self._freed: set[str] = set()
        self.renewed: set[str] = set()
        """Numbers that were given a new token, until somebody takes them out."""
        self._reading = asyncio.Lock()
        """Held from a reading until it is known: an older one would undo a newer one."""

    async def reload(self) -> None:
        """Read the registry; a new limit, token or state counts from now on."""
        async with self._reading:
            async with self._pool.connection() as connection:
                numbers = await list_numbers(connection)
            self.know(numbers)

    def know(self, numbers: Iterable[RegisteredNumber]) -> None:
        """These are registered, as they are here, and no others."""
        listed = {number.phone_number_id: number for number in numbers}
        before, self._registered = self._registered, listed
        for phone_number_id, number in listed.items():
            known = before.get(phone_number_id)
            if known is None or known.sealed_token != number.sealed_token:
                self._open(number, is_new_token=known is not None)
            for serving in self._served_as(phone_number_id):
                self._follow(serving, number)
        for phone_number_id in self._opened.keys() - listed.keys():
            del self._opened[phone_number_id]

    def _follow(self, serving: Number, number: RegisteredNumber) -> None:
        place = {"phone_number_id": serving.phone_number_id, "shard": serving.shard}
        if serving.state != number.state:
            serving.state, serving.kept_back_after = number.state, FIRST_OF_ALL
            serving.wake.set()
            log.info("number.state_changed", **place, state=number.state)
        share = self._sharing.share(number.phone_number_id, serving.shard, number.messages_per_second)
        if (serving.limit, serving.share) != (number.messages_per_second, share):
            serving.change_limit(number.messages_per_second, share=share)
            log.info("number.limit_changed", **place, limit=serving.limit, share=share)

    @property
    def registered(self) -> Mapping[str, RegisteredNumber]:
        """The registry as last read."""
        return self._registered

    def stop(self, state: State) -> None:
        """These stops are known now, and no others."""
        self._stops = account_state.index(state, now=now_ms())
        for number in self._all_served():
            stops, had = self._standing(number.phone_number_id).stops, number.standing.stops
            if stops != had:
                number.standing = replace(number.standing, stops=stops)
                number.wake.set()
            if {key for key, _ in had} - {key for key, _ in stops}:
                self._freed.add(number.phone_number_id)
        self._show()

    def _show(self) -> None:
        """Only what is stopped has a series: there may be thousands of numbers."""
        metrics.NUMBERS_STOPPED.clear()
        for number in self._all_served():
            phone_number_id = number.phone_number_id
            reasons = {entry.evidence.reason for _, entry in number.standing.stops}
            if phone_number_id in self._registered and phone_number_id not in self._opened:
                reasons.add(Reason.ACCESS_TOKEN)
            for reason in reasons:
                metrics.NUMBERS_STOPPED.labels(phone_number_id, reason).set(1)

    def take_freed(self) -> set[str]:
        """Numbers of which a stop is over, or that are newly served: what stops hold of them wants another look. Each once."""
        freed, self._freed = self._freed, set()
        return freed

    def _standing(self, phone_number_id: str) -> Standing:
        return account_state.standing(self._stops, phone_number_id=phone_number_id, waba_id=self.waba_id(phone_number_id))

    def serve(self, phone_number_id: str, *, shard: int, epoch: int, past: Past = NOTHING) -> Number:
        """The number's state on this shard; a new one inherits what its last owner left behind."""
        number = self._serving.get(phone_number_id, {}).get(shard)
        if number is not None and number.epoch == epoch:
            return number
        registered = self._registered.get(phone_number_id)
        limit = 1 if registered is None else registered.messages_per_second
        # Commands of a number that is not registered are refused, wherever they stand.
        share = limit if registered is None else self._sharing.share(phone_number_id, shard, limit)
        if share == 0:
            log.error("number.shard_without_share", phone_number_id=phone_number_id, shard=shard, hint="see docs/sublanes.md")
        policy = Throughput(limit=max(1, share), jitter_seconds=self._jitter_seconds)
        number = Number(
            phone_number_id=phone_number_id,
            shard=shard,
            epoch=epoch,
            pacer=Pacer.inherited(policy, self._pair_policy, past),
            standing=self._standing(phone_number_id),
            state="active" if registered is None else registered.state,
            limit=limit,
            share=share,
        )
        self._serving.setdefault(phone_number_id, {})[shard] = number
        self._freed.add(phone_number_id)
        return number

    def wake(self, phone_number_id: str) -> None:
        """Let the number's loops look again."""
        for number in self._served_as(phone_number_id):
            number.wake.set()

    def received(self, phone_number_id: str, count: int) -> None:
        """The number has received so many messages: each shard of it takes off as much of them as it has of the limit."""
        for number in self._served_as(phone_number_id):
            mine, number.owed = sublanes.debit(number.owed, count, share=number.share, limit=number.limit)
            if mine:
                number.pacer.received(mine)

    def _served_as(self, phone_number_id: str) -> Collection[Number]:
        """The number, once for each shard it is served on."""
        return self._serving.get(phone_number_id, {}).values()

    def _all_served(self) -> Iterator[Number]:
        return (number for on_shards in self._serving.values() for number in on_shards.values())

    def forget(self) -> None:
        """No shard is ours any more."""
        self._serving.clear()

    def token(self, phone_number_id: str) -> str | None:
        """The access token; None for a number that is not registered or whose token does not open."""
        return self._opened.get(phone_number_id)

    def waba_id(self, phone_number_id: str) -> str | None:
        """The account the number belongs to, where it is registered."""
        registered = self._registered.get(phone_number_id)
        return None if registered is None else registered.waba_id

    def tokens_by_account(self) -> dict[str, list[str]]:
        """Account -> the access tokens of its numbers that open."""
        found: dict[str, list[str]] = {}
        for phone_number_id, token in self._opened.items():
            waba_id = self.waba_id(phone_number_id)
            if waba_id is not None:
                found.setdefault(waba_id, []).append(token)
        return found

    def inflight_cap(self, number: Number, seconds: float) -> int:
        """How many calls of a number may be under way: what it writes in `seconds`, or what Meta answers in good time."""
        return 1 if number.is_probing else int(min(_most(number, seconds), in_flight.allowed(number.in_flight)))

    def heard(self, number: Number, result: Result, round_trip: float, seconds: float) -> None:
        """A call that was written is over."""
        most = _most(number, seconds)
        if result.reason is Reason.NO_ANSWER and result.error_code is None:
            now, was_silent = time.monotonic(), in_flight.is_silent(number.in_flight)
            number.in_flight = in_flight.lost(number.in_flight, most=most, sent_at=now - round_trip, now=now)
            number.freeze(number.in_flight.rests_until - now)
            if in_flight.is_silent(number.in_flight) and not was_silent:
                log.warning(
                    "number.silent", phone_number_id=number.phone_number_id, hint="Meta does not answer: one call at a time"
                )
        else:
            number.in_flight = in_flight.answered(number.in_flight, round_trip, most=most)

    def heed(self, number: Number, result: Result) -> None:
        """What an exchange says about the pace of the number, and of those that share its account or app."""
        if result.wait_seconds and result.covers is None:
            for one in self._within(number, result.scope):
                one.freeze(result.wait_seconds)

    def _within(self, number: Number, scope: Scope) -> list[Number]:
        """Whom of those served here a refusal is about. Other processes learn it from an answer of their own.

        Which app a token is of is not known here: all numbers are taken to share one, for the wait is short.
        """
        served = self._all_served()
        match scope:
            case Scope.NUMBER:
                return [number, *self._served_as(number.phone_number_id)]
            case Scope.WABA:
                waba_id = self.waba_id(number.phone_number_id)
                return [number, *(one for one in served if waba_id is not None and self.waba_id(one.phone_number_id) == waba_id)]
            case Scope.APP:
                return [number, *served]
            case Scope.COMMAND | Scope.PAIR | Scope.THROUGHPUT | Scope.TOKEN:
                return []
        assert_never(scope)

    def _open(self, number: RegisteredNumber, *, is_new_token: bool) -> None:
        try:
            self._opened[number.phone_number_id] = self._tokens.open(number.sealed_token, phone_number_id=number.phone_number_id)
        except TokenUnreadable as problem:
            self._opened.pop(number.phone_number_id, None)
            log.warning("number.token_unreadable", phone_number_id=number.phone_number_id, error=str(problem))
        if is_new_token:
            log.info("number.token_renewed", phone_number_id=number.phone_number_id)
            self.renewed.add(number.phone_number_id)
        self.wake(number.phone_number_id)


def _most(number: Number, seconds: float) -> int:
    return max(in_flight.LEAST, math.ceil(number.pacer.limit * seconds))
