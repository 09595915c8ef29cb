"""What becomes of candidates that a stop covers: do they wait, and does exactly one of them try it?"""

from __future__ import annotations

import json
from dataclasses import replace

from services.common.domain import account_state
from services.common.domain.account_state import Standing
from services.common.domain.consent import ConsentState
from services.common.domain.reasons import Reason
from services.common.domain.send_policy import Facts
from services.common.domain.templates import Listed
from services.sender.judging import Call, judge
from services.sender.knowledge import Candidate, Definition, Knowledge, TemplateName
from services.sender.outcomes import Attempt
from services.sender.store import Batch

NOW = 1_800_000_000_000
NOTHING = ConsentState()
STATE = account_state.fold({}, account_state.of_answer(131048, phone_number_id="1", waba_id="9", area=None, at=NOW), now=NOW)
[(KEY, ENTRY)] = STATE.items()
STOPPED = account_state.standing(account_state.index(STATE, now=NOW), phone_number_id="1", waba_id="9")
DUE = NOW + 900_000
LISTED = Listed(status="APPROVED", category="UTILITY", polled_at=NOW)
KNOWN = Knowledge(templates={TemplateName("order", "en"): Definition(listed=LISTED)}, list_polled_at=NOW)


def candidate(name: str, message_type: str = "template", expires_at: int = NOW + 9_000_000) -> Candidate:
    contents = {"template": {"name": "order", "language": {"code": "en"}}, "text": {"body": "hello"}}
    return Candidate(
        attempt=Attempt(
            command_id=name,
            attempt_no=0,
            attempt_id=None,
            phone_number_id="1",
            lane=1,
            message_type=message_type,
            content=json.dumps(contents[message_type]),
            to="+491700000001",
            bsuid=None,
            shard=0,
        ),
        content=contents[message_type],
        fallback=None,
        context_wamid=None,
        policy="hold",
        appended_at=NOW,
        received_at=NOW,
        expires_at=expires_at,
        send_at=None,
        facts=Facts(
            number_state="active",
            display_phone_number=None,
            last_inbound_at=NOW,
            consent_all=NOTHING,
            is_caught_up=True,
        ),
    )


def judged(
    *candidates: Candidate,
    standing: Standing = STOPPED,
    now: int = NOW,
    may_try: bool = True,
    pair_wait: float = 0.0,
    retries_left: int = 10,
) -> tuple[Batch, list[Call]]:
    return judge(
        candidates,
        KNOWN,
        now=now,
        has_token=True,
        waba_id="9",
        caught_up_at=NOW,
        standing=standing,
        may_try=may_try,
        failures={},
        pair_ready_in=lambda _: pair_wait,
        retries_left=retries_left,
    )


def test_what_is_covered_is_held_until_it_may_be_tried_and_the_rest_goes() -> None:
    batch, calls = judged(candidate("a"), candidate("b", "text"), candidate("c", expires_at=NOW + 60_000))
    assert [call.attempt.command_id for call in calls] == ["b"]
    assert [(one.attempt.command_id, one.seconds, one.reason, one.held_by) for one in batch.park] == [
        ("a", 900.0, Reason.ACCOUNT_STOPPED, "account_stopped"),
        ("c", 60.0, Reason.ACCOUNT_STOPPED, "account_stopped"),
    ]
    assert batch.wanted == frozenset()
    assert batch.give_up == []


def test_when_its_time_has_come_the_first_that_is_covered_asks_to_try() -> None:
    batch, calls = judged(candidate("a", "text"), candidate("b"), candidate("c"), now=DUE)
    assert [call.attempt.command_id for call in calls] == ["a"]
    assert batch.wanted == frozenset({KEY})
    assert [(one.attempt.command_id, one.seconds) for one in batch.park] == [("b", 0.0), ("c", 1.0)]


def test_a_number_that_leaves_it_to_others_asks_for_nothing() -> None:
    batch, calls = judged(candidate("a"), now=DUE, may_try=False)
    assert (batch.wanted, calls, [one.seconds for one in batch.park]) == (frozenset(), [], [1.0])


def test_one_is_let_through_to_try_and_no_other() -> None:
    batch, calls = judged(candidate("a"), candidate("b"), standing=replace(STOPPED, probing=frozenset({KEY})), now=DUE)
    assert [(call.attempt.command_id, call.probes) for call in calls] == [("a", frozenset({KEY}))]
    assert [one.attempt.command_id for one in batch.park] == ["b"]


def test_nothing_is_tried_for_what_is_not_covered() -> None:
    _, calls = judged(candidate("a", "text"), standing=replace(STOPPED, probing=frozenset({KEY})), now=DUE)
    assert [call.probes for call in calls] == [frozenset()]


def test_what_comes_too_soon_after_the_last_message_to_a_person_waits_as_long_as_the_pair_limit_says() -> None:
    batch, calls = judged(candidate("a", "text"), pair_wait=4.5)
    assert calls == []
    assert [(one.seconds, one.reason) for one in batch.park] == [(4.5, Reason.PAIR_LIMIT)]


def test_two_messages_to_one_person_are_not_started_at_once() -> None:
    batch, calls = judged(candidate("a", "text"), candidate("b", "text"))
    assert [call.attempt.command_id for call in calls] == ["a"]
    assert [(one.attempt.command_id, one.reason) for one in batch.park] == [("b", Reason.PAIR_LIMIT)]


def test_a_further_try_waits_while_there_are_too_many_and_a_first_one_does_not() -> None:
    first, again = candidate("a", "text"), candidate("b", "text")
    again = replace(again, attempt=replace(again.attempt, attempt_no=1, to="+491700000002"))
    batch, calls = judged(first, again, retries_left=0)
    assert [call.attempt.command_id for call in calls] == ["a"]
    assert [(one.attempt.command_id, one.reason) for one in batch.park] == [("b", Reason.RETRY_BUDGET)]
    assert len(judged(first, again, retries_left=1)[1]) == 2
