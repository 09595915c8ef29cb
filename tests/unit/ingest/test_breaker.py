"""Does the breaker refuse at once while the log is away, and let exactly one try through at a time?"""

from __future__ import annotations

import itertools

import pytest

from services.ingest.breaker import Breaker
from services.ingest.budget import Budget


def opened(at: float = 10.0) -> Breaker:
    breaker = Breaker(misses=3, probe_seconds=0.5)
    for _ in range(3):
        breaker.missed(at)
    return breaker


def test_it_stays_closed_below_the_third_miss_in_a_row() -> None:
    breaker = Breaker(misses=3, probe_seconds=0.5)
    for at in range(100):
        breaker.missed(at)
        breaker.missed(at)
        assert breaker.admits(at)
        breaker.acknowledged()
    assert not breaker.is_open


@pytest.mark.failure("I4")
def test_the_third_miss_in_a_row_opens_it() -> None:
    breaker = opened()
    assert breaker.is_open
    assert not breaker.admits(10.0)
    assert not breaker.admits(10.499)


def test_one_probe_passes_after_the_pause_and_only_one() -> None:
    breaker = opened()
    assert breaker.admits(10.5)
    assert not any(breaker.admits(10.5 + step / 10) for step in range(100))


def test_a_probe_that_misses_is_followed_by_a_pause_and_another_probe() -> None:
    breaker = opened()
    assert breaker.admits(10.5)
    breaker.missed(13.0)
    assert not breaker.admits(13.4)
    assert breaker.admits(13.5)


def test_a_probe_that_is_acknowledged_closes_it() -> None:
    breaker = opened()
    assert breaker.admits(10.5)
    breaker.acknowledged()
    assert not breaker.is_open
    assert breaker.admits(10.5)
    assert breaker.admits(10.5)


def test_a_late_acknowledgement_closes_it_without_a_probe() -> None:
    breaker = opened()
    breaker.acknowledged()
    assert breaker.admits(10.0)


def test_closing_forgets_earlier_misses() -> None:
    breaker = opened()
    breaker.acknowledged()
    breaker.missed(11.0)
    breaker.missed(11.0)
    assert not breaker.is_open


@pytest.mark.failure("I4")
def test_every_short_history_agrees_with_the_rule() -> None:
    steps = ("miss", "ack", "ask", "wait")
    for history in itertools.product(steps, repeat=7):
        breaker = Breaker(misses=2, probe_seconds=1.0)
        now, misses, last_miss, probing = 0.0, 0, 0.0, False
        for step in history:
            match step:
                case "miss":
                    breaker.missed(now)
                    misses, last_miss, probing = misses + 1, now, False
                case "ack":
                    breaker.acknowledged()
                    misses, probing = 0, False
                case "wait":
                    now += 0.6
                case _:
                    is_open = misses >= 2
                    expected = not is_open or (not probing and now - last_miss >= 1.0)
                    assert breaker.admits(now) is expected, history
                    probing = probing or (is_open and expected)
            assert breaker.is_open is (misses >= 2), history


@pytest.mark.failure("I10")
def test_a_budget_refuses_what_would_exceed_it_until_something_is_given_back() -> None:
    budget = Budget(10)
    assert budget.take(6)
    assert not budget.take(5)
    assert budget.take(4)
    budget.release(6)
    assert budget.take(5)
    assert budget.used == 9


def test_a_single_take_above_the_ceiling_passes_when_nothing_is_held() -> None:
    budget = Budget(10)
    assert budget.take(11)
    assert not budget.take(1)
