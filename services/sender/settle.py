"""What became of attempts whose answer was lost? Status webhooks tell; without one its policy decides.

Webhooks come late, and in any order: each attempt of a command that has no answer is looked for, not only the last one, for as
long as its rows are kept. While another attempt of the command is under way, evidence waits for the next look.

Crash thinking: every step is one transaction over rows that say how far it came, so dying in between does it again or not at all.
The read models may be rebuilt at any time: evidence is looked up by attempt id in whatever the tables hold then, so what a
rebuild has not written yet is found when it has. During a swap of the tables a look waits or fails, and is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from services.common.domain.lanes import LANES, Lane
from services.common.domain.reasons import Reason
from services.common.domain.send_policy import READ
from services.common.platform import logging, metrics, postgres
from services.common.platform.clock import now_ms
from services.common.platform.lifecycle import sleep_unless
from services.sender import outcomes
from services.sender.distrust import Distrust
from services.sender.findings import Evidence, Finding, finding_of, finding_of_overdue
from services.sender.late_failures import Heed, LateFailures
from services.sender.numbers import Numbers
from services.sender.outcomes import Attempt
from services.sender.recorder import Recorder
from services.sender.response import Proof, Result, repeated
from services.sender.store import Store

log = logging.get(__name__)

STARTED_SECONDS: Final = 30.0
"""No call lasts this long: a STARTED row this old lost its answer."""
_CONTRADICTED_SECONDS: Final = 86_400.0
"""How long after an answer a status webhook is believed against it. Meta sends most within seconds and all within days."""
_ALL_EVERY: Final = 10
"""Attempts that were given up, and such as nobody finished, are looked at every so many rounds."""


class Notify(Protocol):
    """Called when commands of a number are to be sent."""

    def __call__(self, phone_number_id: str, shard: int, count: int, /) -> None: ...


class Settler:
    """Polls for evidence while attempts are open, and for what operators ask."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        numbers: Numbers,
        distrust: Distrust,
        *,
        heed_late: Heed,
        horizons: Mapping[Lane, float],
        every_seconds: float,
        told: asyncio.Event,
    ) -> None:
        self._store, self._recorder, self._numbers, self._distrust, self._told = store, recorder, numbers, distrust, told
        self._late_failures = LateFailures(store, numbers, heed_late)
        self._horizons, self._every_seconds = horizons, every_seconds

    async def run(self, owned: Callable[[], Sequence[int]], notify: Notify, stopping: asyncio.Event) -> None:
        """Settle what the owned shards have open, until asked to stop; `notify` hears of commands that are to be sent again."""
        turn = 0
        while not await sleep_unless(stopping, self._every_seconds):
            settle = self.settle_all if turn % _ALL_EVERY == 0 else self.settle_unknown
            await postgres.retrying(partial(settle, owned(), notify), service="sender", stopping=stopping)
            turn += 1

    async def adopt(self, shards: Sequence[int]) -> None:
        """Attempts whose owner is gone, or that are too old to be under way, may have reached Meta: unknown, and told so."""
        await self._distrust.reload()
        lost = Result(proof=Proof.UNKNOWN, reason=Reason.OWNER_LOST)
        before: set[str] = set()
        while orphans := await self._store.orphans(shards, STARTED_SECONDS):
            found = {attempt.command_id for attempt in orphans}
            if found == before:
                return  # nothing was written: the process is giving up on Postgres
            before = found
            await self._recorder.write([self._finding(attempt, _of_orphan(attempt, lost)) for attempt in orphans])
            log.warning("send.orphans", count=len(orphans))

    async def settle_unknown(self, shards: Sequence[int], notify: Notify) -> None:
        """What is waited for at this moment."""
        if not shards:
            return
        if (await self._count(shards)).get("unknown"):
            await self._accept(await self._store.evidence(shards, ("unknown",)))
            await self._end_waiting(shards, notify)
        await self._send_again(shards, notify)

    async def settle_all(self, shards: Sequence[int], notify: Notify) -> None:
        """Also evidence for what was given up, answers lost between the call and the ledger, and failures told later."""
        if not shards:
            return
        if (await self._count(shards)).get("started"):
            await self.adopt(shards)
        await self._accept(await self._store.evidence(shards, ("unknown", "unresolved")))
        await self._accept(await self._store.contradictions(shards, _CONTRADICTED_SECONDS))
        await self._distrust.reload()
        await self._end_waiting(shards, notify)
        await self._send_again(shards, notify)
        if await self._late_failures.tell(shards):
            self._told.set()

    async def _accept(self, found: Sequence[tuple[Attempt, Evidence]]) -> None:
        """Meta had it: the command is accepted, and a code that said otherwise is no proof from now on."""
        proofs = [(one, told, Result(proof=Proof.ACCEPTED, wamid=told.wamid)) for one, told in found]
        await self._recorder.settle([(self._finding(one, proof, source="webhook"), told) for one, told, proof in proofs])

    async def _end_waiting(self, shards: Sequence[int], notify: Notify) -> None:
        """Commands whose time for evidence is over: given up, or sent once more."""
        overdue = [
            finding_of_overdue(attempt, lost, at=now_ms(), waba_id=self._waba_id(attempt))
            for attempt, lost in await self._store.overdue(shards)
        ]
        changed = await self._recorder.write(overdue)
        for finding in overdue:
            if finding.command_state == "retry" and finding.attempt.command_id in changed:
                attempt = finding.attempt
                log.warning("send.resent", command_id=attempt.command_id, attempt_no=attempt.attempt_no)
                notify(attempt.phone_number_id, attempt.shard, 1)

    async def _send_again(self, shards: Sequence[int], notify: Notify) -> None:
        """What operators asked for."""
        asked = await self._store.asked(shards)
        if not asked:
            return
        given = [
            (one, outcomes.resent(one.attempt, at=now_ms(), waba_id=self._waba_id(one.attempt), resend_id=one.resend_id))
            for one in asked
        ]
        told = await self._store.resend(given)
        self._told.set()
        for one, outcome in given:
            is_sent = outcome.event_id in told
            log.warning("send.resend_asked", command_id=one.attempt.command_id, resend_id=one.resend_id, is_sent=is_sent)
            if is_sent:
                metrics.SEND_OUTCOMES.labels(outcome.kind, outcome.reason).inc()
                notify(one.attempt.phone_number_id, one.attempt.shard, 1)

    async def _count(self, shards: Sequence[int]) -> dict[str, int]:
        open_states = await self._store.open_states(shards)
        for state in ("started", "unknown", "unresolved"):
            metrics.SENDS_OPEN.labels(state).set(open_states.get(state, 0))
        return open_states

    def _finding(self, attempt: Attempt, result: Result, *, source: str = "response") -> Finding:
        return finding_of(
            attempt,
            result,
            at=now_ms(),
            waba_id=self._waba_id(attempt),
            horizon_seconds=self._horizons[LANES[attempt.lane]],
            source=source,
        )

    def _waba_id(self, attempt: Attempt) -> str | None:
        return self._numbers.waba_id(attempt.phone_number_id)


def _of_orphan(attempt: Attempt, lost: Result) -> Result:
    return repeated(lost, attempt_no=attempt.attempt_no) if attempt.message_type == READ else lost
