"""What does a result, or the lack of one, mean for its attempt, its command and the log? Pure: only these say so.

The rule behind all of them: a command is told as failed only when every attempt of it is known not to be accepted. While one may
have reached Meta, it ends as accepted or as unresolved.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.common.domain.resending import Lost, is_sent_once_more
from services.sender import outcomes
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result

_STATE: Final = {
    Proof.ACCEPTED: "accepted",
    Proof.REJECTED: "rejected",
    Proof.RETRY: "retry",
    Proof.NOT_SENT: "retry",
    Proof.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to be recorded of an attempt. `deferral`: the cause of waiting that its outcome tells, if it does."""

    attempt: Attempt
    attempt_outcome: str
    command_state: str
    wait_seconds: float = 0.0
    reason: str | None = None
    error_code: int | None = None
    trace_id: str | None = None
    wamid: str | None = None
    possible_duplicate: bool = False
    deferral: str | None = None
    outcome: SendOutcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A status webhook that names an attempt: the id Meta gave the message, and what was thought of the attempt until now."""

    outcome: str
    error_code: int | None
    wamid: str

    @property
    def is_contradiction(self) -> bool:
        """True when the attempt was taken for not accepted, so that nobody would have looked for it."""
        return self.outcome not in ("unknown", "unresolved")


def finding_of(
    attempt: Attempt, result: Result, *, at: int, waba_id: str | None, horizon_seconds: float, source: str = "response"
) -> Finding:
    """Of a result. An unknown one waits for evidence, never for a retry."""
    outcome = outcomes.of_result(attempt, result, at=at, waba_id=waba_id, source=source)
    is_last_word = result.proof is not Proof.REJECTED or not attempt.possible_duplicate
    return Finding(
        attempt=attempt,
        attempt_outcome=result.proof,
        command_state=_STATE[result.proof] if is_last_word else "unresolved",
        wait_seconds=_wait(result, horizon_seconds),
        reason=result.reason,
        error_code=result.error_code,
        trace_id=result.trace_id,
        wamid=result.wamid,
        deferral=outcome.reason if outcome is not None and outcome.kind == "deferred" else None,
        outcome=outcome,
    )


def _wait(result: Result, horizon_seconds: float) -> float:
    """What a stop covers waits for its end, which may come before the next probe: the gate holds it, not its own back-off."""
    if result.proof is Proof.UNKNOWN:
        return horizon_seconds
    return 0.0 if result.covers is not None else result.wait_seconds


def finding_of_overdue(attempt: Attempt, lost: Lost, *, at: int, waba_id: str | None) -> Finding:
    """No evidence came in time: sent once more where that is wanted, else told so and never again. Late evidence settles both."""
    is_resent = is_sent_once_more(lost, now=at)
    doubtful = dataclasses.replace(attempt, possible_duplicate=attempt.possible_duplicate or is_resent)
    tell = outcomes.resent if is_resent else outcomes.unresolved
    return Finding(
        attempt=attempt,
        attempt_outcome="unresolved",
        command_state="retry" if is_resent else "unresolved",
        reason=Reason.NO_EVIDENCE,
        possible_duplicate=is_resent,
        outcome=tell(doubtful, at=at, waba_id=waba_id),
    )
