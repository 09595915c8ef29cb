"""What happened to one command, in which order, and what happens next? Pure: rows of the ledger in, sentences out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any, Final, NamedTuple

from services.cli import show
from services.cli.overview import State
from services.common.domain import ids, status
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.resending import RESEND_ONCE
from services.common.domain.status import DeliveryStatus

_KINDS: Final = ("accepted", "refused", "rejected", "expired", "unknown", "unresolved", "resent", "duplicate_confirmed")
"""What the log is told of an attempt once."""
_WITH_CAUSE: Final = ("deferred",)
"""What it is told once for each cause."""
_RESENT: Final = {None: "; the sender has not come to it yet", True: "", False: "; it had gone on by itself"}
_MESSAGE: Final = "message"
"""The type of a status that is about the message itself, not about a payment in it."""
_KNOWN_STATUSES: Final = frozenset(DeliveryStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as the ledger has it, without whom it is for and what it says.

    `earlier`: commands to the same recipient that go first. `paused_until_at`: when stops of its number
    or account that may hold it are looked at again, where there are any.
    """

    command_id: str
    phone_number_id: str
    lane: Lane
    type: str
    state: State
    reason: str | None
    error_code: int | None
    wamid: str | None
    attempts: int
    has_outcome: bool
    policy: str
    possible_duplicate: bool
    is_duplicate: bool
    appended_at: int
    received_at: int
    expires_at: int
    next_action_at: int
    updated_at: int
    paused_until_at: int | None
    earlier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A call to Meta. Without an outcome it may be under way."""

    attempt_no: int
    attempt_id: str
    started_at: int
    finished_at: int | None
    outcome: str | None
    reason: str | None
    error_code: int | None
    wamid: str | None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Somebody wanted it sent again. `is_sent` is None until the sender has come to it."""

    asked_at: int
    asked_by: str
    why: str
    is_sent: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a webhook told: `occurred_at` by Meta's clock, in whole seconds; `recorded_at` is when we had it."""

    status: str
    type: str
    wamid: str
    attempt_id: str | None
    error_code: int | None
    occurred_at: int
    recorded_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """An outcome that the log has not acknowledged."""

    kind: str
    attempt_no: int
    occurred_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All of it, as of one moment."""

    command: Command
    attempts: tuple[Attempt, ...] = ()
    statuses: tuple[Status, ...] = ()
    outbox: tuple[Untold, ...] = ()
    resends: tuple[Resend, ...] = ()


class Line(NamedTuple):
    """Something that happened."""

    at: int
    text: str


def outcome_ids(command_id: str, attempts: int) -> dict[str, tuple[int, str]]:
    """Event id -> attempt and kind, of every outcome that a command with so many attempts can have had."""
    told = [(kind, kind) for kind in _KINDS] + [(f"{kind}/{reason}", kind) for kind in _WITH_CAUSE for reason in Reason]
    return {ids.outcome_event_id(command_id, no, name): (no, kind) for no in range(attempts + 1) for name, kind in told}


def with_short_wamids(story: Story) -> Story:
    """Meta's message ids hold the recipient's number: only their ends stay."""
    return replace(
        story,
        command=replace(story.command, wamid=_short(story.command.wamid)),
        attempts=tuple(replace(one, wamid=_short(one.wamid)) for one in story.attempts),
        statuses=tuple(replace(one, wamid=show.short_wamid(one.wamid)) for one in story.statuses),
    )


def lines(story: Story) -> list[Line]:
    """In order of time. A status stands where we heard of it: Meta's seconds would put it before the call that caused it."""
    command = story.command
    told = [Line(command.appended_at, "put into its lane"), Line(command.received_at, "taken in by the sender")]
    for attempt in story.attempts:
        told.append(Line(attempt.started_at, f"attempt {attempt.attempt_no} started, id {attempt.attempt_id}"))
        if attempt.finished_at is not None:
            why = _why(attempt.reason, attempt.error_code, attempt.wamid, attempt.trace_id)
            told.append(Line(attempt.finished_at, f"attempt {attempt.attempt_no} {attempt.outcome}{why}"))
    if command.state in (State.REFUSED, State.EXPIRED):
        told.append(Line(command.updated_at, f"{command.state}{_why(command.reason)}"))
    told += [Line(one.asked_at, f"{one.asked_by} wanted it sent again: {one.why}{_RESENT[one.is_sent]}") for one in story.resends]
    told += [Line(one.recorded_at, _heard(one, story)) for one in story.statuses]
    told += [Line(one.occurred_at, _written(one)) for one in story.outbox]
    return sorted(told, key=lambda one: one.at)  # stable: at the same instant, as it is told above


def rows(told: list[Line]) -> list[tuple[str, ...]]:
    """Time, time since the line before, and what happened."""
    gaps = ["", *(f"+{show.span(after.at - before.at)}" for before, after in pairwise(told))]
    return [(show.instant(one.at), gap, one.text) for one, gap in zip(told, gaps, strict=True)]


def standing(story: Story, *, now: int) -> str:
    """The state it is in, and what happens next."""
    said = f"{story.command.state}: {_NEXT[story.command.state](story, now)}."
    if story.command.is_duplicate:
        said += " Meta accepted more than one attempt of it."
    if story.outbox:
        return f"{said} The log does not have its outcome yet: that waits in the outbox."
    return f"{said} The log has its outcome." if story.command.has_outcome else said


