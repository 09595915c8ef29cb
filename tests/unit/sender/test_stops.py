"""Does what a sender learns of a stop hold, whatever else it reads at the same time?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import pytest

from services.common.domain import account_state
from services.common.domain.account_state import Evidence, Key, State
from services.common.domain.covers import Covers
from services.common.domain.graph_codes import Scope
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.platform import postgres
from services.common.platform.clock import now_ms
from services.sender.judging import Call
from services.sender.late_codes import Late, LateCodes
from services.sender.media.facts import Ready
from services.sender.number_client import NumberClient
from services.sender.numbers import Numbers
from services.sender.response import Proof, Result
from services.sender.sharing import Sharing
from services.sender.stop_ledger import StopLedger
from services.sender.stops import Stops
from tests.support.candidates import candidate
from tests.support.registered import TOKENS, registered

CLOSED = "postgresql://nowhere.invalid"
UNPAID = Result(
    proof=Proof.RETRY, reason=Reason.PAYMENT, error_code=131042, scope=Scope.WABA, covers=Covers.EVERYTHING, wait_seconds=60.0
)


class SlowLedger(StopLedger):
    """In memory. What was read at first is answered once it may be; all after that at once."""

    def __init__(self) -> None:
        self.state: State = {}
        self.may_answer = asyncio.Event()
        self._is_first = True

    async def read(self) -> State:
        """As it is now."""
        state, is_first, self._is_first = self.state, self._is_first, False
        if is_first:
            await self.may_answer.wait()
        return state

    async def sent(self, **_asked: Any) -> dict[Key, int]:
        """No probe."""
        return {}

    async def change(self, told: Callable[[State], Mapping[Key, Evidence]], *, now: int, **_told_of: Any) -> State:
        """At once."""
        changed = account_state.fold(self.state, told(self.state), now=now)
        self.state = {**self.state, **changed, **account_state.untold({**self.state, **changed}, now=now)}
        return self.state

    async def release(self, phone_number_ids: Sequence[str]) -> None:
        """Nothing is held."""


class NothingLate(LateCodes):
    """No failed status."""

    async def newest(self, *_numbers: Any, **_asked: Any) -> Late:
        """None."""
        return Late()


async def is_held(reading: Callable[[Stops], Awaitable[None]]) -> bool:
    """Whether a number is held by an answer that came between such a reading and what was read."""
    closed, ledger = postgres.pool(CLOSED, service="test"), SlowLedger()
    numbers = Numbers(closed, TOKENS, jitter_seconds=0.0, pair_policy=PairPolicy(), sharing=Sharing(counts={}, partitions=1))
    numbers.know([registered("1", "one")])
    stops = Stops(
        ledger=ledger,
        late_codes=NothingLate(closed),
        numbers=numbers,
        client=NumberClient(cast("aiohttp.ClientSession", None), base_url="", version=""),
        shards=lambda: [0],
    )
    number = numbers.serve("1", shard=0, epoch=1)
    ready = Ready(message_type="text", content=None)
    call = Call(attempt=candidate().attempt, edge="messages", body=b"", appended_at=0, media=ready)

    async def answered() -> None:
        await stops.heed(number, call, UNPAID, begun=now_ms(), token="token")

    async def slowly() -> None:
        # As many turns of the loop as the answer takes, where nothing keeps it waiting. No time passes.
        for _ in range(10):
            await asyncio.sleep(0)
        ledger.may_answer.set()

    await asyncio.gather(reading(stops), answered(), slowly())
    return number.hold_seconds() > 0


@pytest.mark.failure("S9")
@pytest.mark.parametrize("reading", [Stops.load, lambda stops: stops.sync([])], ids=["load", "sync"])
def test_a_stop_is_not_forgotten_for_what_was_read_before_it(reading: Callable[[Stops], Awaitable[None]]) -> None:
    assert asyncio.run(is_held(reading))
