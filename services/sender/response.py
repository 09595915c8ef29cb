"""What did an exchange with Meta prove? Pure: the one table from HTTP status and body to what the sender must do.

Meta's error codes decide, never the HTTP status alone: the same code comes with 400, 429 or 500. What is not on the table is
`unknown`, because a message that may have been accepted is never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

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


class Scope(StrEnum):
    """What has to wait before the next try."""

    COMMAND = "command"
    PAIR = "pair"
    NUMBER = "number"
    TOKEN = "token"  # noqa: S105 - a scope, not a secret
    """The number, until somebody mends its token or permissions; one probe at a time."""


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
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Wait:
    """A code that passes by itself: what waits and how long. `doubles`: longer with every attempt."""

    scope: Scope
    seconds: float
    growth: float = 1.0


PROBE_SECONDS: Final = 30.0
_LONGEST_SECONDS: Final = 3600.0

_WAIT: Final[dict[int, _Wait]] = {
    # the number's throughput, the pair's, the app's, the account's, Graph's own
    130429: _Wait(Scope.NUMBER, 1.0),
    131056: _Wait(Scope.PAIR, 1.0, growth=4.0),
    4: _Wait(Scope.NUMBER, 30.0),
    17: _Wait(Scope.NUMBER, 30.0),
    32: _Wait(Scope.NUMBER, 30.0),
    613: _Wait(Scope.NUMBER, 30.0),
    80007: _Wait(Scope.NUMBER, 30.0),
    # the number is being upgraded, registered or was limited for a while
    131057: _Wait(Scope.NUMBER, 60.0),
    133016: _Wait(Scope.NUMBER, 3600.0),
    133000: _Wait(Scope.NUMBER, 60.0),
    133015: _Wait(Scope.NUMBER, 300.0),
    131064: _Wait(Scope.NUMBER, 3600.0),
    # Meta could not do it just now, and says so
    133004: _Wait(Scope.COMMAND, 2.0, growth=2.0),
    132069: _Wait(Scope.COMMAND, 600.0),
    134101: _Wait(Scope.COMMAND, 600.0),
    # a link or a media server was slow
    131052: _Wait(Scope.COMMAND, 5.0, growth=2.0),
    131053: _Wait(Scope.COMMAND, 5.0, growth=2.0),
    # token and permissions: stop the number, keep its commands
    0: _Wait(Scope.TOKEN, PROBE_SECONDS),
    3: _Wait(Scope.TOKEN, PROBE_SECONDS),
    10: _Wait(Scope.TOKEN, PROBE_SECONDS),
    190: _Wait(Scope.TOKEN, PROBE_SECONDS),
    131005: _Wait(Scope.TOKEN, PROBE_SECONDS),
    **{code: _Wait(Scope.TOKEN, PROBE_SECONDS) for code in range(200, 300)},
}

# Retried only when Meta answers 503 with them; with any other status nobody knows whether the message was taken.
_WAIT_WITH_503: Final = frozenset({2, 131016})

_FINAL: Final = frozenset(
    {
        # policy, integrity, account and number: nothing that a retry of this command mends
        368, 130403, 130472, 130497, 131031, 131037, 131042, 131044, 131045, 131047, 131048, 131049, 131050, 133010,
        470, 134011, 137000,
        # the caller's or our own fault
        33, 100, 104, 131001, 131002, 131006, 131008, 131009, 131014, 131021, 131026, 131030, 131035, 131036, 131043,
        131051, 131055, 131059, 131061, 131062, 131063, 139200, 1752041,
        # templates
        132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068, 134100, 134102, 134103,
        # registration and verification calls, should they ever answer a message
        133005, 133006, 133008, 133009, 136024, 136025, 80008,
        # groups
        131020, 131041, 131202, 131203, 131204, 131207, 131209, 131210, 131211, 131212, 131213, 131214, 131215,
    }
)  # fmt: skip

# Known to come for messages that were accepted, or not telling either way.
UNDECIDED: Final = frozenset({1, 2, 131000, 131016, 131201, 135000})


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


def classify(status: int, payload: bytes, *, attempt_no: int) -> Result:
    """What a complete HTTP answer proves."""
    document = _document(payload)
    if status == 200:
        return _accepted(document)
    code = _error_code(document)
    if code is None:
        return Result(proof=Proof.UNKNOWN, reason=Reason.UNREADABLE_ANSWER, detail=f"HTTP {status} without an error of Graph")
    if status < 400:
        return Result(proof=Proof.UNKNOWN, reason=Reason.UNREADABLE_ANSWER, detail=f"HTTP {status}", error_code=code)
    return _refused(status, code, attempt_no)


def _refused(status: int, code: int, attempt_no: int) -> Result:
    wait = _WAIT.get(code)
    if wait is None and code in _WAIT_WITH_503 and status == 503:
        wait = _Wait(Scope.COMMAND, 2.0, growth=2.0)
    if wait is not None:
        seconds = min(_LONGEST_SECONDS, wait.seconds * wait.growth ** min(attempt_no, 10))
        reason = Reason.ACCESS_TOKEN if wait.scope is Scope.TOKEN else Reason.THROTTLED
        return Result(proof=Proof.RETRY, reason=reason, error_code=code, scope=wait.scope, wait_seconds=seconds)
    if code in _FINAL:
        return Result(proof=Proof.REJECTED, reason=Reason.REJECTED_BY_META, error_code=code)
    return Result(proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER, detail=f"HTTP {status}", error_code=code)


def _accepted(document: Any) -> Result:
    """200 is an acceptance even when its id cannot be read; then only the status webhook can tell it."""
    message, contact = _first(document, "messages"), _first(document, "contacts")
    wamid = _text(message, "id")
    if wamid is None:
        return Result(proof=Proof.UNKNOWN, reason=Reason.UNREADABLE_ANSWER, detail="HTTP 200 without a message id")
    return Result(proof=Proof.ACCEPTED, wamid=wamid, wa_id=_text(contact, "wa_id"), bsuid=_text(contact, "user_id"))


def _document(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None


def _error_code(document: Any) -> int | None:
    error = document.get("error") if isinstance(document, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) and -(2**31) <= code < 2**31 else None


def _first(document: Any, name: str) -> Any:
    items = document.get(name) if isinstance(document, dict) else None
    return items[0] if isinstance(items, list) and items else None


def _text(item: Any, name: str) -> str | None:
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) and value else None
