"""What did an exchange with Meta prove? Pure: from HTTP status and body to what the sender must do.

Meta's error codes decide, never the HTTP status alone: the same code comes with 400, 429 or 500. What is not in the table
`graph_codes` is `unknown`, because a message that may have been accepted is never sent again.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, assert_never

import orjson

from services.common.domain import graph_codes
from services.common.domain.covers import Covers
from services.common.domain.graph_codes import Row, Scope, Verdict
from services.common.domain.reasons import Reason


class Proof(StrEnum):
    """What is known about one attempt after it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """Meta said no, for ever."""
    RETRY = "retry"
    """Meta said no, for now."""
    NOT_SENT = "not_sent"
    """No byte was given to the socket."""
    UNKNOWN = "unknown"
    """Meta may have accepted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one exchange proved. `wait_seconds` and `scope` belong to RETRY and NOT_SENT."""

    proof: Proof
    reason: Reason | None = None
    detail: str | None = None
    error_code: int | None = None
    wamid: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    scope: Scope = Scope.COMMAND
    covers: Covers | None = None
    """What is stopped until Meta takes some of it again, if anything is."""
    wait_seconds: float = 0.0
    trace_id: str | None = None
    """Meta's own name of a refusal."""


_LONGEST_SECONDS: Final = 3600.0
_TRACE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def not_sent(detail: str, *, attempt_no: int) -> Result:
    """No byte left us: wait a little longer each time, at most half a minute."""
    wait = min(30.0, 0.25 * 2.0 ** min(attempt_no, 8))
    return Result(proof=Proof.NOT_SENT, reason=Reason.NOT_SENT, detail=detail, wait_seconds=wait)


def late() -> Result:
    """The attempt was started too long ago to be written: nothing is wrong, try at once."""
    return Result(proof=Proof.NOT_SENT, reason=Reason.NOT_SENT, detail="started too long ago")


def no_answer(detail: str) -> Result:
    """Bytes left us and no complete answer came back."""
    return Result(proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER, detail=detail)


def repeated(result: Result, *, attempt_no: int) -> Result:
    """Of a call that does the same when it is made twice: without an answer it is made again, a little later each time."""
    if result.proof is not Proof.UNKNOWN:
        return result
    return dataclasses.replace(result, proof=Proof.RETRY, wait_seconds=min(_LONGEST_SECONDS, 2.0 ** min(attempt_no, 10)))


def classify(status: int, payload: bytes, *, attempt_no: int, is_message: bool = True) -> Result:
    """What a complete HTTP answer proves. What is no message is accepted without an id."""
    document = document_of(payload)
    if status == 200 and not is_message and document.get("success") is True:
        return Result(proof=Proof.ACCEPTED)
    if status == 200:
        return _accepted(document)
    error = document.get("error")
    code, trace_id = graph_codes.code_of(error), _trace_id(error)
    if code is None:
        detail = f"HTTP {status} without an error of Graph"
        return Result(proof=Proof.UNKNOWN, reason=Reason.UNREADABLE_ANSWER, detail=detail, trace_id=trace_id)
    if status < 400:
        detail = f"HTTP {status}"
        return Result(proof=Proof.UNKNOWN, reason=Reason.UNREADABLE_ANSWER, detail=detail, error_code=code, trace_id=trace_id)
    return _refused(status, code, trace_id, attempt_no)


def _refused(status: int, code: int, trace_id: str | None, attempt_no: int) -> Result:
    row = graph_codes.row_of(code)
    match _proof(row, status):
        case Proof.RETRY:
            return Result(
                proof=Proof.RETRY,
                reason=row.reason,
                detail=row.told,
                error_code=code,
                scope=row.scope,
                covers=row.covers,
                wait_seconds=min(_LONGEST_SECONDS, row.wait_seconds * row.growth ** min(attempt_no, 10)),
                trace_id=trace_id,
            )
        case Proof.REJECTED:
            return Result(proof=Proof.REJECTED, reason=row.reason, detail=row.told, error_code=code, trace_id=trace_id)
    detail = f"HTTP {status}. {row.told}"
    return Result(proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER, detail=detail, error_code=code, trace_id=trace_id)


def _proof(row: Row, status: int) -> Proof:
    match row.verdict:
        case Verdict.RETRY:
            return Proof.RETRY
        case Verdict.RETRY_WITH_503:
            return Proof.RETRY if status == 503 else Proof.UNKNOWN
        case Verdict.FINAL:
            return Proof.REJECTED
        case Verdict.UNKNOWN:
            return Proof.UNKNOWN
    assert_never(row.verdict)


def _accepted(document: dict[str, Any]) -> Result:
    """200 is an acceptance even when its id cannot be read; then only the status webhook can tell it."""
    message, contact = _first(document, "messages"), _first(document, "contacts")
    wamid = _text(message, "id")
    if wamid is None:
        return Result(proof=Proof.UNKNOWN, reason=Reason.ID_UNREADABLE, detail="HTTP 200 without a message id")
    return Result(proof=Proof.ACCEPTED, wamid=wamid, wa_id=_text(contact, "wa_id"), bsuid=_text(contact, "user_id"))


def document_of(payload: bytes) -> dict[str, Any]:
    """The object that an answer of Graph is; an empty one where it is none."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _trace_id(error: object) -> str | None:
    """What Meta's support asks for. Only what looks like one: nothing else of an answer is kept."""
    trace_id = error.get("fbtrace_id") if isinstance(error, dict) else None
    return trace_id if isinstance(trace_id, str) and _TRACE_ID.fullmatch(trace_id) else None


def _first(document: dict[str, Any], name: str) -> Any:
    items = document.get(name)
    return items[0] if isinstance(items, list) and items else None


def _text(item: Any, name: str) -> str | None:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) and value else None
