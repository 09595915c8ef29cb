"""How does what attempts proved become durable? Findings of all numbers are written together, batch after batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.common.platform import logging, metrics, postgres
from services.common.platform.faults import fault
from services.common.platform.lifecycle import Rounds
from services.sender import outcomes
from services.sender.distrust import Distrust
from services.sender.findings import Evidence, Finding
from services.sender.store import Settled, Store

log = logging.get(__name__)

_BATCH: Final = 500
_ROUND_SECONDS: Final = 0.025
"""How far apart findings are written at least: a transaction costs as much as ten of them."""


class Recorder:
    """Takes findings from calls as they end. Nothing a call proved is dropped while Postgres is away."""

    def __init__(self, store: Store, distrust: Distrust, *, abandon: asyncio.Event, told: asyncio.Event) -> None:
        self._store, self._distrust, self._abandon, self._told = store, distrust, abandon, told
        self._pending: list[Finding] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._some = asyncio.Event()

    async def record(self, finding: Finding) -> None:
        """Return when the finding is durable, or when the process gives up waiting for Postgres."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(finding)
        self._waiters.append(done)
        self._some.set()
        await done

    async def run(self) -> None:
        """Write for as long as the process lives."""
        rounds = Rounds(_ROUND_SECONDS)
        while True:
            await self._some.wait()
            await rounds.begin()
            findings, waiters = self._pending[:_BATCH], self._waiters[:_BATCH]
            del self._pending[:_BATCH], self._waiters[:_BATCH]
            if not self._pending:
                self._some.clear()
            await self.write(findings)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def write(self, findings: Sequence[Finding]) -> set[str]:
        """One transaction: attempts, commands and outbox. The commands that were changed by it."""
        if not findings:
            return set()
        fault("sender.before_outcome_commit")
        changed = await postgres.retrying(lambda: self._store.record(findings), service="sender", stopping=self._abandon)
        if changed is None:
            return set()
        fault("sender.after_outcome_commit")
        self._told.set()
        for finding in findings:
            if finding.attempt.command_id in changed and finding.outcome is not None:
                metrics.SEND_OUTCOMES.labels(finding.outcome.kind, finding.outcome.reason or "").inc()
        if len(changed) < len(findings):
            await self._reconsider([finding for finding in findings if finding.attempt.command_id not in changed])
        return changed

    async def settle(self, proved: Sequence[tuple[Finding, Evidence]]) -> None:
        """Meta had these after all: each accepts its command, or is its second acceptance. The findings say accepted."""
        if not proved:
            return
        given = [_settled(finding, evidence) for finding, evidence in proved]
        counted = await postgres.retrying(lambda: self._store.settle(given), service="sender", stopping=self._abandon)
        if counted is None:
            return
        self._told.set()
        for one in given:
            found = counted.get((one.attempt.command_id, one.attempt.attempt_no))
            if found is None:
                continue
            is_duplicate, is_told = found
            self._distrust.tell(one.attempt, one.evidence, is_duplicate=is_duplicate)
            if is_told:
                outcome = one.duplicate if is_duplicate else one.accepted
                metrics.SEND_OUTCOMES.labels(outcome.kind, outcome.reason or "").inc()

    async def _reconsider(self, unchanged: Sequence[Finding]) -> None:
        """Answers of attempts that were given up: an acceptance still counts. Without any outcome the ledger is not ours."""
        late = [one for one in unchanged if one.attempt_outcome == "accepted"]
        await self.settle([(one, Evidence(outcome="unknown", error_code=None, wamid=one.wamid or "")) for one in late])
        attempts = [finding.attempt for finding in unchanged]
        ended = await postgres.retrying(lambda: self._store.ended(attempts), service="sender", stopping=self._abandon)
        for finding in unchanged:
            if ended is not None and finding.attempt.command_id not in ended:
                log.critical("send.outcome_without_attempt", command_id=finding.attempt.command_id)


def _settled(finding: Finding, evidence: Evidence) -> Settled:
    accepted = finding.outcome
    if accepted is None:
        raise AssertionError("an acceptance is always told")
    duplicate = outcomes.duplicate_confirmed(
        finding.attempt, finding.wamid, at=accepted.occurred_at, waba_id=accepted.waba_id, source=accepted.source
    )
    return Settled(attempt=finding.attempt, evidence=evidence, wamid=finding.wamid, accepted=accepted, duplicate=duplicate)
