"""How is the log told what became of a command? Pure: builds `SendOutcome` records with ids that never change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.common.domain import ids, recipients
from services.common.domain.graph_codes import CODES, Verdict
from services.common.domain.lanes import LANES
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient
from services.common.domain.records import SendOutcome
from services.sender import request
from services.sender.commands import TakenIn
from services.sender.content.json import parsed
from services.sender.options import NONE, Options
from services.sender.response import Proof, Result

_EARLIER: Final = "Meta may have an earlier attempt. The last one: {}"
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
    period: int = 0
    """Of the ledger: where the command's rows are."""
    possible_duplicate: bool = False
    """Meta may have an earlier attempt of the command."""
    deferred: frozenset[str] = frozenset()
    """Causes of waiting that the log was told of this command."""

    @property
    def recipient(self) -> Recipient | None:
        """Whom it goes to; None when what the command names is nobody."""
        return recipients.parse(to=self.to, bsuid=self.bsuid, group_id=self.options.group_id)

    @property
    def pair(self) -> str:
        """Its recipient as order and limits know it."""
        return recipients.pair_of(to=self.to, bsuid=self.bsuid, group_id=self.options.group_id)


def of_result(attempt: Attempt, result: Result, *, at: int, waba_id: str | None, source: str = "response") -> SendOutcome | None:
    """The outcome that a result is; None while the command goes on and there is nothing new to tell."""
    if result.proof is Proof.RETRY and result.reason is not None:
        wait_seconds = result.wait_seconds if result.covers is None else None
        return deferred(attempt, result.reason, at=at, wait_seconds=wait_seconds, waba_id=waba_id, of=result)
    kind = KIND_OF_PROOF.get(result.proof)
    if kind is None:
        return None
    if kind == "rejected" and attempt.possible_duplicate:
        return unresolved(attempt, at=at, waba_id=waba_id, of=result)
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


def unresolved(
    attempt: Attempt, *, at: int, waba_id: str | None, detail: str | None = None, of: Result | None = None
) -> SendOutcome:
    """No evidence came in time. A later status webhook still turns it into accepted. `of`: Meta said no to a later attempt."""
    return _outcome(
        attempt,
        kind="unresolved",
        at=at,
        waba_id=waba_id,
        reason=Reason.NO_EVIDENCE,
        detail=detail if of is None else _EARLIER.format(of.detail or of.reason),
        error_code=None if of is None else of.error_code,
        trace_id=None if of is None else of.trace_id,
    )


def resent(attempt: Attempt, *, at: int, waba_id: str | None, resend_id: int | None = None) -> SendOutcome:
    """It is sent once more: by its policy, or because an operator wants it (`resend_id`)."""
    kind = "resent"
    by = "" if resend_id is None else f"/operator/{resend_id}"
    return _outcome(
        attempt,
        kind=kind,
        at=at,
        waba_id=waba_id,
        reason=Reason.NO_EVIDENCE if resend_id is None else Reason.OPERATOR,
        event_id=ids.outcome_event_id(attempt.command_id, attempt.attempt_no, f"{kind}{by}"),
    )


def refused(attempt: Attempt, reason: Reason, detail: str | None, *, at: int, waba_id: str | None) -> SendOutcome:
    """Our gate said no. Where Meta may have an earlier attempt that is no refusal: nobody knows what became of the command."""
    if attempt.possible_duplicate:
        return unresolved(attempt, at=at, waba_id=waba_id, detail=_EARLIER.format(detail or reason))
    return _outcome(attempt, kind="refused", at=at, waba_id=waba_id, reason=reason, detail=detail)


def expired(attempt: Attempt, detail: str | None, *, at: int, waba_id: str | None) -> SendOutcome:
    """Its time was over before it could be sent. Where Meta may have an earlier attempt it is unresolved, as above."""
    if attempt.possible_duplicate:
        return unresolved(attempt, at=at, waba_id=waba_id, detail=_EARLIER.format(Reason.EXPIRED))
    return _outcome(attempt, kind="expired", at=at, waba_id=waba_id, reason=Reason.EXPIRED, detail=detail)


def deferred(
    attempt: Attempt, reason: Reason, *, at: int, wait_seconds: float | None, waba_id: str | None, of: Result | None = None
) -> SendOutcome | None:
    """It waits, and not less than so long (None: nobody knows); None when the log was told of this cause before."""
    if reason in attempt.deferred:
        return None
    kind = "deferred"
    return _outcome(
        attempt,
        kind=kind,
        at=at,
        waba_id=waba_id,
        reason=reason,
        detail=None if of is None else of.detail,
        error_code=None if of is None else of.error_code,
        trace_id=None if of is None else of.trace_id,
        not_before_at=None if wait_seconds is None else at + int(wait_seconds * 1000),
        event_id=ids.outcome_event_id(attempt.command_id, attempt.attempt_no, f"{kind}/{reason}"),
    )


def late_failure(attempt: Attempt, wamid: str, error_code: int | None, *, at: int, waba_id: str | None) -> SendOutcome:
    """Meta took it, and told later that it did not deliver it."""
    kind = "late_failure"
    row = None if error_code is None else CODES.get(error_code)
    is_known = row is not None and row.verdict is not Verdict.UNKNOWN
    return _outcome(
        attempt,
        kind=kind,
        at=at,
        waba_id=waba_id,
        reason=row.reason if row is not None and is_known else Reason.UNDELIVERABLE,
        # What is told of a refusal for now says that it is sent later; this one is not.
        detail=row.told if row is not None and row.verdict is Verdict.FINAL else None,
        error_code=error_code,
        wamid=wamid,
        source="webhook",
        event_id=ids.outcome_event_id(attempt.command_id, attempt.attempt_no, f"{kind}/{error_code}"),
    )


def duplicate_confirmed(attempt: Attempt, wamid: str | None, *, at: int, waba_id: str | None, source: str) -> SendOutcome:
    """Meta accepted this attempt, and another one of the command."""
    kind, reason = "duplicate_confirmed", Reason.ACCEPTED_TWICE
    return _outcome(attempt, kind=kind, at=at, waba_id=waba_id, reason=reason, wamid=wamid, source=source)


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
    not_before_at: int | None = None,
    event_id: str | None = None,
) -> SendOutcome:
    group_id = attempt.options.group_id
    if group_id is not None:
        wa_id = bsuid = None  # Meta answers with the group's id where a person's would be
    known_as = attempt.recipient
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
        not_before_at=not_before_at,
        possible_duplicate=True if attempt.possible_duplicate else None,
        group_id=group_id,
        biz_opaque_callback_data=attempt.options.biz_opaque_callback_data,
    )
