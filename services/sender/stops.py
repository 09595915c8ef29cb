"""What does Meta not let us send now, who found out, and who tries whether it still holds?

Meta tells in webhooks, which the projector keeps, and in answers. Each sender reads both every few seconds, so that what one
finds out holds for all. Where no end is told, one message is sent after a while to find out, for all that is stopped together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.common.domain import account_state, late_codes
from services.common.domain.account_state import ACCESS_TOKEN, Evidence, Key, Source, State
from services.common.domain.graph_codes import ACCOUNT_PROBE_SECONDS, Scope
from services.common.platform import logging
from services.common.platform.clock import now_ms
from services.common.platform.registry import RegisteredNumber
from services.sender import account_events
from services.sender.account_events import Told
from services.sender.judging import Call
from services.sender.late_codes import Late, LateCodes
from services.sender.number_client import NumberClient
from services.sender.numbers import Number, Numbers
from services.sender.response import Proof, Result
from services.sender.stop_ledger import StopLedger

log = logging.get(__name__)

_AGAIN_SECONDS: Final = 10.0
"""A number that had nothing to try a stop with leaves it to others for so long."""
_TOLD_SECONDS: Final = 60.0
"""Where a code comes after the answer, a probe of which nothing is told in this time has not failed."""
_FASTER_SECONDS: Final = 1.0
"""The same where another was faster, or our clock is."""


class Stops:
    """The stops as last read. Methods raise what Postgres raises; callers wrap in `postgres.retrying`."""

    def __init__(
        self,
        *,
        ledger: StopLedger,
        late_codes: LateCodes,
        numbers: Numbers,
        client: NumberClient,
        shards: Callable[[], Sequence[int]],
    ) -> None:
        self._ledger, self._late_codes, self._numbers, self._client, self._shards = ledger, late_codes, numbers, client, shards
        self._state: State = {}
        self._released: set[str] = set()
        self._taking = asyncio.Lock()
        """Held from a reading or a change until it is taken over: an older reading would undo a newer one."""

    async def load(self) -> None:
        """Take over what is known, before anything is started."""
        async with self._taking:
            await self._take(await self._ledger.read())

    async def sync(self, events: Sequence[Told]) -> None:
        """Take over what these webhooks, late codes, the registry and other senders have told, and what has ended in time."""
        late = await self._late_codes.newest(list(self._numbers.registered), now=now_ms())
        renewed = frozenset(self._numbers.renewed)
        async with self._taking:
            await self._take(await self._merged(events, late, renewed))
        self._numbers.renewed -= renewed

    async def heed(self, number: Number, call: Call, result: Result, *, begun: int, token: str) -> None:
        """What the answer to a message, begun at that instant with that token, says is stopped, or goes on again.

        A token that was renewed meanwhile stops nothing. What stopped by a code that came after an answer goes on once Meta
        says that the message was sent.
        """
        told: dict[Key, Evidence] = {}
        if result.covers is not None and result.error_code is not None:
            told = account_state.of_answer(
                result.error_code,
                phone_number_id=number.phone_number_id,
                waba_id=self._numbers.waba_id(number.phone_number_id),
                area=call.area,
                at=begun,
                trace_id=result.trace_id,
            )
            if token != self._numbers.token(number.phone_number_id):
                told = {key: one for key, one in told.items() if key.cause != ACCESS_TOKEN}
        elif result.proof is Proof.ACCEPTED and call.probes:
            late = frozenset(key for key in call.probes if key in self._state and self._state[key].evidence.is_late)
            if late:
                await self._ledger.tried(late, attempt_id=call.attempt.attempt_id, begun=begun)
            told = account_state.cleared(self._state, call.probes - late, at=begun, source=Source.PROBE)
        if told:
            async with self._taking:
                await self._take(await self._change(told, shard=number.shard))

    async def claim(self, number: Number) -> None:
        """Where a stop of the number is to be tried and it has something to try it with: let its next message through."""
        wanted, number.wanted = number.wanted, frozenset()
        if not wanted and number.waiting > 0 and number.try_after <= time.monotonic():
            wanted = account_state.due(number.standing.whole(now_ms()), now_ms())
        if not wanted or number.standing.probing or number.is_paused or number.share == 0:
            return
        entries = {key: self._state[key] for key in wanted if key in self._state}
        seconds = {key: account_state.probe_seconds(entry) for key, entry in entries.items()}
        if not await self._ledger.claim(seconds):
            number.try_after = time.monotonic() + _FASTER_SECONDS
            await self.load()
        elif await self._may_try(number, entries):
            number.standing = replace(number.standing, probing=wanted)
        else:
            await self._ledger.unclaim(entries, seconds=ACCOUNT_PROBE_SECONDS)
            await self.load()

    async def end_claim(self, number: Number, *, tried: bool) -> None:
        """A round of the number is over, with a message that tries the stops or without."""
        probing = number.standing.probing
        number.standing = replace(number.standing, probing=frozenset())
        if not tried:
            number.try_after = time.monotonic() + _AGAIN_SECONDS
            await self._ledger.unclaim(probing)

    async def _merged(self, events: Sequence[Told], late: Late, renewed: frozenset[str]) -> State:
        """The state with all that was told; `renewed`: numbers that were given a new token."""
        shards, state, now = self._shards(), await self._ledger.read(), now_ms()
        told = account_state.merged(
            [
                *(account_state.of_registry(one.phone_number_id, one.state, at=one.updated_at) for one in self._registered()),
                *map(account_state.of_event, account_events.account_events(events, waba_ids=self._wabas())),
                *late_codes.told_late(late.codes, now=now, sent=late.sent, waba_of=self._waba_of()),
            ]
        )
        told = {key: one for key, one in told.items() if one.source is not Source.OPERATOR or one.is_stopped or key in state}
        tokens = {Key(Scope.NUMBER, number, ACCESS_TOKEN) for number in renewed}
        told |= account_state.cleared(state, tokens, at=now, source=Source.OPERATOR)
        for key, begun in (await self._ledger.sent(seconds=_TOLD_SECONDS)).items():
            told = account_state.merged([told, account_state.cleared(state, [key], at=begun, source=Source.PROBE)])
        changed = account_state.fold(state, told, now=now)
        if shards and (changed or account_state.untold({**state, **changed}, now=now)):
            return await self._change(told, shard=min(shards))
        return state

    async def _may_try(self, number: Number, stops: State) -> bool:
        """False while Meta says itself that the number cannot send. Who cannot be asked is tried: a token cannot ask either."""
        token = self._numbers.token(number.phone_number_id)
        if token is None or any(key.cause == ACCESS_TOKEN for key in stops):
            return True
        seen = await self._client.look(number.phone_number_id, token=token)
        if seen is None or not seen.is_blocked:
            return True
        log.info("sending.still_blocked", phone_number_id=number.phone_number_id)
        return False

    async def _change(self, told: Mapping[Key, Evidence], *, shard: int) -> State:
        return await self._ledger.change(lambda _: told, now=now_ms(), shard=shard, waba_of=self._waba_of())

    async def _take(self, state: State) -> None:
        """Hold by this from now on, and let go what nothing holds any more.

        Twice, for a gate that was at work may have held something by what was known before.
        """
        self._state = state
        self._numbers.stop(state)
        freed = self._numbers.take_freed()
        self._released = release = freed | self._released
        if release:
            await self._ledger.release(sorted(release))
        self._released = freed
        for phone_number_id in release:
            self._numbers.wake(phone_number_id)

    def _registered(self) -> Sequence[RegisteredNumber]:
        return tuple(self._numbers.registered.values())

    def _waba_of(self) -> dict[str, str]:
        return {one.phone_number_id: one.waba_id for one in self._registered()}

    def _wabas(self) -> frozenset[str]:
        return frozenset(one.waba_id for one in self._registered())