def as_object(story: Story, *, now: int) -> dict[str, Any]:
    """Everything for programs."""
    return {**asdict(story), "standing": standing(story, now=now)}


def _queued(story: Story, now: int) -> str:
    command = story.command
    if command.expires_at <= now:
        return f"its time was over at {show.instant(command.expires_at)}; at the next look it expires"
    return f"{_held_up(command, now)}; it may be sent until {show.instant(command.expires_at)}"


def _held_up(command: Command, now: int) -> str:
    if command.paused_until_at is not None:
        probe = f"at {show.instant(command.paused_until_at)}" if command.paused_until_at > now else "now"
        return f"Meta refused the token or the account of its number, which is tried again {probe}; all its commands are kept"
    if command.earlier:
        return f"earlier commands to the same recipient go first ({command.earlier})"
    if command.next_action_at > now:
        return f"the sender looks at it again at {show.instant(command.next_action_at)}"
    return f"it is due since {show.instant(command.next_action_at)} and goes when a sender runs and the number's limit allows"


def _put_off(story: Story, now: int) -> str:
    command = story.command
    return f"attempt {command.attempts} came to nothing{_why(command.reason, command.error_code)}; {_queued(story, now)}"


def _started(story: Story, now: int) -> str:
    since = f" since {show.span(max(0, now - story.attempts[-1].started_at))}" if story.attempts else ""
    return (
        f"the call to Meta is under way{since}; without an answer, or when its sender is gone, it becomes unknown, "
        "and it is never sent again blindly"
    )


def _accepted(story: Story, _: int) -> str:
    reports = [
        status.report(DeliveryStatus(one.status), at=one.occurred_at, code=one.error_code)
        for one in story.statuses
        if one.type == _MESSAGE and one.status in _KNOWN_STATUSES
    ]
    if not reports:
        return "Meta has it; no status webhook has come yet, and nothing is left to do but to wait for one"
    delivery = reduce(status.merge, reports)
    reached = status.current(delivery)
    if reached is DeliveryStatus.FAILED:
        return f"Meta took it and could not deliver it{_why(None, delivery.failed_code)}; it is not sent again"
    return f"Meta has it, and the last news of it is {reached}; nothing is left to do"


def _refused(story: Story, _: int) -> str:
    return f"our gate said no{_why(story.command.reason)}; it is never sent, and another try needs another command id"


def _expired(story: Story, _: int) -> str:
    until = show.instant(story.command.expires_at)
    return f"its time was over at {until}, before it could be sent; it is not sent any more, unless by parley resend"


def _rejected(story: Story, _: int) -> str:
    why = _why(story.command.reason, story.command.error_code)
    return f"Meta said no for good{why}; it is not sent again, and another try needs another command id or parley resend"


def _unknown(story: Story, now: int) -> str:
    if _is_proved(story):
        return "Meta has it, as a status webhook proves; at its next look the sender makes it accepted"
    until = show.instant(story.command.next_action_at)
    then = "reported as unresolved"
    if story.command.policy == RESEND_ONCE and not story.command.possible_duplicate:
        then += ", or sent once more where its tenant wants that"
    if story.command.next_action_at <= now:
        return f"Meta may have it; the wait for a status webhook ended at {until}, so it is about to be {then}"
    return f"Meta may have it; waits for a status webhook until {until}, then is {then}"


def _unresolved(story: Story, _: int) -> str:
    if _is_proved(story):
        return "it was given up, but a status webhook proves that Meta has it; at its next look the sender makes it accepted"
    return (
        "no status webhook came in time, so probably Meta does not have it; it is not sent again by itself, its producer decides "
        "or an operator (parley resend), and a late status webhook still makes it accepted"
    )


def _is_proved(story: Story) -> bool:
    """The sender's own rule: a status of the message itself that carries the id of an attempt."""
    own = {one.attempt_id for one in story.attempts}
    return any(one.attempt_id in own and one.type == _MESSAGE for one in story.statuses)


def _heard(one: Status, story: Story) -> str:
    attempt = next((a.attempt_no for a in story.attempts if a.attempt_id == one.attempt_id), None)
    what = one.status if one.type == _MESSAGE else f"{one.type} {one.status}"
    of = "" if attempt is None else f" of attempt {attempt}"
    return f"Meta told {what}{of}{_why(None, one.error_code, one.wamid)}, by its clock {show.instant(one.occurred_at)}"


def _written(one: Untold) -> str:
    """A refusal is of no attempt, whatever was tried before it."""
    of = "" if one.kind in (State.REFUSED, State.EXPIRED) else f" of attempt {one.attempt_no}"
    return f'outcome "{one.kind}"{of} written, still in the outbox'


def _why(reason: str | None, error_code: int | None = None, wamid: str | None = None, trace_id: str | None = None) -> str:
    said = [
        reason,
        None if error_code is None else f"error {error_code}",
        wamid,
        None if trace_id is None else f"trace {trace_id}",
    ]
    known = [one for one in said if one]
    return f" ({', '.join(known)})" if known else ""


def _short(wamid: str | None) -> str | None:
    return None if wamid is None else show.short_wamid(wamid)


_NEXT: Final[dict[State, Callable[[Story, int], str]]] = {
    State.WAITING: _queued,
    State.RETRY: _put_off,
    State.STARTED: _started,
    State.ACCEPTED: _accepted,
    State.REFUSED: _refused,
    State.REJECTED: _rejected,
    State.EXPIRED: _expired,
    State.UNKNOWN: _unknown,
    State.UNRESOLVED: _unresolved,
}
