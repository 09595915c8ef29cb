"""May this command go to Meta now? The gate; the only place that answers.

The order of the checks is a promise: a command that breaks several rules is always refused for the same one. It is asked again
for every attempt, with facts read in the transaction that records the attempt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from services.common.domain import account_state, window
from services.common.domain.account_state import Key, Standing
from services.common.domain.consent import ConsentCategory, ConsentReason, ConsentState
from services.common.domain.consent import decide as decide_consent
from services.common.domain.covers import Covers, Sent, area_of
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient, phone_digits
from services.common.domain.resending import POLICIES
from services.common.domain.templates import Current

CATEGORY_OF_LANE: Final = {
    Lane.OTP: ConsentCategory.AUTHENTICATION,
    Lane.TRANSACTIONAL: ConsentCategory.UTILITY,
    Lane.BULK: ConsentCategory.MARKETING,
}
"""What a lane is for. It stands for the category of a template only while nobody knows the template's own."""

READ: Final = "read"
"""A call and no message: a customer's message is marked as read. It has no recipient, needs no window, and may be repeated."""
TEMPLATE: Final = "template"

NumberState = Literal["active", "paused", "disabled"]
"""Of a paused or disabled number nothing is refused for it: its commands wait, and expire in time."""
HELD: Final = {"paused": Reason.PHONE_PAUSED, "disabled": Reason.PHONE_DISABLED}
"""Why the commands of a number in such a state wait."""
_HELD_DETAIL: Final = {state: f"the number is {state}" for state in HELD}
_FREE: Final = Standing()
LONGEST_LIFETIME_SECONDS: Final = 30 * 86_400.0
"""As long as a `command_id` is remembered: a command never outlives its idempotency key, nor is it written that long ahead."""
LATE_SCHEDULE_SECONDS: Final = 300.0
"""A time of sending that was over for longer when the command was written is a mistake, not a hurry."""
PROJECTION_LAG_SECONDS: Final = 5.0
"""How long a decision may wait for read models that are behind."""
FIRST_LIST_SECONDS: Final = 10.0
"""How long a template waits for the account's template list when nobody has read it yet."""
NEXT_LIST_SECONDS: Final = 90.0
"""How long one waits for the list to be read again that it does not have, or has with an older content."""
UNDELIVERABLE_IN_A_ROW: Final = 3
"""So many templates that Meta could not deliver (131026), and nothing delivered or heard since: it is no use to send another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Never send it."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What of a command the gate looks at. Reading it found `recipient`, and in `content` why Meta would refuse it, if so.

    `direct`: the category of a message that is no template and needs no window (Direct Send). `fallback`: the same command as a
    template, for when the window is closed. `has_cause`: it names an event that it follows from.
    """

    message_type: str
    content: Refused | None
    recipient: Recipient | None
    lane: Lane
    policy: str
    appended_at: int
    received_at: int
    expires_at: int
    for_marketing_messages: bool = False
    send_at: int | None = None
    direct: ConsentCategory | None = None
    has_cause: bool = False
    fallback: Command | None = None
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFacts:
    """What is known of the template that a command sends, or falls back to.

    `list_polled_at`: when the account's list was last read as a whole, None for never; `is_list_unread`: the last try failed.
    `parameters`: why those of the command do not fit the definition, if so; without a definition nobody knows.
    """

    known: Current | None = None
    is_in_other_language: bool = False
    list_polled_at: int | None = None
    is_list_unread: bool = False
    parameters: Refused | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known now. `number_state` is None for a number nobody registered; `standing` is what Meta does not let it send.

    `is_caught_up`: the read models have taken in what the command names as its cause, else everything that was in the log when it
    came. `is_context_foreign`: the message it answers belongs to another number.
    """

    number_state: NumberState | None
    display_phone_number: str | None
    last_inbound_at: int | None
    consent_all: ConsentState
    consents: Mapping[ConsentCategory, ConsentState] = field(default_factory=dict)
    is_caught_up: bool
    standing: Standing = _FREE
    template: TemplateFacts = TemplateFacts()
    is_context_foreign: bool = False
    is_undeliverable: bool = False
    tenant_id: str | None = None
    """Whose number it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Send it. `probes`: the stops that it is sent to try. `begins`: the business writes first, outside an open window.

    `is_fallback`: its fallback template goes instead.
    """

    probes: frozenset[Key] = frozenset()
    begins: bool = False
    is_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing speaks against it but that its number is paused or disabled, or that Meta has stopped what it is among.

    `look_at`: when that may be over, where it is known. `wanted`: stops that it would try, if it were let.
    """

    reason: Reason
    look_at: int | None = None
    wanted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """Its time is over."""

    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    """It cannot be judged yet: the read models, or with `is_for_list` the list of templates, may not know the newest."""

    reason: Reason
    is_for_list: bool = False


Decision = Allowed | Held | Refused | Expired | AskAgain


