from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.limiter_simulation import Plan, busiest_window, simulate
from services.common.domain import delay_spread, limiter
from services.common.domain.delay_spread import LEAST_SECONDS, MOST_SECONDS, WINDOW_SAMPLES, DelaySpread
from services.common.domain.limiter import Throughput


def windows(spread: DelaySpread, count: int, *, varies_by: float, rng: Random) -> None:
    for _ in range(count * WINDOW_SAMPLES):
        delay_spread.sample(spread, 0.1 + rng.random() * varies_by)


# --- what is measured


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.integers(1, 700), st.floats(0, 1e4), st.floats(0, 1e4)), max_size=5),
    st.randoms(use_true_random=False),
)
def test_j_stays_within_its_bounds_whatever_the_round_trips_and_moves_once_a_window(
    jitter: float, stretches: list[tuple[int, float, float]], rng: Random
) -> None:
    spread, samples = delay_spread.start(jitter), 0
    for count, fastest, varies_by in stretches:
        for _ in range(count):
            before = spread.jitter_seconds
            is_measured = delay_spread.sample(spread, fastest + rng.random() * varies_by)
            samples += 1
            assert is_measured == (samples % WINDOW_SAMPLES == 0)
            assert is_measured or spread.jitter_seconds == before
            assert LEAST_SECONDS <= spread.jitter_seconds <= MOST_SECONDS
            assert len(spread.window) < WINDOW_SAMPLES


@pytest.mark.parametrize(
    ("varies_by", "measured"),
    [(0.0, 0.005), (0.015, 0.005), (0.03, 0.0075), (0.12, 0.03), (0.18, 0.045), (0.4, 0.05)],
)
@pytest.mark.parametrize("begin", [0.005, 0.015, 0.05])
def test_j_comes_to_a_quarter_of_what_round_trips_vary_by(begin: float, varies_by: float, measured: float) -> None:
    spread = delay_spread.start(begin)
    windows(spread, 30, varies_by=varies_by, rng=Random(1))
    assert spread.jitter_seconds == pytest.approx(measured, rel=0.05)


def test_a_window_counts_for_a_quarter() -> None:
    spread = delay_spread.start(0.015)
    windows(spread, 1, varies_by=10.0, rng=Random(1))
    assert spread.jitter_seconds == pytest.approx(0.015 + (0.050 - 0.015) / 4), "clamped before it counts"


def test_one_answer_in_a_hundred_may_be_as_slow_and_one_as_fast_as_it_likes() -> None:
    calm, disturbed = delay_spread.start(0.015), delay_spread.start(0.015)
    for n in range(4 * WINDOW_SAMPLES):
        round_trip = 0.1 + (n % 50) / 1000
        delay_spread.sample(calm, round_trip)
        delay_spread.sample(disturbed, {0: 10.0, 1: 0.001}.get(n % 100, round_trip))
    assert disturbed.jitter_seconds == pytest.approx(calm.jitter_seconds, abs=0.001)


def test_a_limiter_is_changed_only_when_j_has_moved_by_more_than_a_millisecond() -> None:
    log = limiter.inherit(Throughput(limit=80, jitter_seconds=0.015), (), now=0.0)
    assert delay_spread.apply(DelaySpread(jitter_seconds=0.0159), log) is log
    assert delay_spread.apply(DelaySpread(jitter_seconds=0.0141), log) is log
    assert delay_spread.apply(DelaySpread(jitter_seconds=0.0161), log).policy.jitter_seconds == 0.0161
    assert delay_spread.apply(DelaySpread(jitter_seconds=0.0139), log).policy.jitter_seconds == 0.0139


# --- the promise and what it costs, in virtual time


@pytest.mark.parametrize("spread_seconds", [0.005, 0.015, 0.060, 0.200])
@pytest.mark.parametrize("begin", [0.005, 0.050])
def test_no_sliding_second_exceeds_the_limit_whatever_round_trips_vary_by(begin: float, spread_seconds: float) -> None:
    policy = Throughput(limit=150, jitter_seconds=begin)
    histories = []
    for seed in range(12):
        hand_over = 6.0 if seed % 2 else None
        plan = Plan(
            horizon_seconds=14.0,
            spread_seconds=spread_seconds,
            pauses_per_second=0.2,
            idles_per_second=0.2,
            hand_over_every_seconds=hand_over,
            leaves="crash",
        )
        histories.append(simulate(policy, plan, seed))
    assert 140 < max(busiest_window(history.arrivals) for history in histories) <= 150
    assert sum(bool(history.jitters) for history in histories) >= 10


@pytest.mark.parametrize(("spread_seconds", "at_least"), [(0.005, 0.985), (0.015, 0.98), (0.060, 0.95)])
def test_a_saturated_number_uses_what_its_delays_allow(spread_seconds: float, at_least: float) -> None:
    for seed in range(6):
        history = simulate(Throughput(limit=80), Plan(horizon_seconds=61.0, spread_seconds=spread_seconds), seed)
        assert sum(31.0 <= at < 61.0 for at in history.writes) / (80 * 30.0) >= at_least, seed
        assert busiest_window(history.arrivals) <= 80
