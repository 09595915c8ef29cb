"""What does the gate make of commands whose turn it is: which are started, refused, or asked again later? Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, cast

from services.common.domain import ids, send_policy, templates
from services.common.domain.account_state import Key, Standing
from services.common.domain.consent import ConsentCategory
from services.common.domain.covers import area_of
from services.common.domain.lanes import LANES, Lane
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient
from services.common.domain.records import SendOutcome
from services.common.domain.send_policy import (
    READ,
    TEMPLATE,
    Allowed,
    AskAgain,
    Command,
    Expired,
    Facts,
    Held,
    Refused,
    TemplateFacts,
)
from services.sender import outcomes, request, terms
from services.sender.content import check, definition
from services.sender.content.simple import is_wamid
from services.sender.knowledge import Candidate, Knowledge, Room, place_of
from services.sender.media import facts as media_facts
from services.sender.media.facts import Failure, NotReady, Ready
from services.sender.outcomes import Attempt
from services.sender.store import Batch, Park

_ASK_AGAIN_SECONDS: Final = 0.1
_LIST_SECONDS: Final = 0.5
"""How soon a command asks again that waits for the account's template list."""
_NOT_NOW_SECONDS: Final = 1.0
"""Without a token, paused or disabled: until somebody does something about the number."""
UNTIL_SOMEBODY_ACTS: Final = frozenset({Reason.ACCESS_TOKEN, Reason.PHONE_PAUSED, Reason.PHONE_DISABLED})
"""How long such a wait lasts nobody knows."""
_WORTH_TELLING_SECONDS: Final = 5.0
_SOON_OVER: Final = frozenset({Reason.PAIR_LIMIT, Reason.RETRY_BUDGET})
"""A moment's wait for a number's own pace, or for media that is being made ready, is no news; one this long is."""
_STOPPED_SECONDS: Final = (1.0, 900.0)
"""How long what a stop covers is not looked at, at least and at most; the end of the stop releases it."""
_ROOM_SECONDS: Final = {Lane.OTP: 5.0, Lane.TRANSACTIONAL: 30.0, Lane.BULK: 300.0}
"""The longest wait until a command asks again whether its portfolio may write to one more person."""
_DIRECT: Final = {"utility": ConsentCategory.UTILITY, "authentication": ConsentCategory.AUTHENTICATION}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call to make: the attempt, where it goes with which body, and what its answer is read with."""

    attempt: Attempt
    edge: str
    body: bytes
    appended_at: int
    media: Ready
    area: str | None = None
    probes: frozenset[Key] = frozenset()


def judge(
    candidates: Sequence[Candidate],
    known: Knowledge,
    *,
    now: int,
    has_token: bool,
    waba_id: str | None,
    caught_up_at: int,
    standing: Standing,
    may_try: bool,
    failures: Mapping[media_facts.Key, Failure],
    pair_ready_in: Callable[[str], float],
    retries_left: int,
) -> tuple[Batch, list[Call]]:
    """What is to be recorded of the candidates, and the calls that follow once it is.

    `caught_up_at`: the read models have taken in what was in the log at that instant. `standing`: what Meta does not let the
    number send; one candidate is let through for the stops that are to be tried. `may_try`: whether one may ask for that.
    `failures`: of media that was tried. `pair_ready_in`: seconds until the next message to a person may be started, as if none of
    these candidates were. `retries_left`: how many may be tried again.
    """
    calls: list[Call] = []
    called: set[str | None] = set()
    give_up: list[tuple[Attempt, SendOutcome]] = []
    park: list[Park] = []
    wanted: frozenset[Key] = frozenset()
    for candidate in candidates:
        attempt = candidate.attempt
        recipient = attempt.recipient
        command = _command(candidate, recipient)
        facts = _facts(candidate, known, caught_up_at, standing, is_sound=command.content is None)
        decision = send_policy.decide(command, facts, now=now)
        if isinstance(decision, Refused):
            give_up.append((attempt, outcomes.refused(attempt, decision.reason, decision.detail, at=now, waba_id=waba_id)))
        elif isinstance(decision, Expired):
            give_up.append((attempt, outcomes.expired(attempt, decision.detail, at=now, waba_id=waba_id)))
        elif isinstance(decision, AskAgain):
            park.append(_asking_again(attempt, decision))
        elif isinstance(decision, Held):
            is_first = may_try and bool(decision.wanted) and not wanted
            wanted = decision.wanted if is_first else wanted
            park.append(_held(candidate, decision, now=now, is_wanted=is_first))
        elif not has_token:
            park.append(Park(attempt=attempt, seconds=_NOT_NOW_SECONDS, reason=Reason.ACCESS_TOKEN))
        else:
            later = _later(attempt, called, pair_ready_in, retries_left)
            made = _made(candidate, decision, recipient, later=later, failures=failures, room=known.room, now=now)
            if isinstance(made, Refused):
                give_up.append((attempt, outcomes.refused(attempt, made.reason, made.detail, at=now, waba_id=waba_id)))
            elif isinstance(made, Park):
                park.append(made)
            else:
                calls.append(made)
                retries_left -= attempt.attempt_no > 0
                called.add(pair_of(attempt))
                standing = dataclasses.replace(standing, probing=frozenset()) if made.probes else standing
    defer = [(one.attempt, told) for one in park if (told := _deferred(one, now=now, waba_id=waba_id)) is not None]
    return Batch(start=[call.attempt for call in calls], give_up=give_up, park=park, defer=defer, wanted=wanted), calls


def _made(
    candidate: Candidate,
    allowed: Allowed,
    recipient: Recipient | None,
    *,
    later: Park | None,
    failures: Mapping[media_facts.Key, Failure],
    room: Room,
    now: int,
) -> Call | Park | Refused:
    """The call of a command that nothing forbids, unless its media, its number's pace or its portfolio's room make it wait."""
    chosen = _falling_back(candidate) if allowed.is_fallback else candidate
    media = _media(chosen, failures, now=now)
    if isinstance(media, Refused):
        return media
    attempt = candidate.attempt
    if isinstance(media, NotReady):
        seconds = min(media.seconds, (candidate.expires_at - now) / 1000)
        return Park(attempt=attempt, seconds=seconds, reason=Reason.MEDIA, wants=media.wants)
    if later is not None:
        return later
    if allowed.begins and not room.admits(candidate.person):
        seconds = min(_ROOM_SECONDS[LANES[attempt.lane]], max(_NOT_NOW_SECONDS, room.seconds))
        return Park(attempt=attempt, seconds=seconds, reason=Reason.TIER)
    return _prepared(chosen, media, recipient, allowed.probes)


def _held(candidate: Candidate, held: Held, *, now: int, is_wanted: bool) -> Park:
    """A command that waits for its number or a stop. The one that may try a stop is asked again at once."""
    attempt = candidate.attempt
    if held.reason in (Reason.PHONE_PAUSED, Reason.PHONE_DISABLED):
        return Park(attempt=attempt, seconds=_NOT_NOW_SECONDS, reason=held.reason)
    least, most = _STOPPED_SECONDS
    until = candidate.expires_at if held.look_at is None else min(candidate.expires_at, held.look_at)
    wait = min(most, max(least, (until - now) / 1000))
    return Park(attempt=attempt, seconds=0.0 if is_wanted else wait, reason=held.reason, is_stopped=True)


def pair_of(attempt: Attempt) -> str | None:
    """Whose pair limit a message counts for; None for what is no message."""
    return None if attempt.message_type == READ else attempt.pair


def _later(
    attempt: Attempt, called: Collection[str | None], pair_ready_in: Callable[[str], float], retries_left: int
) -> Park | None:
    """What of the number's own pace speaks against an attempt now."""
    pair = pair_of(attempt)
    wait = 0.0 if pair is None else _ASK_AGAIN_SECONDS if pair in called else pair_ready_in(pair)
    if wait > 0.0:
        return Park(attempt=attempt, seconds=wait, reason=Reason.PAIR_LIMIT)
    if attempt.attempt_no > 0 and retries_left <= 0:
        return Park(attempt=attempt, seconds=_NOT_NOW_SECONDS, reason=Reason.RETRY_BUDGET)
    return None


