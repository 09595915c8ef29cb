"""How is the log told what became of a command? Pure: builds `SendOutcome` records with ids that never change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.common.domain import ids, recipients
from services.common.domain.lanes import LANES
from services.common.domain.reasons import Reason
from services.common.domain.records import SendOutcome
from services.sender import request
from services.sender.commands import TakenIn
from services.sender.content.json import parsed
from services.sender.options import NONE, Options
from services.sender.response import Proof, Result

KIND_OF_PROOF: Final = {Proof.ACCEPTED: "accepted", Proof.REJECTED: "rejected", Proof.UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt whose STARTED row is committed. `attempt_no` 0 stands for a command that was never tried."""

    command_id: str
    attempt_no: int
    attempt_id: str | None
    phone_number_id: str
    lane: int
    message_type: str
    content: str
    to: str | None
    bsuid: str | None
    shard: int
    options: Options = NONE


def of_result(attempt: Attempt, result: Result, *, at: int, waba_id: str | None, source: str = "response") -> SendOutcome | None:
    """The outcome that a result is; None while the command goes on."""
    kind = KIND_OF_PROOF.get(result.proof)
    if kind is None:
        return None
    return _outcome(
        attempt,
        kind=kind,
        at=at,
        waba_id=waba_id,
        reason=result.reason,
        detail=result.detail,
        error_code=result.error_code,
        trace_id=result.trace_id,
        wamid=result.wamid,
        wa_id=result.wa_id,
        bsuid=result.bsuid,
        source=source,
    )


def unresolved(attempt: Attempt, *, at: int, waba_id: str | None) -> SendOutcome:
    """No evidence came in time. A later status webhook still turns it into accepted."""
    return _outcome(attempt, kind="unresolved", at=at, waba_id=waba_id, reason=Reason.NO_EVIDENCE)


def refused(attempt: Attempt, reason: Reason, detail: str | None, *, at: int, waba_id: str | None) -> SendOutcome:
    """Our gate said no."""
    return _outcome(attempt, kind="refused", at=at, waba_id=waba_id, reason=reason, detail=detail)


def conflict(taken: TakenIn, *, at: int) -> SendOutcome:
    """Another command has this id. The event has an id of its own, so that it never stands for the first command's outcome."""
    message = taken.message
    attempt = Attempt(
        command_id=message.command_id,
        attempt_no=0,
        attempt_id=None,
        phone_number_id=message.phone_number_id,
        lane=LANES.index(taken.lane),
        message_type=message.type,
        content=message.content,
        to=message.to,
        bsuid=message.recipient,
        shard=taken.shard,
        options=taken.options,
    )
    event_id = ids.outcome_event_id(message.command_id, 0, f"conflict/{taken.fingerprint.hex()}")
    return _outcome(attempt, kind="refused", at=at, waba_id=None, reason=Reason.IDEMPOTENCY_CONFLICT, event_id=event_id)


def _outcome(
    attempt: Attempt,
    *,
    kind: str,
    at: int,
    waba_id: str | None,
    reason: Reason | None = None,
    detail: str | None = None,
    error_code: int | None = None,
    trace_id: str | None = None,
    wamid: str | None = None,
    wa_id: str | None = None,
    bsuid: str | None = None,
    source: str = "response",
    event_id: str | None = None,
) -> SendOutcome:
    group_id = attempt.options.group_id
    if group_id is not None:
        wa_id = bsuid = None  # Meta answers with the group's id where a person's would be
    known_as = recipients.parse(to=attempt.to, bsuid=attempt.bsuid, group_id=group_id)
    digits = wa_id or (known_as.digits if known_as is not None else None)
    return SendOutcome(
        event_id=event_id or ids.outcome_event_id(attempt.command_id, attempt.attempt_no, kind),
        occurred_at=at,
        command_id=attempt.command_id,
        attempt_no=attempt.attempt_no,
        phone_number_id=attempt.phone_number_id,
        kind=kind,
        lane=LANES[attempt.lane],
        type=attempt.message_type,
        waba_id=waba_id,
        attempt_id=attempt.attempt_id,
        contact=None if group_id is not None else ids.contact_key(bsuid=bsuid or attempt.bsuid, wa_id=digits),
        to=attempt.to,
        wa_id=wa_id,
        bsuid=bsuid or attempt.bsuid,
        wamid=wamid,
        template_name=request.template_name(attempt.message_type, parsed(attempt.content)),
        reason=reason,
        detail=detail,
        error_code=error_code,
        source=source,
        trace_id=trace_id,
        group_id=group_id,
        biz_opaque_callback_data=attempt.options.biz_opaque_callback_data,
    )
