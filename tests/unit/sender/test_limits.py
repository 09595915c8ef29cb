"""Is the limit of a number changed by what Meta tells, once, and told when it is another?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.common.domain.account_state import Source
from services.common.platform.registry import RegisteredNumber
from services.sender.limits import Change, Limit, change_of, event_of
from services.sender.number_client import NumberSeen, seen

NOW = 1_800_000_000_000
NUMBER = RegisteredNumber(
    phone_number_id="1",
    waba_id="9",
    display_phone_number=None,
    messages_per_second=80,
    state="active",
    sealed_token=b"",
    updated_at=NOW - 9,
)
KNOWN = Limit(messages_per_second=80, upgraded_at=None)
HIGH = NumberSeen(is_blocked=False, messages_per_second=1000)
STANDARD = NumberSeen(is_blocked=False, messages_per_second=80)
UNREADABLE = NumberSeen(is_blocked=False, messages_per_second=None)


def changed(number: RegisteredNumber = NUMBER, known: Limit | None = KNOWN, **told: Any) -> Change | None:
    return change_of(number, known, **{"upgraded_at": None, "is_shared": False, "seen": None, "now": NOW, **told})


def test_a_number_is_noted_when_it_is_first_seen_and_that_is_no_news() -> None:
    change = changed(known=None)
    assert change is not None
    assert (change.limit, change.is_told) == (KNOWN, False)
    assert changed() is None


def test_an_operators_change_is_told() -> None:
    change = changed(replace(NUMBER, messages_per_second=500))
    assert change is not None
    assert (change.limit.messages_per_second, change.source, change.is_told) == (500, Source.OPERATOR, True)


@pytest.mark.parametrize("answer", [HIGH, UNREADABLE, None])
def test_an_upgrade_is_followed_where_meta_says_so_or_cannot_be_asked(answer: NumberSeen | None) -> None:
    change = changed(upgraded_at=NOW - 5, seen=answer)
    assert change is not None
    assert change.limit == Limit(messages_per_second=1000, upgraded_at=NOW - 5)
    assert (change.source, change.is_told) == (Source.WEBHOOK, True)


def test_an_upgrade_that_was_followed_is_not_followed_again_when_an_operator_knows_better() -> None:
    number, known = replace(NUMBER, messages_per_second=500), Limit(messages_per_second=500, upgraded_at=NOW - 5)
    assert changed(number, known, upgraded_at=NOW - 5) is None


def test_while_meta_still_calls_it_standard_an_upgrade_is_waited_for_and_then_given_up() -> None:
    assert changed(upgraded_at=NOW - 5, seen=STANDARD) is None
    change = changed(upgraded_at=NOW - 600_001, seen=STANDARD)
    assert change is not None
    assert (change.limit, change.is_told) == (Limit(messages_per_second=80, upgraded_at=NOW - 600_001), False)


def test_a_shared_number_is_at_twenty_and_stays_there() -> None:
    change = changed(is_shared=True)
    assert change is not None
    assert (change.limit.messages_per_second, change.is_coexistence, change.is_told) == (20, True, True)
    shared = replace(NUMBER, messages_per_second=20, is_coexistence=True)
    upgraded = changed(shared, Limit(messages_per_second=20, upgraded_at=None), upgraded_at=NOW - 5, seen=HIGH)
    assert upgraded is not None
    assert (upgraded.limit.messages_per_second, upgraded.is_told) == (20, False)
    slower = changed(replace(NUMBER, messages_per_second=5), Limit(messages_per_second=5, upgraded_at=None), is_shared=True)
    assert slower is not None
    assert (slower.limit.messages_per_second, slower.is_coexistence) == (5, True)


def test_the_event_of_a_change_has_always_the_same_id() -> None:
    change = changed(upgraded_at=NOW - 5)
    assert change is not None
    first, again = event_of(change, now=NOW), event_of(change, now=NOW + 1)
    assert first.event_id == again.event_id
    assert (first.state, first.messages_per_second, first.waba_id) == ("limit", 1000, "9")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"throughput":{"level":"HIGH"},"health_status":{"can_send_message":"AVAILABLE"}}', HIGH),
        (b'{"throughput":{"level":"STANDARD"}}', STANDARD),
        (b'{"throughput":{"level":"NOT_APPLICABLE"}}', UNREADABLE),
        (b'{"health_status":{"can_send_message":"BLOCKED"}}', NumberSeen(is_blocked=True, messages_per_second=None)),
        (b'{"health_status":{"can_send_message":"LIMITED"},"throughput":7}', UNREADABLE),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_what_meta_says_of_a_number_is_read_for_what_is_known(payload: bytes, expected: NumberSeen | None) -> None:
    assert seen(payload) == expected