def _asking_again(attempt: Attempt, decision: AskAgain) -> Park:
    if decision.is_for_list:
        return Park(attempt=attempt, seconds=_LIST_SECONDS, is_for_list=True)
    return Park(attempt=attempt, seconds=_ASK_AGAIN_SECONDS, is_for_read_models=True)


def _facts(candidate: Candidate, known: Knowledge, caught_up_at: int, standing: Standing, *, is_sound: bool) -> Facts:
    place = None if candidate.attempt.options.caused_by is None else place_of(candidate.attempt.options.caused_by)
    is_caught_up = caught_up_at >= candidate.received_at if place is None else known.has_passed(place)
    template = _template(candidate, known) if is_sound else TemplateFacts()
    return dataclasses.replace(candidate.facts, is_caught_up=is_caught_up, template=template, standing=standing)


def _template(candidate: Candidate, known: Knowledge) -> TemplateFacts:
    """Of a content that is right in itself: what is wrong with another one is told first."""
    name = candidate.template
    if name is None:
        return TemplateFacts()
    found = known.templates[name]
    current = templates.current(found.listed, found.told, list_polled_at=known.list_polled_at)
    parameters = None
    if current is not None and current.is_defined:
        content = candidate.content if candidate.attempt.message_type == TEMPLATE else candidate.fallback
        defined = definition.definition_of(found.parameter_format, found.components)
        wrong = definition.problem(cast("Mapping[str, Any]", content), defined)
        parameters = None if wrong is None else Refused(reason=wrong.reason, detail=wrong.detail)
    return TemplateFacts(
        known=current,
        is_in_other_language=found.is_in_other_language,
        list_polled_at=known.list_polled_at,
        is_list_unread=known.is_list_unread,
        parameters=parameters,
    )


