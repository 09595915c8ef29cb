"""What does the gate make of commands whose turn it is: which are started, refused, or asked again later? Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from services.common.domain import ids, recipients, send_policy
from services.common.domain.account_state import Key, Standing
from services.common.domain.covers import area_of
from services.common.domain.lanes import LANES
from services.common.domain.reasons import Reason
from services.common.domain.recipients import Recipient
from services.common.domain.records import SendOutcome
from services.common.domain.send_policy import READ, AskAgain, Command, Held, Refused
from services.sender import outcomes, request, terms
from services.sender.content import check
from services.sender.content.json import parsed
from services.sender.content.simple import is_wamid
from services.sender.media import facts as media_facts
from services.sender.media.facts import Failure, NotReady, Ready
from services.sender.outcomes import Attempt
from services.sender.store import Batch, Candidate, Park

_ASK_AGAIN_SECONDS: Final = 0.1
_NOT_NOW_SECONDS: Final = 1.0
"""Without a token, or paused: until somebody does something about the number."""
_STOPPED_SECONDS: Final = (1.0, 900.0)
"""How long what a stop covers is not looked at, at least and at most; the end of the stop releases it."""


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
    *,
    now: int,
    has_token: bool,
    waba_id: str | None,
    caught_up_at: int,
    standing: Standing,
    may_try: bool,
    failures: Mapping[media_facts.Key, Failure],
) -> tuple[Batch, list[Call]]:
    """What is to be recorded of the candidates, and the calls that follow once it is.

    `caught_up_at`: the read models have taken in what was in the log at that instant. `standing`: what Meta does not let the
    number send; one candidate is let through for the stops that are to be tried. `may_try`: whether one may ask for that.
    `failures`: of media that was tried.
    """
    calls: list[Call] = []
    refuse: list[tuple[Attempt, SendOutcome]] = []
    park: list[Park] = []
    wanted: frozenset[Key] = frozenset()
    for candidate in candidates:
        attempt = candidate.attempt
        content = parsed(attempt.content)
        recipient = recipients.parse(to=attempt.to, bsuid=attempt.bsuid, group_id=attempt.options.group_id)
        facts = dataclasses.replace(candidate.facts, is_caught_up=caught_up_at >= candidate.received_at, standing=standing)
        decision = send_policy.decide(_command(candidate, content, recipient), facts, now=now)
        if isinstance(decision, Refused):
            refuse.append((attempt, outcomes.refused(attempt, decision.reason, decision.detail, at=now, waba_id=waba_id)))
        elif isinstance(decision, AskAgain):
            park.append(Park(attempt=attempt, seconds=_ASK_AGAIN_SECONDS, is_for_read_models=True))
        elif not has_token:
            park.append(Park(attempt=attempt, seconds=_NOT_NOW_SECONDS, reason=Reason.ACCESS_TOKEN))
        elif isinstance(decision, Held):
            is_first = may_try and bool(decision.wanted) and not wanted
            wanted = decision.wanted if is_first else wanted
            park.append(_held(candidate, decision, now=now, is_wanted=is_first))
        else:
            media = _media(candidate, content, failures, now=now)
            if isinstance(media, Refused):
                refuse.append((attempt, outcomes.refused(attempt, media.reason, media.detail, at=now, waba_id=waba_id)))
            elif isinstance(media, NotReady):
                until_expiry = (candidate.expires_at - now) / 1000
                seconds = min(media.seconds, until_expiry)
                park.append(Park(attempt=attempt, seconds=seconds, reason=Reason.MEDIA, wants=media.wants))
            else:
                calls.append(dataclasses.replace(_prepared(candidate, media, recipient), probes=decision.probes))
                if decision.probes:
                    standing = dataclasses.replace(standing, probing=frozenset())
    return Batch(start=[call.attempt for call in calls], refuse=refuse, park=park, wanted=wanted), calls


def _held(candidate: Candidate, held: Held, *, now: int, is_wanted: bool) -> Park:
    """A command that waits for its number or a stop. The one that may try a stop is asked again at once."""
    attempt = candidate.attempt
    if held.reason is Reason.PHONE_PAUSED:
        return Park(attempt=attempt, seconds=_NOT_NOW_SECONDS, reason=held.reason)
    least, most = _STOPPED_SECONDS
    until = candidate.expires_at if held.look_at is None else min(candidate.expires_at, held.look_at)
    wait = min(most, max(least, (until - now) / 1000))
    return Park(attempt=attempt, seconds=0.0 if is_wanted else wait, reason=held.reason, is_stopped=True)


def _command(candidate: Candidate, content: object, recipient: Recipient | None) -> Command:
    return Command(
        message_type=candidate.attempt.message_type,
        content=_refusal(candidate.attempt, content, candidate.context_wamid),
        recipient=recipient,
        lane=LANES[candidate.attempt.lane],
        policy=candidate.policy,
        appended_at=candidate.appended_at,
        expires_at=candidate.expires_at,
        category=candidate.attempt.options.category,
        for_marketing_messages=candidate.attempt.options.marketing_messages is not None,
        send_at=candidate.send_at,
    )


def _refusal(attempt: Attempt, content: object, context_wamid: str | None) -> Refused | None:
    if context_wamid is not None and not is_wamid(context_wamid):
        return Refused(reason=Reason.CONTEXT, detail="context_wamid: not the id of a message")
    wrong = check.problem(attempt.message_type, content) or terms.problem(
        attempt.message_type, content, attempt.options, to=attempt.to, bsuid=attempt.bsuid
    )
    return None if wrong is None else Refused(reason=wrong.reason, detail=wrong.detail)


def _media(
    candidate: Candidate, content: object, failures: Mapping[media_facts.Key, Failure], *, now: int
) -> Ready | NotReady | Refused:
    """What is known of the media that is to be uploaded for a command, if any is."""
    return media_facts.judge(
        candidate.attempt.message_type,
        content,
        phone_number_id=candidate.attempt.phone_number_id,
        facts=candidate.media,
        failures=failures,
        oversize=candidate.attempt.options.oversize,
        now=now,
    )


def _prepared(candidate: Candidate, media: Ready, recipient: Recipient | None) -> Call:
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
    return Call(attempt=attempt, edge=edge, body=body, appended_at=candidate.appended_at, media=media, area=area)
