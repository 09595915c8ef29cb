"""Is the time until everything is normal again read rightly from when things began and were there?"""

from __future__ import annotations

import pytest

from tests.faults.storm.delays import Mark, Spread, late_stretches, recovery, spread

LIMIT = 1.0


def marks(*times: tuple[float, float | None]) -> list[Mark]:
    return [Mark(began=began, done=done) for began, done in times]


def after(
    ended_at: float, *times: tuple[float, float | None], now: float = 100.0, others: tuple[float, ...] = ()
) -> float | None:
    return recovery(late_stretches(marks(*times), limit=LIMIT, now=now), ended_at=ended_at, limit=LIMIT, others=others)


def test_nothing_late_means_no_time() -> None:
    assert after(10.0, (9.0, 9.5), (10.0, 11.0), (12.0, 12.2)) == 0.0


def test_what_waited_through_the_fault_counts_until_it_is_there() -> None:
    assert after(10.0, (5.0, 13.0)) == 3.0


def test_what_came_back_before_the_end_of_the_fault_does_not_count() -> None:
    assert after(10.0, (5.0, 9.0)) == 0.0


def test_a_kill_shows_only_some_time_after_it() -> None:
    assert after(10.0, (10.5, 14.0), (11.0, 14.1)) == pytest.approx(4.1)


def test_what_is_late_long_afterwards_is_not_the_fault_s() -> None:
    assert after(10.0, (30.0, 34.0)) == 0.0


def test_a_short_calm_does_not_end_it() -> None:
    assert after(10.0, (5.0, 13.0), (13.5, 16.0)) == 6.0
    assert after(10.0, (5.0, 13.0), (20.0, 26.0)) == 3.0


def test_what_never_came_lasts_until_now() -> None:
    assert after(10.0, (5.0, None), now=50.0) == 40.0


def test_what_another_fault_may_have_prolonged_is_not_told() -> None:
    assert after(10.0, (5.0, 18.0), others=(17.0,)) is None
    assert after(10.0, (5.0, 18.0), others=(19.0,)) == 8.0
    assert after(10.0, others=(11.0,)) is None


def test_a_spread_is_exact() -> None:
    assert spread([]) is None
    assert spread(float(n) for n in range(100, 0, -1)) == Spread(count=100, median=50.0, p99=99.0, worst=100.0)
    assert spread([3.0]) == Spread(count=1, median=3.0, p99=3.0, worst=3.0)
