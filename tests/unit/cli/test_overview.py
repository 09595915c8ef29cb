"""Does a list of commands say how each stands, and nothing of whom it is for?"""

from __future__ import annotations

import dataclasses

import pytest

from services.cli.overview import (
    COUNTS_HEAD,
    HEAD,
    Count,
    Listed,
    State,
    as_object,
    count_rows,
    in_order,
    nothing,
    row,
    shown_type,
)
from services.common.domain.lanes import Lane

NOW = 1_700_000_000_000
LISTED = Listed(
    command_id="7c9e6679-7425-40de-944b-e07fc1f90ae7",
    phone_number_id="106540352242922",
    lane=Lane.BULK,
    type="template",
    state=State.RETRY,
    reason="throttled",
    error_code=130429,
    attempts=2,
    appended_at=NOW - 65_000,
    next_look_at=NOW + 1_500,
)


def test_a_row_says_how_old_a_command_is_and_when_it_is_looked_at_next() -> None:
    assert dict(zip(HEAD, row(LISTED, now=NOW), strict=True)) == {
        "COMMAND ID": LISTED.command_id,
        "NUMBER ID": LISTED.phone_number_id,
        "LANE": "bulk",
        "TYPE": "template",
        "STATE": "retry",
        "REASON": "throttled",
        "CODE": "130429",
        "ATTEMPTS": "2",
        "AGE": "1 min 5 s",
        "NEXT LOOK": "in 1.5 s",
    }


def test_what_is_overdue_says_since_when_and_what_has_ended_has_no_next_look() -> None:
    assert row(dataclasses.replace(LISTED, next_look_at=NOW - 4_000), now=NOW)[-1] == "due for 4.0 s"
    ended = dataclasses.replace(LISTED, state=State.ACCEPTED, reason=None, error_code=None, next_look_at=None)
    assert row(ended, now=NOW)[5:] == ("-", "-", "2", "1 min 5 s", "-")


def test_a_command_from_a_clock_ahead_of_ours_has_no_negative_age() -> None:
    ahead = dataclasses.replace(LISTED, appended_at=NOW + 10)
    assert row(ahead, now=NOW)[8] == "0 ms"
    assert as_object(ahead, now=NOW)["age_seconds"] == 0


def test_programs_get_the_same_with_instants_in_milliseconds() -> None:
    told = as_object(LISTED, now=NOW)
    assert (told["age_seconds"], told["appended_at"], told["next_look_at"]) == (65.0, NOW - 65_000, NOW + 1_500)
    assert len(told) == len(HEAD) + 1


def test_counts_are_a_line_for_each_state_in_the_order_of_a_commands_life() -> None:
    counts = [
        Count(state=State.UNKNOWN, lane=Lane.BULK, count=1),
        Count(state=State.ACCEPTED, lane=Lane.BULK, count=12),
        Count(state=State.ACCEPTED, lane=Lane.OTP, count=3),
        Count(state=State.WAITING, lane=Lane.TRANSACTIONAL, count=7),
    ]
    assert COUNTS_HEAD == ("STATE", "OTP", "TRANSACTIONAL", "BULK")
    assert count_rows(counts) == [("waiting", "0", "7", "0"), ("accepted", "3", "0", "12"), ("unknown", "0", "0", "1")]
    assert [one.count for one in in_order(counts)] == [7, 3, 12, 1]


@pytest.mark.parametrize(
    ("state", "number", "said"),
    [
        (None, None, "There is no command."),
        (None, "1065", "There is no command of number 1065."),
        (State.UNKNOWN, None, "No command is in state unknown."),
        (State.RETRY, "1065", "No command of number 1065 is in state retry."),
    ],
)
def test_an_empty_answer_says_what_there_is_not(state: State | None, number: str | None, said: str) -> None:
    assert nothing(state, number) == said


def test_a_type_is_a_word_and_what_a_producer_wrote_in_its_place_is_not_repeated() -> None:
    assert [shown_type(one) for one in ("template", "tempalte", "interactive_list")] == [
        "template",
        "tempalte",
        "interactive_list",
    ]
    assert {shown_type(one) for one in ("5511987654321", "Call me tonight", "", "x" * 33, "text\x1b[2J")} == {"no type"}
