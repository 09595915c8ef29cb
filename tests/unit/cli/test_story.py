"""Is the story of a command told in order of time, and does its end say what happens next?"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from services.cli.overview import State
from services.cli.show import instant
from services.cli.story import (
    Attempt,
    Command,
    Resend,
    Status,
    Story,
    Untold,
    as_object,
    lines,
    outcome_ids,
    rows,
    standing,
    with_short_wamids,
)
from services.common.domain import ids
from services.common.domain.lanes import Lane

COMMAND_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
T = 1_700_000_000_000
WAMID = "wamid.HBgMNDkxNzAwMDAwMDAxFQIAERgSNUY0MjVBNzRGMTMwMzM0OTJBAA=="
SHORT = "wamid.…MzM0OTJBAA=="


def command(state: State, **changes: Any) -> Command:
    given: dict[str, Any] = {
        "command_id": COMMAND_ID,
        "phone_number_id": "106540352242922",
        "lane": Lane.TRANSACTIONAL,
        "type": "text",
        "state": state,
        "reason": None,
        "error_code": None,
        "wamid": None,
        "attempts": 0,
        "has_outcome": False,
        "policy": "hold",
        "possible_duplicate": False,
        "is_duplicate": False,
        "appended_at": T,
        "received_at": T + 12,
        "expires_at": T + 86_400_000,
        "next_action_at": T + 12,
        "updated_at": T + 12,
        "paused_until_at": None,
        "earlier": 0,
    }
    return Command(**{**given, **changes})


def attempt(no: int = 1, **changes: Any) -> Attempt:
    given: dict[str, Any] = {
        "attempt_no": no,
        "attempt_id": ids.attempt_id(COMMAND_ID, no),
        "started_at": T + 20,
        "finished_at": None,
        "outcome": None,
        "reason": None,
        "error_code": None,
        "wamid": None,
    }
    return Attempt(**{**given, **changes})


def heard(status: str, at: int, *, no: int | None = 1, **changes: Any) -> Status:
    given: dict[str, Any] = {
        "status": status,
        "type": "message",
        "wamid": WAMID,
        "attempt_id": None if no is None else ids.attempt_id(COMMAND_ID, no),
        "error_code": None,
        "occurred_at": at // 1000 * 1000,
        "recorded_at": at,
    }
    return Status(**{**given, **changes})


def test_a_story_is_told_in_order_of_time_with_the_time_between() -> None:
    story = with_short_wamids(
        Story(
            command=command(State.ACCEPTED, attempts=2, wamid=WAMID, has_outcome=True),
            attempts=(
                attempt(1, finished_at=T + 152, outcome="retry", reason="throttled", error_code=130429),
                attempt(2, started_at=T + 1_152, finished_at=T + 1_284, outcome="accepted", wamid=WAMID),
            ),
            statuses=(heard("sent", T + 1_900, no=2), heard("delivered", T + 65_000, no=None)),
        )
    )
    assert rows(lines(story)) == [
        (instant(T), "", "put into its lane"),
        (instant(T + 12), "+12 ms", "taken in by the sender"),
        (instant(T + 20), "+8 ms", f"attempt 1 started, id {ids.attempt_id(COMMAND_ID, 1)}"),
        (instant(T + 152), "+132 ms", "attempt 1 retry (throttled, error 130429)"),
        (instant(T + 1_152), "+1.0 s", f"attempt 2 started, id {ids.attempt_id(COMMAND_ID, 2)}"),
        (instant(T + 1_284), "+132 ms", f"attempt 2 accepted ({SHORT})"),
        (instant(T + 1_900), "+616 ms", f"Meta told sent of attempt 2 ({SHORT}), by its clock {instant(T + 1_000)}"),
        (instant(T + 65_000), "+1 min 3 s", f"Meta told delivered ({SHORT}), by its clock {instant(T + 65_000)}"),
    ]


def test_a_status_does_not_come_before_its_call_although_metas_clock_has_only_seconds() -> None:
    story = Story(
        command=command(State.UNKNOWN, attempts=1, appended_at=T + 700, received_at=T + 710),
        attempts=(attempt(started_at=T + 720),),
        statuses=(heard("sent", T + 900),),
    )
    assert [line.text.split()[0] for line in lines(story)] == ["put", "taken", "attempt", "Meta"]


def test_a_refusal_has_no_attempt_and_is_told_all_the_same() -> None:
    refused = command(State.REFUSED, reason="window_closed", updated_at=T + 30, has_outcome=True)
    story = Story(command=refused, outbox=(Untold(kind="refused", attempt_no=0, occurred_at=T + 30),))
    assert [line.text for line in lines(story)[-2:]] == [
        "refused (window_closed)",
        'outcome "refused" written, still in the outbox',
    ]


def test_an_outcome_in_the_outbox_is_told_and_the_end_says_that_the_log_lacks_it() -> None:
    story = Story(
        command=command(State.REJECTED, attempts=1, has_outcome=True, reason="rejected_by_meta", error_code=132001),
        attempts=(attempt(finished_at=T + 90, outcome="rejected", reason="rejected_by_meta", error_code=132001),),
        outbox=(Untold(kind="rejected", attempt_no=1, occurred_at=T + 90),),
    )
    assert lines(story)[-1] == (T + 90, 'outcome "rejected" of attempt 1 written, still in the outbox')
    assert standing(story, now=T + 100).endswith("The log does not have its outcome yet: that waits in the outbox.")
    told = dataclasses.replace(story, outbox=())
    assert standing(told, now=T + 100).endswith("another command id or parley resend. The log has its outcome.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"next_action_at": T + 900}, f"waiting: the sender looks at it again at {instant(T + 900)}; it may be sent until"),
        ({}, f"waiting: it is due since {instant(T + 12)} and goes when a sender runs"),
        ({"earlier": 3}, "waiting: earlier commands to the same recipient go first (3); it may be sent until"),
        ({"paused_until_at": T + 900, "earlier": 3}, f"which is tried again at {instant(T + 900)}; all its commands are kept"),
        ({"paused_until_at": T + 1}, "which is tried again now; all its commands are kept; it may be sent until"),
        (
            {"expires_at": T + 50, "earlier": 3},
            f"its time was over at {instant(T + 50)}; at the next look it expires.",
        ),
    ],
)
def test_a_waiting_command_says_for_what_it_waits(changes: dict[str, Any], said: str) -> None:
    assert said in standing(Story(command=command(State.WAITING, **changes)), now=T + 100)


def test_a_command_to_be_tried_again_says_why_and_when() -> None:
    put_off = command(State.RETRY, attempts=2, reason="throttled", error_code=130429, next_action_at=T + 900)
    assert standing(Story(command=put_off), now=T + 100) == (
        f"retry: attempt 2 came to nothing (throttled, error 130429); the sender looks at it again at {instant(T + 900)}; "
        f"it may be sent until {instant(T + 86_400_000)}."
    )


def test_a_call_under_way_says_since_when() -> None:
    story = Story(command=command(State.STARTED, attempts=1), attempts=(attempt(),))
    assert standing(story, now=T + 100).startswith("started: the call to Meta is under way since 80 ms; without an answer")


def test_an_unknown_command_says_until_when_evidence_is_waited_for() -> None:
    lost = attempt(finished_at=T + 60, outcome="unknown", reason="no_answer")
    story = Story(command=command(State.UNKNOWN, attempts=1, next_action_at=T + 120_000, has_outcome=True), attempts=(lost,))
    assert standing(story, now=T + 100) == (
        f"unknown: Meta may have it; waits for a status webhook until {instant(T + 120_000)}, then is reported as unresolved. "
        "The log has its outcome."
    )
    assert "is about to be reported as unresolved" in standing(story, now=T + 120_000)


@pytest.mark.parametrize("no", [1, 2])
@pytest.mark.parametrize("state", [State.UNKNOWN, State.UNRESOLVED])
def test_evidence_for_any_attempt_that_the_sender_has_not_seen_yet_is_named(state: State, no: int) -> None:
    story = Story(command=command(state, attempts=2), attempts=(attempt(1), attempt(2)), statuses=(heard("sent", T + 90, no=no),))
    assert "at its next look the sender makes it accepted" in standing(story, now=T + 100)


@pytest.mark.parametrize("statuses", [(), (heard("sent", T + 90, no=2, type="payment"),), (heard("sent", T, no=None),)])
def test_what_the_sender_takes_for_no_evidence_is_none_here_either(statuses: tuple[Status, ...]) -> None:
    story = Story(command=command(State.UNRESOLVED, attempts=2), attempts=(attempt(1), attempt(2)), statuses=statuses)
    assert "not sent again by itself, its producer decides" in standing(story, now=T + 100)


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((), "no status webhook has come yet"),
        ((heard("read", T + 90), heard("sent", T + 80)), "the last news of it is read; nothing is left to do"),
        ((heard("sent", T + 80), heard("failed", T + 90, error_code=131026)), "could not deliver it (error 131026)"),
        ((heard("pending", T + 80, type="payment"), heard("of tomorrow", T + 80)), "no status webhook has come yet"),
    ],
)
def test_an_accepted_command_says_how_far_it_came(statuses: tuple[Status, ...], said: str) -> None:
    story = Story(command=command(State.ACCEPTED, attempts=1), attempts=(attempt(),), statuses=statuses)
    assert said in standing(story, now=T + 100)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_last_line_that_begins_with_its_name(state: State) -> None:
    assert standing(Story(command=command(state)), now=T + 100).startswith(f"{state}: ")


def test_the_outcomes_looked_for_in_the_outbox_are_those_the_sender_writes() -> None:
    possible = outcome_ids(COMMAND_ID, 1)
    assert possible[ids.outcome_event_id(COMMAND_ID, 0, "refused")] == (0, "refused")
    assert possible[ids.outcome_event_id(COMMAND_ID, 1, "unresolved")] == (1, "unresolved")
    assert ids.outcome_event_id(COMMAND_ID, 2, "accepted") not in possible


def test_programs_get_everything_and_the_last_line() -> None:
    story = Story(command=command(State.REFUSED, reason="no_consent"), statuses=(heard("sent", T),))
    told = as_object(story, now=T)
    assert list(told) == ["command", "attempts", "statuses", "outbox", "resends", "standing"]
    assert (told["command"]["reason"], told["statuses"][0]["recorded_at"]) == ("no_consent", T)
    assert told["standing"].startswith("refused: our gate said no (no_consent)")


def test_who_wanted_it_sent_again_and_what_came_of_it_is_told() -> None:
    asked = tuple(
        Resend(asked_at=T + n, asked_by="ana", why="she waits", is_sent=sent) for n, sent in enumerate((True, False, None))
    )
    told = [line.text for line in lines(Story(command=command(State.RETRY), resends=asked)) if "ana" in line.text]
    assert told == [
        "ana wanted it sent again: she waits",
        "ana wanted it sent again: she waits; it had gone on by itself",
        "ana wanted it sent again: she waits; the sender has not come to it yet",
    ]


def test_an_expired_command_says_when_its_time_was_over_and_a_doubled_one_that_it_is() -> None:
    assert "its time was over at " in standing(Story(command=command(State.EXPIRED)), now=T)
    doubled = standing(Story(command=command(State.ACCEPTED, is_duplicate=True)), now=T)
    assert "Meta accepted more than one attempt" in doubled


def test_a_deferral_in_the_outbox_is_known_by_its_cause() -> None:
    known = outcome_ids("c", 1)
    assert known[ids.outcome_event_id("c", 1, "deferred/throttled")] == (1, "deferred")
    assert known[ids.outcome_event_id("c", 0, "deferred/phone_paused")] == (0, "deferred")


def test_shortened_message_ids_are_shortened_everywhere() -> None:
    story = Story(
        command=command(State.ACCEPTED, wamid=WAMID), attempts=(attempt(wamid=WAMID), attempt(2)), statuses=(heard("sent", T),)
    )
    assert WAMID not in str(with_short_wamids(story))
    assert str(with_short_wamids(story)).count(SHORT) == 3
