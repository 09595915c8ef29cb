"""What does the sender know of each business number: its limit, its token, and whether it has to pause?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import assert_never

from services.common.domain import limiter
from services.common.domain.graph_codes import PROBE_SECONDS, Scope
from services.common.domain.limiter import Throughput
from services.common.platform import logging, metrics, postgres
from services.common.platform.registry import RegisteredNumber, list_numbers
from services.common.platform.tokens import TokenBox, TokenUnreadable
from services.sender.pacer import Pacer
from services.sender.response import Proof, Result
from services.sender.store import Store

log = logging.get(__name__)


@dataclass(slots=True, kw_only=True)
class Number:
    """One number that this process sends for. Lives as long as its shard is owned."""

    phone_number_id: str
    shard: int
    epoch: int
    pacer: Pacer
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    """Commands known to wait in Postgres, whether their turn has come or not."""
    inflight: int = 0
    frozen_until: float = 0.0
    paused_until: float | None = None
    """While set, Meta refuses the number as a whole: one probe whenever the instant has passed."""

    is_paused: bool = False
    """An operator holds it back."""

    def hold_seconds(self) -> float:
        """How long nothing may be started; 0 when something may."""
        if self.is_paused:
            return inf
        until = max(self.frozen_until, self.paused_until or 0.0)
        return max(0.0, until - time.monotonic())

    @property
    def is_probing(self) -> bool:
        """True when the next attempt is there to find out whether Meta takes the number again."""
        return self.paused_until is not None

    def freeze(self, seconds: float) -> None:
        """Start nothing for so long."""
        self.frozen_until = max(self.frozen_until, time.monotonic() + seconds)


class Numbers:
    """The registry as last read, and the tokens, opened in memory only."""

    def __init__(self, pool: postgres.Pool, store: Store, tokens: TokenBox, *, jitter_seconds: float) -> None:
        self._pool, self._store, self._tokens = pool, store, tokens
        self._jitter_seconds = jitter_seconds
        self._registered: dict[str, RegisteredNumber] = {}
        self._opened: dict[str, str] = {}
        self._pauses: dict[str, float] = {}
        self._serving: dict[str, Number] = {}

    async def reload(self) -> None:
        """Read the registry; a new limit, token or state counts from now on."""
        async with self._pool.connection() as connection:
            numbers = await list_numbers(connection)
        await self.know(numbers)

    async def know(self, numbers: Iterable[RegisteredNumber]) -> None:
        """These are registered, as they are here, and no others."""
        listed = {number.phone_number_id: number for number in numbers}
        before, self._registered = self._registered, listed
        for phone_number_id, number in listed.items():
            known = before.get(phone_number_id)
            if known is None or known.sealed_token != number.sealed_token:
                await self._open(number, is_new_token=known is not None)
            serving = self._serving.get(phone_number_id)
            if serving is not None and serving.is_paused != (number.state == "paused"):
                serving.is_paused = number.state == "paused"
                serving.wake.set()
                log.info("number.state_changed", phone_number_id=phone_number_id, state=number.state)
            if serving is not None and serving.pacer.limit != number.messages_per_second:
                serving.pacer.change_limit(number.messages_per_second)
                log.info("number.limit_changed", phone_number_id=phone_number_id, limit=number.messages_per_second)
        for phone_number_id in self._opened.keys() - listed.keys():
            del self._opened[phone_number_id]

    async def load_pauses(self) -> None:
        """Take over what an earlier owner knew."""
        now = time.monotonic()
        self._pauses = {number: now + seconds for number, seconds in (await self._store.pauses()).items()}

    def serve(self, phone_number_id: str, *, shard: int, epoch: int, ages: Iterable[float] = ()) -> Number:
        """The number's state; a new one inherits what its last owner started `ages` seconds ago."""
        number = self._serving.get(phone_number_id)
        if number is not None and number.epoch == epoch:
            return number
        registered = self._registered.get(phone_number_id)
        policy = Throughput(
            limit=registered.messages_per_second if registered is not None else 1, jitter_seconds=self._jitter_seconds
        )
        number = Number(
            phone_number_id=phone_number_id,
            shard=shard,
            epoch=epoch,
            pacer=Pacer(limiter.inherit(policy, ages, now=time.monotonic())),
            paused_until=self._pauses.get(phone_number_id),
            is_paused=registered is not None and registered.state == "paused",
        )
        self._serving[phone_number_id] = number
        return number

    def wake(self, phone_number_id: str) -> None:
        """Let the number's loop look again."""
        number = self._serving.get(phone_number_id)
        if number is not None:
            number.wake.set()

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

    def inflight_cap(self, number: Number, seconds: float) -> int:
        """How many calls of a number may be under way: what it writes in `seconds`. A hung Meta costs no more."""
        return 1 if number.is_probing else max(4, math.ceil(number.pacer.limit * seconds))

    async def heed(self, number: Number, result: Result) -> None:
        """What an exchange says about the number itself, and about those that share its account or app."""
        if result.scope is Scope.TOKEN:
            if number.paused_until is None:
                log.error("number.paused", phone_number_id=number.phone_number_id, code=result.error_code)
            number.paused_until = time.monotonic() + PROBE_SECONDS
            await self._store.pause(number.phone_number_id, PROBE_SECONDS, str(result.reason), result.error_code)
        elif result.wait_seconds:
            for one in self._within(number, result.scope):
                one.freeze(result.wait_seconds)
        elif number.paused_until is not None and result.proof is Proof.ACCEPTED:
            await self._resume(number)
        metrics.NUMBERS_PAUSED.set(sum(one.paused_until is not None for one in self._serving.values()))

    def _within(self, number: Number, scope: Scope) -> list[Number]:
        """Whom of those served here a refusal is about. Other processes learn it from an answer of their own.

        Which app a token is of is not known here: all numbers are taken to share one, for the wait is short.
        """
        served = self._serving.values()
        match scope:
            case Scope.NUMBER:
                return [number]
            case Scope.WABA:
                waba_id = self.waba_id(number.phone_number_id)
                return [number, *(one for one in served if waba_id is not None and self.waba_id(one.phone_number_id) == waba_id)]
            case Scope.APP:
                return [number, *served]
            case Scope.COMMAND | Scope.PAIR | Scope.TOKEN:
                return []
        assert_never(scope)

    async def _open(self, number: RegisteredNumber, *, is_new_token: bool) -> None:
        try:
            self._opened[number.phone_number_id] = self._tokens.open(number.sealed_token, phone_number_id=number.phone_number_id)
        except TokenUnreadable as problem:
            self._opened.pop(number.phone_number_id, None)
            log.warning("number.token_unreadable", phone_number_id=number.phone_number_id, error=str(problem))
        serving = self._serving.get(number.phone_number_id)
        if is_new_token and serving is not None and serving.paused_until is not None:
            await self._resume(serving)
        elif serving is not None:
            serving.wake.set()

    async def _resume(self, number: Number) -> None:
        number.paused_until = None
        self._pauses.pop(number.phone_number_id, None)
        await self._store.resume(number.phone_number_id)
        log.info("number.resumed", phone_number_id=number.phone_number_id)
        number.wake.set()
