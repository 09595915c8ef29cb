"""How does what attempts proved become durable? Findings of all numbers are written together, batch after batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics, postgres
from services.common.platform.faults import fault
from services.sender import outcomes
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result
from services.sender.store import Finding, Store, now_ms

log = logging.get(__name__)

_BATCH: Final = 500
_STATE: Final = {
    Proof.ACCEPTED: "accepted",
    Proof.REJECTED: "rejected",
    Proof.RETRY: "retry",
    Proof.NOT_SENT: "retry",
    Proof.UNKNOWN: "unknown",
}


def finding_of(
    attempt: Attempt, result: Result, *, waba_id: str | None, horizon_seconds: float, source: str = "response"
) -> Finding:
    """What a result means for its attempt, its command and the log. An unknown one waits for evidence, never for a retry."""
    return Finding(
        attempt=attempt,
        attempt_outcome=result.proof,
        command_state=_STATE[result.proof],
        wait_seconds=_wait(result, horizon_seconds),
        reason=result.reason,
        error_code=result.error_code,
        wamid=result.wamid,
        outcome=outcomes.of_result(attempt, result, at=now_ms(), waba_id=waba_id, source=source),
    )


def _wait(result: Result, horizon_seconds: float) -> float:
    """What a stop covers waits for its end, which may come before the next probe: the gate holds it, not its own back-off."""
    if result.proof is Proof.UNKNOWN:
        return horizon_seconds
    return 0.0 if result.covers is not None else result.wait_seconds


def finding_of_overdue(attempt: Attempt, *, waba_id: str | None) -> Finding:
    """No evidence came in time: told so, never sent again, and still open to late evidence."""
    return Finding(
        attempt=attempt,
        attempt_outcome="unresolved",
        command_state="unresolved",
        reason=Reason.NO_EVIDENCE,
        outcome=outcomes.unresolved(attempt, at=now_ms(), waba_id=waba_id),
    )


class Recorder:
    """Takes findings from calls as they end. Nothing a call proved is dropped while Postgres is away."""

    def __init__(self, store: Store, *, abandon: asyncio.Event, told: asyncio.Event) -> None:
        self._store, self._abandon, self._told = store, abandon, told
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
        while True:
            await self._some.wait()
            findings, waiters = self._pending[:_BATCH], self._waiters[:_BATCH]
            del self._pending[:_BATCH], self._waiters[:_BATCH]
            if not self._pending:
                self._some.clear()
            await self.write(findings)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def write(self, findings: Sequence[Finding]) -> None:
        """One transaction: attempts, commands and outbox."""
        if not findings:
            return
        fault("sender.before_outcome_commit")
        changed = await postgres.retrying(lambda: self._store.record(findings), service="sender", stopping=self._abandon)
        if changed is None:
            return
        fault("sender.after_outcome_commit")
        self._told.set()
        for finding in findings:
            if finding.attempt.command_id in changed and finding.outcome is not None:
                metrics.SEND_OUTCOMES.labels(finding.outcome.kind, finding.outcome.reason or "").inc()
        if len(changed) < len(findings):
            await self._explain([finding for finding in findings if finding.attempt.command_id not in changed])

    async def _explain(self, unchanged: Sequence[Finding]) -> None:
        """An outcome that found no open attempt: fine when evidence was faster, else the ledger is not what we think it is."""
        attempts = [finding.attempt for finding in unchanged]
        ended = await postgres.retrying(lambda: self._store.ended(attempts), service="sender", stopping=self._abandon)
        for finding in unchanged:
            was_given_up = finding.attempt_outcome in ("retry", "not_sent", "unknown", "unresolved")
            if ended is not None and finding.attempt.command_id not in ended and not was_given_up:
                log.critical("send.outcome_without_attempt", command_id=finding.attempt.command_id)