def _deferred(parked: Park, *, now: int, waba_id: str | None) -> SendOutcome | None:
    """What its producer is told of a wait that has a reason, the first time."""
    is_short = parked.seconds < _WORTH_TELLING_SECONDS and (bool(parked.wants) or parked.reason in _SOON_OVER)
    if parked.reason is None or is_short:
        return None
    # Nobody knows how long a stop lasts: when it is looked at next says nothing about it.
    wait_seconds = None if parked.is_stopped or parked.reason in UNTIL_SOMEBODY_ACTS else parked.seconds
    return outcomes.deferred(parked.attempt, parked.reason, at=now, wait_seconds=wait_seconds, waba_id=waba_id)


def _command(candidate: Candidate, recipient: Recipient | None) -> Command:
    options = candidate.attempt.options
    command = Command(
        message_type=candidate.attempt.message_type,
        content=_refusal(candidate),
        recipient=recipient,
        lane=LANES[candidate.attempt.lane],
        policy=candidate.policy,
        tenant_id=candidate.attempt.options.tenant_id,
        appended_at=candidate.appended_at,
        received_at=candidate.received_at,
        expires_at=candidate.expires_at,
        direct=_DIRECT.get(options.category or ""),
        has_cause=options.caused_by is not None,
        for_marketing_messages=candidate.attempt.options.marketing_messages is not None,
        send_at=candidate.send_at,
    )
    if not candidate.has_fallback:
        return command
    return dataclasses.replace(command, fallback=dataclasses.replace(command, message_type=TEMPLATE, direct=None))


def _refusal(candidate: Candidate) -> Refused | None:
    """What can be known to be wrong with the command itself; a fallback template is checked whether it is needed or not."""
    options, message_type = candidate.attempt.options, candidate.attempt.message_type
    if candidate.context_wamid is not None and not is_wamid(candidate.context_wamid):
        return Refused(reason=Reason.CONTEXT, detail="context_wamid: not the id of a message")
    if options.caused_by is not None and place_of(options.caused_by) is None:
        return Refused(reason=Reason.CAUSED_BY, detail="caused_by: not topic/partition/offset of an event about contacts")
    if options.category is not None and options.category not in _DIRECT:
        return Refused(reason=Reason.CONTENT, detail="category: neither utility nor authentication")
    if options.category is not None and message_type in (TEMPLATE, READ):
        return Refused(reason=Reason.CONTENT, detail=f"category: not for a message of type {message_type}")
    attempt = candidate.attempt
    wrong = check.problem(message_type, candidate.content) or terms.problem(
        message_type, candidate.content, options, to=attempt.to, bsuid=attempt.bsuid
    )
    if wrong is not None:
        return Refused(reason=wrong.reason, detail=wrong.detail)
    wrong = check.problem(TEMPLATE, candidate.fallback) if candidate.has_fallback else None
    return None if wrong is None else Refused(reason=wrong.reason, detail=f"fallback_template: {wrong.detail}")


def _media(candidate: Candidate, failures: Mapping[media_facts.Key, Failure], *, now: int) -> Ready | NotReady | Refused:
    """What is known of the media that is to be uploaded for a command, if any is."""
    return media_facts.judge(
        candidate.attempt.message_type,
        candidate.content,
        phone_number_id=candidate.attempt.phone_number_id,
        facts=candidate.media,
        failures=failures,
        oversize=candidate.attempt.options.oversize,
        now=now,
    )


def _falling_back(candidate: Candidate) -> Candidate:
    """From here on the command is its fallback template: its attempts all say the same."""
    content = candidate.attempt.options.fallback_template or ""
    attempt = dataclasses.replace(candidate.attempt, message_type=TEMPLATE, content=content)
    return dataclasses.replace(candidate, attempt=attempt, content=candidate.fallback)


def _prepared(candidate: Candidate, media: Ready, recipient: Recipient | None, probes: frozenset[Key]) -> Call:
    """The next attempt of a command, and what it will say."""
    attempt_no = candidate.attempt.attempt_no + 1
    attempt_id = ids.attempt_id(candidate.attempt.command_id, attempt_no)
    body = request.body(
        message_type=media.message_type,
        content=media.content,
        recipient=None if candidate.attempt.message_type == READ else recipient,
        attempt_id=attempt_id,
        context_wamid=candidate.context_wamid,
        options=candidate.attempt.options,
    )
    attempt = dataclasses.replace(candidate.attempt, attempt_no=attempt_no, attempt_id=attempt_id)
    area = None if recipient is None else area_of(digits=recipient.digits, bsuid=recipient.bsuid)
    edge = request.edge(attempt.options)
    return Call(attempt=attempt, edge=edge, body=body, appended_at=candidate.appended_at, media=media, area=area, probes=probes)
