"""Do a few refusals come at once, and those of a flood each in its turn?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.patience import Patience


def patience() -> Patience:
    return Patience(per_second=100, burst=50, longest=2.0)


def test_as_many_as_a_burst_wait_for_nothing() -> None:
    of = patience()
    assert [of.seconds(1_000.0) for _ in range(50)] == [0.0] * 50


@pytest.mark.failure("I8")
def test_in_a_flood_each_has_its_turn_and_nobody_waits_for_ever() -> None:
    of = patience()
    waits = [of.seconds(1_000.0) for _ in range(10_000)]
    assert waits[50:53] == pytest.approx([0.01, 0.02, 0.03])
    assert max(waits) == pytest.approx(2.0)
    assert of.seconds(1_001.0) == pytest.approx(1.01)


def test_after_a_silence_there_is_a_burst_again() -> None:
    of = patience()
    for _ in range(10_000):
        of.seconds(1_000.0)
    assert [of.seconds(1_002.5) for _ in range(51)] == [*[0.0] * 50, pytest.approx(0.01)]


@given(st.lists(st.floats(0, 0.05), min_size=60, max_size=200))
def test_whatever_comes_no_second_has_more_turns_than_a_burst_and_its_own(pauses: list[float]) -> None:
    of, now, turns = patience(), 1_000.0, list[float]()
    for pause in pauses:
        now += pause
        turns.append(now + of.seconds(now))
    assert all(sum(at <= turn < at + 1.0 for turn in turns) <= 50 + 100 + 1 for at in turns)