def decide(command: Command, facts: Facts, *, now: int) -> Decision:
    """The first that says no is the reason, in this order.

    Number and tenant, expiry, schedule, content and policy, recipient, whether the template exists, consent in the template's
    current category, window or the template's state and parameters, lane. What read models say no to waits until they know the
    newest.

    A template of an account whose list nobody has read yet waits for it, `FIRST_LIST_SECONDS` at most. Then, or when the list
    could not be read, it goes as Meta's own check will have it, in the category of its lane: an unreachable list, or a token that
    may not read it, must not stop one-time codes. The same holds for a template that the list does not have, or has with an older
    content, after `NEXT_LIST_SECONDS`: nothing is refused by a list that is older than the command.
    """
    refused = _number(command, facts) or _longest(command)
    if refused is None and now >= command.expires_at:
        return Expired(detail=_HELD_DETAIL.get(facts.number_state or ""))
    refused = refused or _schedule(command) or _content(command, facts)
    if command.message_type == READ:
        return refused or _lane(command, None) or _go(command, facts, now=now)
    refused = refused or _recipient(command.recipient, facts)
    if refused is not None:
        return refused
    is_current = facts.is_caught_up or now - command.appended_at >= PROJECTION_LAG_SECONDS * 1000
    if command.has_cause and not is_current:
        return AskAgain(reason=Reason.CAUSED_BY)
    found = _free_form(command, facts, now=now)
    if command.message_type == TEMPLATE:
        found = _suppressed(command, facts) or _template(command, facts, now=now)
    if isinstance(found, Refused):
        return _refused(found, command, facts, now=now) if is_current else AskAgain(reason=found.reason)
    return found or _lane(command, _category(command, facts)) or _go(command, facts, now=now)


def _refused(refused: Refused, command: Command, facts: Facts, *, now: int) -> Decision:
    """A closed window is no refusal where there is a template for it; what is wrong with that one is told instead."""
    if refused.reason is not Reason.WINDOW_CLOSED or command.fallback is None:
        return refused
    instead = decide(command.fallback, facts, now=now)
    return dataclasses.replace(instead, is_fallback=True) if isinstance(instead, Allowed) else instead


def _go(command: Command, facts: Facts, *, now: int) -> Allowed | Held:
    """What nothing refuses waits while its number is paused or disabled, or while a stop of Meta's covers it."""
    held = HELD.get(facts.number_state or "")
    if held is not None:
        return Held(reason=held)
    begins = _begins(command, facts, now=now)
    if not facts.standing.stops:
        return Allowed(begins=begins)
    stops = facts.standing.covering(_sent(command, facts, now=now), now)
    if command.message_type == READ:  # no message: only what stops everything stops it
        stops = tuple((key, entry) for key, entry in stops if entry.evidence.covers is Covers.EVERYTHING)
    keys = frozenset(key for key, _ in stops)
    if keys <= facts.standing.probing:
        return Allowed(probes=keys, begins=begins)
    return Held(reason=stops[0][1].evidence.reason, look_at=account_state.look_at(stops), wanted=account_state.due(stops, now))


def _sent(command: Command, facts: Facts, *, now: int) -> Sent:
    """The message as stops look at it."""
    recipient, category = command.recipient, _category(command, facts)
    return Sent(
        is_template=command.message_type == TEMPLATE,
        category=None if category is None else str(category),
        is_window_open=window.is_open(facts.last_inbound_at, now=now),
        for_marketing_messages=command.for_marketing_messages,
        area=None if recipient is None else area_of(digits=recipient.digits, bsuid=recipient.bsuid),
    )


def _begins(command: Command, facts: Facts, *, now: int) -> bool:
    """An open window makes even a template an answer, which no messaging limit counts; that limit counts people, no groups."""
    is_business = command.message_type == TEMPLATE or command.direct is not None
    return is_business and not _is_to_group(command) and not window.is_open(facts.last_inbound_at, now=now)


def _number(command: Command, facts: Facts) -> Refused | None:
    if facts.number_state is None:
        return Refused(reason=Reason.PHONE_UNKNOWN)
    if command.tenant_id is not None and command.tenant_id != facts.tenant_id:
        return Refused(reason=Reason.TENANT_MISMATCH, detail="tenant_id: the number is another's")
    return None


def _longest(command: Command) -> Refused | None:
    if command.expires_at > command.appended_at + LONGEST_LIFETIME_SECONDS * 1000:
        return Refused(reason=Reason.EXPIRES_AT, detail="expires_at: more than 30 days ahead; it is in milliseconds")
    return None


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


def _content(command: Command, facts: Facts) -> Refused | None:
    if command.content is not None:
        return command.content
    if command.policy not in POLICIES:
        return Refused(reason=Reason.POLICY, detail=f"policy: {' or '.join(POLICIES)}")
    if facts.is_context_foreign:
        return Refused(reason=Reason.CONTEXT, detail="context_wamid: a message of another number")
    return None


