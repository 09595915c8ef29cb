"""Does a number whose calls hang hold little, and one whose calls are answered everything it may?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import in_flight
from services.common.domain.in_flight import LEAST, InFlight


def after(state: InFlight, *round_trips: float | None, most: int = 160) -> InFlight:
    """None is a call without an answer."""
    for one in round_trips:
        if one is None:
            state = in_flight.lost(state, most=most, sent_at=0.0, now=0.0)
        else:
            state = in_flight.answered(state, one, most=most)
    return state


def test_what_is_answered_as_usual_may_all_be_under_way() -> None:
    assert after(InFlight(160), *[0.08] * 50).most == 160


@pytest.mark.failure("S6")
def test_a_number_that_hangs_is_soon_at_the_least_and_soon_back() -> None:
    hanging = after(InFlight(160, 0.08), *[None] * 20)
    assert hanging.most == LEAST
    assert after(hanging, *[0.08] * 156).most == 160


def test_slow_answers_shrink_it_until_they_are_the_usual_ones() -> None:
    usual = after(InFlight(160), *[0.1] * 100)
    slow = after(usual, *[0.6] * 30)
    assert 100 < slow.most < 160
    assert after(slow, *[0.6] * 300).most == 160


@pytest.mark.parametrize("round_trip", [0.001, 0.05, 0.1])
def test_nothing_fast_is_slow(round_trip: float) -> None:
    assert after(InFlight(160, 0.001), *[round_trip] * 10).most == 160


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 20.0)), max_size=300), st.integers(1, 2000))
def test_it_is_never_less_than_the_least_nor_more_than_allowed(round_trips: list[float | None], most: int) -> None:
    state = InFlight(float("inf"))
    for one in round_trips:
        state = after(state, one, most=most)
        assert LEAST <= state.most <= max(LEAST, most)


def test_of_those_that_were_under_way_together_only_the_first_few_begin_a_rest() -> None:
    state = after(InFlight(160, 0.08), None, None, None)
    assert not in_flight.is_silent(state)
    assert state.rest_seconds == 0.0
    for nth in range(100):
        state = in_flight.lost(state, most=160, sent_at=1.0, now=11.0 + nth / 1000)
    assert (state.rest_seconds, state.rests_until) == (0.5, 11.5)
    assert in_flight.allowed(state) == 1


def test_each_call_in_vain_doubles_the_rest_and_an_answer_ends_it() -> None:
    state, now, rests = InFlight(LEAST, 0.08), 0.0, []
    for _ in range(12):
        now += state.rest_seconds
        state = in_flight.lost(state, most=160, sent_at=now, now=now + 10.0)
        now += 10.0
        rests.append(state.rest_seconds)
    assert rests == [0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    back = in_flight.answered(state, 0.08, most=160)
    assert in_flight.allowed(back) == LEAST + 1
    assert in_flight.lost(back, most=160, sent_at=now, now=now).rest_seconds == 0.0
