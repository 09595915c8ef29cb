"""Does a number soon send as fast as Meta lets it, and hardly ever faster?"""

from __future__ import annotations

import pytest

from benchmarks.limiter_simulation import busiest_window
from benchmarks.throttle_simulation import simulate
from services.common.domain import throttle
from services.common.domain.throttle import Throttle

CHANGES = ((0.0, 80), (5.0, 40), (30.0, 80))
"""Each time five seconds to find out; the last phase ends at 45."""


@pytest.mark.parametrize("seeds", [range(first, first + 50) for first in range(0, 100, 50)], ids=str)
@pytest.mark.failure("S8")
def test_five_seconds_after_a_change_a_number_uses_95_percent_and_one_in_a_hundred_is_refused(seeds: range) -> None:
    for seed in seeds:
        seen = simulate(80, CHANGES, seconds=40.0, seed=seed)
        assert seen.refused_share(0.0, 5.0) == 0.0, seed
        assert seen.rate(10.0, 30.0) >= 0.95 * 40, seed
        assert seen.rate(35.0, 40.0) >= 0.95 * 80, seed
        assert seen.refused_share(10.0, 40.0) <= 0.01, seed


@pytest.mark.parametrize(("limit", "held"), [(80, 60), (80, 20), (1000, 400)])
def test_other_changes_are_found_too(limit: int, held: int) -> None:
    for seed in range(3):
        seen = simulate(limit, ((0.0, limit), (3.0, held)), seconds=13.0, seed=seed)
        assert seen.rate(8.0, 13.0) >= 0.92 * held, seed
        assert seen.refused_share(8.0, 13.0) <= 0.03, seed


@pytest.mark.failure("S8")
def test_a_number_that_is_refused_at_its_first_message_is_soon_at_full_speed() -> None:
    for seed in range(20):
        seen = simulate(80, ((0.0, 0), (0.2, 80)), seconds=20.0, seed=seed)
        assert seen.refused, seed
        assert seen.rate(15.0, 20.0) >= 0.9 * 80, seed


@pytest.mark.parametrize("held", [1, 2, 5, 10])
def test_where_meta_holds_very_little_one_message_in_five_seconds_is_refused_at_most(held: int) -> None:
    for seed in range(5):
        seen = simulate(80, ((0.0, held),), seconds=130.0, seed=seed)
        assert sum(at >= 10.0 for at in seen.refused) <= 12 * 2, seed
        assert seen.rate(10.0, 130.0) >= 0.8 * held, seed


def test_a_number_that_meta_never_refuses_is_held_back_by_its_limit_alone() -> None:
    for seed in range(5):
        seen = simulate(80, ((0.0, 10_000),), seconds=20.0, seed=seed)
        assert busiest_window(sorted(seen.accepted)) <= 80
        assert seen.rate(10.0, 20.0) >= 0.95 * 80, "once the fastest round trip is known"
        assert not seen.refused


def test_while_searching_one_message_is_under_way_at_a_time() -> None:
    brake = Throttle(limit=80)
    for turn in range(80):
        throttle.taken(brake, sent_at=turn / 80, now=turn / 80 + 0.05)
    throttle.refused(brake, sent_at=1.0, unanswered=0, now=1.05)
    assert throttle.wait_seconds(brake, now=1.05) > 0.1, "a quarter of the last second has to be over"
    throttle.written(brake, now=1.3)
    assert throttle.wait_seconds(brake, now=5.0) > 0.0, "its answer is not there"
    throttle.taken(brake, sent_at=1.3, now=5.0)
    assert throttle.wait_seconds(brake, now=5.0) == 0.0


def test_a_lost_answer_does_not_stop_the_search() -> None:
    brake = Throttle(limit=80)
    throttle.refused(brake, sent_at=1.0, unanswered=40, now=1.05)
    throttle.written(brake, now=2.0)
    throttle.taken(brake, sent_at=2.0, now=12.0)
    assert throttle.wait_seconds(brake, now=12.0) == 0.0


def test_a_new_limit_below_what_meta_holds_ends_the_throttle() -> None:
    brake = Throttle(limit=80)
    throttle.refused(brake, sent_at=1.0, unanswered=40, now=1.05)
    assert throttle.rate(brake, now=2.0) < 41
    throttle.with_limit(brake, 20)
    assert throttle.rate(brake, now=2.0) == 20
    throttle.written(brake, now=2.0)
    assert brake.held is None
