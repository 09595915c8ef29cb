"""What became of attempts whose answer was lost? Status webhooks tell; without them, nothing is ever sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from services.common.domain.lanes import LANES, Lane
from services.common.domain.reasons import Reason
from services.common.domain.send_policy import READ
from services.common.platform import logging, metrics, postgres
from services.common.platform.lifecycle import sleep_unless
from services.sender.distrust import Distrust
from services.sender.numbers import Numbers
from services.sender.outcomes import Attempt
from services.sender.recorder import Recorder, finding_of, finding_of_overdue
from services.sender.response import Proof, Result, repeated
from services.sender.store import Contradiction, Finding, Store

log = logging.get(__name__)

STARTED_SECONDS: Final = 30.0
"""No call lasts this long: a STARTED row this old lost its answer."""
_CONTRADICTED_SECONDS: Final = 86_400.0
"""How long after an answer a status webhook is believed against it. Meta sends most within seconds and all within days."""
_ALL_EVERY: Final = 10
"""Attempts that were given up, and such as nobody finished, are looked at every so many rounds."""


class Settler:
    """Polls for evidence while attempts are open."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        numbers: Numbers,
        distrust: Distrust,
        *,
        horizons: Mapping[Lane, float],
        every_seconds: float,
        told: asyncio.Event,
    ) -> None:
        self._store, self._recorder, self._numbers, self._distrust, self._told = store, recorder, numbers, distrust, told
        self._horizons, self._every_seconds = horizons, every_seconds

    async def run(self, owned: Callable[[], Sequence[int]], stopping: asyncio.Event) -> None:
        """Settle what the owned shards have open, until asked to stop."""
        turn = 0
        while not await sleep_unless(stopping, self._every_seconds):
            settle = partial(self._settle_all if turn % _ALL_EVERY == 0 else self._settle_unknown, owned())
            await postgres.retrying(settle, service="sender", stopping=stopping)
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

    async def _settle_unknown(self, shards: Sequence[int]) -> None:
        open_states = await self._count(shards)
        if open_states.get("unknown"):
            await self._settle(shards, ("unknown",))

    async def _settle_all(self, shards: Sequence[int]) -> None:
        """Also evidence for what was given up, and answers that were lost between the call and the ledger."""
        open_states = await self._count(shards)
        if open_states.get("started"):
            await self.adopt(shards)
        if open_states:
            await self._settle(shards, ("unknown", "unresolved"))
        await self._distrust.reload()
        if shards:
            await self._correct(await self._store.contradictions(shards, _CONTRADICTED_SECONDS))

    async def _correct(self, found: Sequence[tuple[Attempt, Contradiction]]) -> None:
        """What was taken for refused, and Meta had it: the command is accepted, and the code is no proof from now on."""
        if not found:
            return
        corrected = await self._store.correct([(one, told, self._accepted(one, told.wamid).outcome) for one, told in found])
        self._told.set()
        for attempt, contradiction in found:
            is_duplicate = corrected.get((attempt.command_id, attempt.attempt_no))
            if is_duplicate is not None:
                self._distrust.tell(attempt, contradiction, is_duplicate=is_duplicate)
        await self._distrust.reload()

    async def _settle(self, shards: Sequence[int], states: Sequence[str]) -> None:
        settled = await self._store.evidence(shards, states)
        await self._recorder.write([self._accepted(attempt, wamid) for attempt, wamid in settled])
        overdue = await self._store.overdue(shards)
        await self._recorder.write(
            [finding_of_overdue(attempt, waba_id=self._numbers.waba_id(attempt.phone_number_id)) for attempt in overdue]
        )

    async def _count(self, shards: Sequence[int]) -> dict[str, int]:
        open_states = await self._store.open_states(shards) if shards else {}
        for state in ("started", "unknown", "unresolved"):
            metrics.SENDS_OPEN.labels(state).set(open_states.get(state, 0))
        return open_states

    def _accepted(self, attempt: Attempt, wamid: str) -> Finding:
        return self._finding(attempt, Result(proof=Proof.ACCEPTED, wamid=wamid), source="webhook")

    def _finding(self, attempt: Attempt, result: Result, *, source: str = "response") -> Finding:
        return finding_of(
            attempt,
            result,
            waba_id=self._numbers.waba_id(attempt.phone_number_id),
            horizon_seconds=self._horizons[LANES[attempt.lane]],
            source=source,
        )


def _of_orphan(attempt: Attempt, lost: Result) -> Result:
    return repeated(lost, attempt_no=attempt.attempt_no) if attempt.message_type == READ else lost
