"""May this command go to Meta now? The gate; the only place that answers.

The order of the checks is a promise: a command that breaks several rules is always refused for the same one. It is asked again
for every attempt, with facts read in the transaction that records the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from services.common.domain import account_state, window
from services.common.domain.account_state import Key, Standing
from services.common.domain.consent import ConsentCategory, ConsentReason, ConsentState
from services.common.domain.consent import decide as decide_consent
from services.common.domain.covers import Covers, Sent, area_of
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient, phone_digits

CATEGORY_OF_LANE: Final = {
    Lane.OTP: ConsentCategory.AUTHENTICATION,
    Lane.TRANSACTIONAL: ConsentCategory.UTILITY,
    Lane.BULK: ConsentCategory.MARKETING,
}
"""What a lane is for. The category a template has at Meta is not known here; the lane the producer chose stands for it."""

READ: Final = "read"
"""A call and no message: a customer's message is marked as read. It has no recipient, needs no window, and may be repeated."""

NumberState = Literal["active", "paused", "disabled"]
"""Of a paused number nothing is refused for it: its commands wait, and expire in time."""
_FREE: Final = Standing()
LONGEST_LIFETIME_SECONDS: Final = 30 * 86_400.0
"""As long as a `command_id` is remembered: a command never outlives its idempotency key, nor is it written that long ahead."""
LATE_SCHEDULE_SECONDS: Final = 300.0
"""A time of sending that was over for longer when the command was written is a mistake, not a hurry."""
PROJECTION_LAG_SECONDS: Final = 5.0
"""How long a refusal may wait for read models that are behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Never send it."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What of a command the gate looks at. Reading it found `recipient`, and in `content` why Meta would refuse it, if so."""

    message_type: str
    content: Refused | None
    recipient: Recipient | None
    lane: Lane
    policy: str
    appended_at: int
    expires_at: int
    category: str | None = None
    """The category that the command names itself, for what has no template."""
    for_marketing_messages: bool = False
    send_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known now. `number_state` is None for a number nobody registered; `standing` is what Meta does not let it send.

    `is_caught_up`: the read models have taken in everything that was in the log when the command was appended.
    """

    number_state: NumberState | None
    display_phone_number: str | None
    last_inbound_at: int | None
    consent_all: ConsentState
    consent_category: ConsentState
    is_caught_up: bool
    standing: Standing = _FREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Send it. `probes`: the stops that it is sent to try."""

    probes: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing speaks against it but that its number is paused, or that Meta has stopped what it is among.

    `look_at`: when that may be over, where it is known. `wanted`: stops that it would try, if it were let.
    """

    reason: Reason
    look_at: int | None = None
    wanted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    """It looks like a refusal, but the read models may not know the newest yet."""

    reason: Reason


Decision = Allowed | Held | Refused | AskAgain


def decide(command: Command, facts: Facts, *, now: int) -> Decision:
    """Number, expiry, schedule, type and content, recipient, consent, window, lane: the first that says no is the reason.

    What nothing refuses waits while its number is paused, or while a stop of Meta's covers it.
    """
    refused = _number(facts) or _expiry(command, now=now) or _schedule(command) or _content(command)
    if command.message_type == READ:
        return refused or _lane(command) or _go(command, facts, now=now)
    refused = refused or _recipient(command.recipient, facts)
    if refused is not None:
        return refused
    doubt = _consent(command, facts) or _window(command, facts, now=now)
    if doubt is None:
        return _lane(command) or _go(command, facts, now=now)
    waited = now - command.appended_at >= PROJECTION_LAG_SECONDS * 1000
    return Refused(reason=doubt) if facts.is_caught_up or waited else AskAgain(reason=doubt)


def _go(command: Command, facts: Facts, *, now: int) -> Allowed | Held:
    if facts.number_state == "paused":
        return Held(reason=Reason.PHONE_PAUSED)
    if not facts.standing.stops:
        return Allowed()
    stops = facts.standing.covering(_sent(command, facts, now=now), now)
    if command.message_type == READ:  # no message: only what stops everything stops it
        stops = tuple((key, entry) for key, entry in stops if entry.evidence.covers is Covers.EVERYTHING)
    keys = frozenset(key for key, _ in stops)
    if keys <= facts.standing.probing:
        return Allowed(probes=keys)
    return Held(reason=stops[0][1].evidence.reason, look_at=account_state.look_at(stops), wanted=account_state.due(stops, now))


def _sent(command: Command, facts: Facts, *, now: int) -> Sent:
    """The message as stops look at it."""
    is_template = command.message_type == "template"
    recipient = command.recipient
    return Sent(
        is_template=is_template,
        category=str(CATEGORY_OF_LANE[command.lane]) if is_template else command.category,
        is_window_open=window.is_open(facts.last_inbound_at, now=now),
        for_marketing_messages=command.for_marketing_messages,
        area=None if recipient is None else area_of(digits=recipient.digits, bsuid=recipient.bsuid),
    )


def _number(facts: Facts) -> Refused | None:
    if facts.number_state is None:
        return Refused(reason=Reason.PHONE_UNKNOWN)
    return Refused(reason=Reason.PHONE_DISABLED) if facts.number_state == "disabled" else None


def _expiry(command: Command, *, now: int) -> Refused | None:
    if command.expires_at > command.appended_at + LONGEST_LIFETIME_SECONDS * 1000:
        return Refused(reason=Reason.EXPIRES_AT, detail="expires_at: more than 30 days ahead; it is in milliseconds")
    return Refused(reason=Reason.EXPIRED) if now >= command.expires_at else None


def _schedule(command: Command) -> Refused | None:
    if command.send_at is None:
        return None
    ahead = command.send_at - command.appended_at
    if ahead < -LATE_SCHEDULE_SECONDS * 1000:
        return Refused(reason=Reason.SCHEDULE, detail="send_at: over for more than 5 minutes when the command was written")
    if ahead > LONGEST_LIFETIME_SECONDS * 1000:
        return Refused(reason=Reason.SCHEDULE, detail="send_at: more than 30 days ahead; it is in milliseconds")
    if command.send_at >= command.expires_at:
        return Refused(reason=Reason.SCHEDULE, detail="send_at: the command expires before it")
    return None


def _content(command: Command) -> Refused | None:
    if command.content is not None:
        return command.content
    if command.policy != "hold":
        return Refused(reason=Reason.CONTENT, detail="policy is not hold")
    return None


def _recipient(recipient: Recipient | None, facts: Facts) -> Refused | None:
    if recipient is None:
        return Refused(reason=Reason.RECIPIENT)
    own = phone_digits(facts.display_phone_number or "")
    if own is not None and recipient.digits == own:
        return Refused(reason=Reason.RECIPIENT, detail="the number itself")
    return None


def _consent(command: Command, facts: Facts) -> Reason | None:
    """Who said stop gets nothing that the business begins; an answer in an open window is the contact's own doing.

    A group is joined and left by its members: what one of them said of messages to themselves is not about it.
    """
    if command.recipient is not None and command.recipient.group_id is not None:
        return None
    if command.message_type != "template":
        return Reason.OPTED_OUT if _is_withdrawn_since_last_inbound(facts) else None
    decision = decide_consent(facts.consent_all, facts.consent_category, CATEGORY_OF_LANE[command.lane])
    if decision.allowed:
        return None
    return Reason.OPTED_OUT if decision.reason is ConsentReason.WITHDRAWN else Reason.NO_CONSENT


def _is_withdrawn_since_last_inbound(facts: Facts) -> bool:
    """A STOP suppresses answers too until the contact writes again: the STOP itself opened the window."""
    state = facts.consent_all
    if state.withdrawn_at is None or (state.granted_at is not None and state.granted_at > state.withdrawn_at):
        return False
    return facts.last_inbound_at is None or facts.last_inbound_at <= state.withdrawn_at


def _window(command: Command, facts: Facts, *, now: int) -> Reason | None:
    if command.message_type == "template" or window.is_open(facts.last_inbound_at, now=now):
        return None
    return Reason.WINDOW_CLOSED


def _lane(command: Command) -> Refused | None:
    """Nothing but authentication templates may use the lane that everything else waits for."""
    if command.lane is Lane.OTP and command.message_type != "template":
        return Refused(reason=Reason.LANE_MISMATCH)
    return None
