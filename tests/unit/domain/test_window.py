from __future__ import annotations

from functools import reduce
from itertools import permutations, product

import pytest

from services.common.domain import window

DAY = 86_400_000
WROTE_AT = 1_764_000_000_000


def test_the_window_closes_24_hours_after_the_contact_wrote() -> None:
    assert window.open_until(WROTE_AT) == WROTE_AT + DAY


@pytest.mark.parametrize(
    ("now", "guard_seconds", "is_open"),
    [
        pytest.param(WROTE_AT, 60, True, id="just written"),
        pytest.param(WROTE_AT - 5_000, 60, True, id="written in what our clock calls the future"),
        pytest.param(WROTE_AT + DAY - 60_001, 60, True, id="just before the guard"),
        pytest.param(WROTE_AT + DAY - 60_000, 60, False, id="the guard begins"),
        pytest.param(WROTE_AT + DAY - 1, 0, True, id="last millisecond without a guard"),
        pytest.param(WROTE_AT + DAY, 0, False, id="the end itself is closed"),
        pytest.param(WROTE_AT + DAY - 500, 0.5, False, id="a guard of half a second"),
    ],
)
@pytest.mark.failure("R21")
def test_the_window_is_open_until_the_guard_begins(now: int, guard_seconds: float, is_open: bool) -> None:
    assert window.is_open(WROTE_AT, now=now, guard_seconds=guard_seconds) is is_open


def test_the_guard_is_a_minute_unless_told_otherwise() -> None:
    assert window.is_open(WROTE_AT, now=WROTE_AT + DAY - 60_001)
    assert not window.is_open(WROTE_AT, now=WROTE_AT + DAY - 60_000)


def test_a_contact_that_never_wrote_has_no_window() -> None:
    assert not window.is_open(None, now=0)


def test_any_order_and_repetition_of_messages_ends_in_the_latest() -> None:
    for seen in product((None, 1, 2, 3), repeat=4):
        latest = max((at for at in seen if at is not None), default=None)
        assert {reduce(window.merge, order) for order in permutations(seen)} == {latest}