def _recipient(recipient: Recipient | None, facts: Facts) -> Refused | None:
    if recipient is None:
        return Refused(reason=Reason.RECIPIENT)
    own = phone_digits(facts.display_phone_number or "")
    if own is not None and recipient.digits == own:
        return Refused(reason=Reason.RECIPIENT, detail="the number itself")
    return None


def _is_to_group(command: Command) -> bool:
    """A group is joined and left by its members: what one of them said of messages to themselves is not about it."""
    return command.recipient is not None and command.recipient.group_id is not None


def _free_form(command: Command, facts: Facts, *, now: int) -> Refused | AskAgain | None:
    """An answer needs an open window. Direct Send needs consent instead, as a template of its category does."""
    if command.direct is not None:
        return _consent(command.direct, command, facts)
    if not _is_to_group(command) and _is_withdrawn_since_last_inbound(facts):
        return Refused(reason=Reason.OPTED_OUT)
    return None if window.is_open(facts.last_inbound_at, now=now) else Refused(reason=Reason.WINDOW_CLOSED)


def _suppressed(command: Command, facts: Facts) -> Refused | None:
    """Who said stop to everything gets no template, whichever it is."""
    of_all = [_consent(category, command, facts) for category in CATEGORY_OF_LANE.values()]
    return of_all[0] if all(one is not None and one.reason is Reason.OPTED_OUT for one in of_all) else None


def _consent(category: ConsentCategory, command: Command, facts: Facts) -> Refused | None:
    """Who said stop gets nothing that the business begins; an answer in an open window is the contact's own doing."""
    if _is_to_group(command):
        return None
    decision = decide_consent(facts.consent_all, facts.consents.get(category, ConsentState()), category)
    if decision.allowed:
        return None
    return Refused(reason=Reason.OPTED_OUT if decision.reason is ConsentReason.WITHDRAWN else Reason.NO_CONSENT)


def _is_withdrawn_since_last_inbound(facts: Facts) -> bool:
    """A STOP suppresses answers too until the contact writes again: the STOP itself opened the window."""
    state = facts.consent_all
    if state.withdrawn_at is None or (state.granted_at is not None and state.granted_at > state.withdrawn_at):
        return False
    return facts.last_inbound_at is None or facts.last_inbound_at <= state.withdrawn_at


def _category(command: Command, facts: Facts) -> ConsentCategory | None:
    """What the message is to Meta; None for an answer. Where a template's own category is not known, its lane says it."""
    if command.message_type != TEMPLATE:
        return command.direct
    known = facts.template.known
    return CATEGORY_OF_LANE[command.lane] if known is None or known.category is None else known.category


def _template(command: Command, facts: Facts, *, now: int) -> Refused | AskAgain | None:
    template, known = facts.template, facts.template.known
    is_newer = template.list_polled_at is not None and template.list_polled_at >= command.received_at
    if (known is None or not known.is_defined) and not is_newer:
        longest = FIRST_LIST_SECONDS if template.list_polled_at is None else NEXT_LIST_SECONDS
        if not template.is_list_unread and now - command.received_at < longest * 1000:
            return AskAgain(reason=Reason.TEMPLATE, is_for_list=True)
    elif known is None:
        if template.is_in_other_language:
            return Refused(reason=Reason.TEMPLATE_LANG, detail="template.language.code: the template is not in this language")
        return Refused(reason=Reason.TEMPLATE, detail="template.name: the account has no such template")
    category = _category(command, facts) or CATEGORY_OF_LANE[command.lane]
    return _reachable(category, command) or _consent(category, command, facts) or _usable(facts)


def _reachable(category: ConsentCategory, command: Command) -> Refused | None:
    """Meta sends codes to phone numbers alone (131062)."""
    if category is ConsentCategory.AUTHENTICATION and command.recipient is not None and command.recipient.digits is None:
        return Refused(reason=Reason.RECIPIENT, detail="to: an authentication template needs a phone number")
    return None


def _usable(facts: Facts) -> Refused | None:
    if facts.is_undeliverable:
        return Refused(
            reason=Reason.UNDELIVERABLE,
            detail=f"Meta could not deliver the last {UNDELIVERABLE_IN_A_ROW} messages to this contact (131026).",
        )
    known = facts.template.known
    if known is not None and known.is_stopped:
        return Refused(reason=Reason.TEMPLATE_STATE, detail=f"template: {known.status} at Meta")
    return facts.template.parameters


def _lane(command: Command, category: ConsentCategory | None) -> Refused | None:
    """Marketing has a lane of its own, and nothing but authentication may use the lane that everything else waits for."""
    if command.lane is Lane.OTP and category is not ConsentCategory.AUTHENTICATION:
        return Refused(reason=Reason.LANE_MISMATCH)
    if category is ConsentCategory.MARKETING and command.lane is not Lane.BULK:
        return Refused(reason=Reason.LANE_MISMATCH, detail="a marketing template outside bulk")
    return None
