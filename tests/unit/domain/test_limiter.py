from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.limiter_simulation import History, Plan, busiest_window, simulate
from services.common.domain import limiter
from services.common.domain.limiter import AdmissionLog, Throughput
from tests.support.limiting import spend

SEEDS = {1: 800, 5: 800, 20: 400, 80: 150, 250: 30, 1000: 6}
"""Runs per limit: thousands in all, fewer where a run has more messages in it."""

LIMITS = [pytest.param(limit, id=f"{limit}-per-second") for limit in SEEDS]


def horizon_seconds(limit: int) -> float:
    """Long enough for several hand-overs, and for several slots where the limit is low."""
    return 12.0 if limit < 20 else 6.0


def worst_of(limit: int, plan: Plan, seeds: range) -> tuple[int, list[History]]:
    histories = [simulate(Throughput(limit=limit), plan, seed) for seed in seeds]
    return max(busiest_window(history.arrivals) for history in histories), histories


# --- the promise, in virtual time


@pytest.mark.parametrize("limit", LIMITS)
def test_no_sliding_second_exceeds_the_limit_when_owners_crash_linger_and_inherit(limit: int) -> None:
    plan = Plan(
        horizon_seconds=horizon_seconds(limit),
        hand_over_every_seconds=1.3,
        way="inherit",
        pauses_per_second=0.3,
        idles_per_second=0.3,
        ahead_seconds=0.2,
    )
    worst, histories = worst_of(limit, plan, range(SEEDS[limit]))
    assert worst == limit or (worst < limit and limit >= 250)
    assert any(history.zombie_writes for history in histories)


@pytest.mark.parametrize("limit", LIMITS)
def test_no_sliding_second_exceeds_the_limit_when_owners_start_quietly(limit: int) -> None:
    plan = Plan(
        horizon_seconds=horizon_seconds(limit),
        hand_over_every_seconds=2.0,
        way="quiet",
        pauses_per_second=0.3,
        ahead_seconds=0.2,
    )
    worst, histories = worst_of(limit, plan, range(SEEDS[limit] // 2))
    assert 0 < worst <= limit
    assert any(history.zombie_writes for history in histories)


@pytest.mark.parametrize("limit", [80, 1000])
def test_twenty_restarts_in_a_minute_do_not_exceed_the_limit(limit: int) -> None:
    plan = Plan(horizon_seconds=20.0, hand_over_every_seconds=1.0, leaves="crash", absence_seconds=0.3)
    worst, _ = worst_of(limit, plan, range(4))
    assert 0 < worst <= limit


# --- the checker sees what it is there to see


def test_an_owner_that_forgets_its_predecessor_is_seen_to_exceed_the_limit() -> None:
    plan = Plan(horizon_seconds=6.0, hand_over_every_seconds=1.3, way="forget", ahead_seconds=0.2)
    worst, _ = worst_of(80, plan, range(20))
    assert worst > 80


def test_a_network_less_steady_than_assumed_is_seen_to_exceed_the_limit() -> None:
    history = simulate(Throughput(limit=80, jitter_seconds=0.0), Plan(horizon_seconds=10.0), seed=1)
    delayed = sorted(at + (0.060 if index % 160 < 80 else 0.0) for index, at in enumerate(history.arrivals))
    assert busiest_window(history.arrivals) == 80
    assert busiest_window(delayed) > 80


def classic_token_bucket(rate: int, seconds: float) -> Iterator[float]:
    """What most senders ship: a full bucket of `rate` to begin with, refilled at `rate` a second."""
    now, tokens = 0.0, float(rate)
    while now < seconds:
        if tokens >= 1.0:
            tokens -= 1.0
            yield now
        else:
            now += 1.0 / rate
            tokens += 1.0


def test_a_classic_token_bucket_is_seen_to_send_almost_twice_its_limit() -> None:
    assert busiest_window(list(classic_token_bucket(80, 5.0))) >= 159


def test_the_busiest_window_is_half_open() -> None:
    assert busiest_window([0.0, 1.0]) == 1
    assert busiest_window([0.0, 0.999]) == 2
    assert busiest_window([]) == 0


# --- utilisation


def utilisation(history: History, limit: int, horizon: float) -> float:
    """Of what the limit allows from the second second on: the first is a start, not a steady state."""
    return sum(1 for at in history.writes if 1.0 <= at < horizon) / (limit * (horizon - 1.0))


@pytest.mark.parametrize(("limit", "seconds"), [(80, 61.0), (1000, 11.0), (20, 61.0)])
def test_a_saturated_number_uses_98_percent_of_its_limit(limit: int, seconds: float) -> None:
    history = simulate(Throughput(limit=limit), Plan(horizon_seconds=seconds), seed=7)
    assert 0.98 <= utilisation(history, limit, seconds) <= 0.99


@pytest.mark.parametrize("leaves", ["crash", "zombie"])
def test_a_hand_over_a_minute_leaves_97_percent(leaves: str) -> None:
    plan = Plan(
        horizon_seconds=241.0,
        hand_over_every_seconds=60.0,
        leaves="crash" if leaves == "crash" else "zombie",
        absence_seconds=0.9,
    )
    history = simulate(Throughput(limit=80), plan, seed=3)
    assert utilisation(history, 80, 241.0) >= 0.97
    assert busiest_window(history.arrivals) <= 80


def test_a_quiet_start_waits_out_everything_a_predecessor_may_still_write() -> None:
    policy = Throughput(limit=80)
    _, wait = spend(limiter.quiet(policy, now=100.0), now=100.0)
    assert wait == pytest.approx(1.0 + 0.015 + 0.25)


def test_an_idle_number_may_catch_up_by_a_fortieth_of_its_limit_and_is_paced_after_that() -> None:
    log = limiter.inherit(Throughput(limit=80), (), now=0.0)
    at_once = sum(1 for _ in range(80) if spend(log, now=50.0)[1] == 0.0)
    assert at_once == 3
    assert limiter.wait_seconds(log, now=50.0) == pytest.approx(Throughput(limit=80).spacing_seconds, rel=1e-6)


def test_what_is_admitted_and_not_written_yet_counts_and_is_given_back_by_who_writes_nothing() -> None:
    log = limiter.inherit(Throughput(limit=2, catch_up=1.0), (), now=0.0)
    assert [limiter.take(log, now=50.0)[1] for _ in range(3)] == [0.0, 0.0, 0.015], "the third is asked about again and again"
    log = limiter.not_written(log)
    assert limiter.take(log, now=50.0)[1] == 0.0
    for at in (50.2, 50.3):
        log = limiter.answered(limiter.written(log, now=at), sent_at=at, now=at)
    assert limiter.wait_seconds(log, now=50.3) == pytest.approx(50.2 + 1.015 - 50.3), "charged when they were written"


def test_a_network_that_is_said_not_to_vary_lets_no_more_be_under_way_than_the_limit() -> None:
    log = limiter.inherit(Throughput(limit=1, jitter_seconds=0.0), (), now=0.0)
    assert limiter.take(log, now=50.0)[1] == 0.0
    assert limiter.take(log, now=50.0)[1] > 0.0
    limiter.written(log, now=50.0)
    assert limiter.take(log, now=52.0)[1] > 0.0, "its answer is not there"


# --- hand-over


def test_an_inherited_start_is_charged_at_the_last_instant_its_bytes_can_go_out() -> None:
    log = limiter.inherit(Throughput(limit=1), [0.4], now=10.0)
    _, wait = spend(log, now=10.0)
    assert wait == pytest.approx(1.015 + 0.25 - 0.4)


def test_only_the_newest_starts_are_inherited_in_whatever_order_they_are_read() -> None:
    log = limiter.inherit(Throughput(limit=2), [0.5, 0.1, 0.9], now=10.0)
    assert list(log.charges) == pytest.approx([9.75, 10.15])


@pytest.mark.failure("R21")
def test_a_start_that_a_stepped_clock_puts_in_the_future_counts_as_just_started() -> None:
    log = limiter.inherit(Throughput(limit=1), [-3.0], now=10.0)
    assert list(log.charges) == [10.25]


def test_a_few_recent_starts_do_not_hold_up_an_owner_with_slots_left() -> None:
    log = limiter.inherit(Throughput(limit=80), [0.5, 0.2], now=10.0)
    assert spend(log, now=10.0)[1] == 0.0


# --- take, with_limit and debit against the plainest model there is

EXACT = Throughput(limit=1, jitter_seconds=1 / 64)
"""Binary fractions only, so that the model and the limiter agree to the last bit."""


@dataclass(frozen=True)
class Step:
    after: float
    action: str
    number: int


steps = st.lists(
    st.builds(
        Step,
        after=st.integers(0, 2048).map(lambda ticks: ticks / 1024) | st.integers(0, 64).map(lambda t: t / 1024),
        action=st.sampled_from(["take", "take", "take", "write", "write", "give back", "debit", "limit"]),
        number=st.integers(1, 8),
    ),
    max_size=60,
)


inherited = st.lists(st.tuples(st.integers(0, 1400), st.integers(0, 256)), max_size=8).map(
    lambda rows: [(age / 1024, until_write / 1024) for age, until_write in rows]
)
"""Attempts of a predecessor: how long ago each started, and how long after that, at most D, its bytes went out."""


@settings(max_examples=300, deadline=None)
@given(inherited, steps, st.integers(1, 8))
def test_an_admission_never_makes_a_window_exceed_the_lowest_limit_it_has_seen(
    attempts: list[tuple[float, float]], todo: list[Step], limit: int
) -> None:
    period, now = EXACT.period_seconds, 2.0
    policy = Throughput(limit=limit, jitter_seconds=EXACT.jitter_seconds)
    log = limiter.inherit(policy, [age for age, _ in attempts], now=now)
    spent = [now - age + until_write for age, until_write in attempts]
    limits = [(-inf, inf, limit)]
    admitted = 0
    for step in todo:
        now += step.after
        if step.action == "debit":
            log = limiter.debit(log, now=now, count=step.number)
            spent += [now] * step.number
        elif step.action == "limit":
            log = limiter.with_limit(log, step.number, now=now)
            since, _, before = limits.pop()
            limits += [(since, now, before), (now, inf, step.number)]
        elif step.action == "take":
            log, wait = limiter.take(log, now=now)
            if wait == 0.0:
                admitted += 1
                in_window = sum(1 for at in spent if at > now - period)
                assert in_window + admitted <= min(at_most for _, until, at_most in limits if until > now - period)
        elif admitted:
            admitted -= 1
            if step.action == "give back":
                log = limiter.not_written(log)
            else:
                log = limiter.answered(limiter.written(log, now=now), sent_at=now, now=now)
                spent.append(now)
        assert log.admitted == admitted
        assert len(log.charges) == log.policy.limit
        assert list(log.charges) == sorted(log.charges)


def test_a_send_occupies_its_slot_for_the_largest_j_that_was_measured_since() -> None:
    for seed in range(1_000):
        rng, now = Random(seed), 2.0
        limit = rng.randint(1, 4)
        log = limiter.inherit(Throughput(limit=limit, jitter_seconds=EXACT.jitter_seconds), (), now=now)
        sent: list[tuple[float, float]] = []
        for _ in range(60):
            now += rng.randint(0, 1024) / 1024
            if rng.random() < 0.3:
                jitter = rng.randint(0, 64) / 1024
                log = limiter.with_jitter(log, jitter)
                sent = [(at, max(largest, jitter)) for at, largest in sent]
                continue
            log, wait = spend(log, now=now)
            if wait == 0.0:
                sent.append((now, log.policy.jitter_seconds))
                assert sum(at + 1.0 + largest > now for at, largest in sent) <= limit, seed
            assert len(log.charges) == limit
            assert list(log.charges) == sorted(log.charges)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 100),
    st.floats(3, 1e7),
    st.lists(st.floats(0, 3), max_size=120),
    st.sampled_from(["inherit", "quiet"]),
)
def test_waiting_as_long_as_told_is_enough_and_never_more_than_a_window_and_d(
    limit: int, now: float, ages: list[float], way: str
) -> None:
    policy = Throughput(limit=limit)
    log = limiter.quiet(policy, now=now) if way == "quiet" else limiter.inherit(policy, ages, now=now)
    for _ in range(3):
        log, wait = spend(log, now=now)
        assert 0.0 <= wait <= policy.period_seconds + limiter.START_TO_WRITE_SECONDS + 1e-6
        now += wait
        if wait:
            log, wait = spend(log, now=now)
            assert wait == 0.0


def test_a_sleep_of_exactly_the_wait_is_enough_in_spite_of_rounding() -> None:
    rng = Random(1)
    for _ in range(500):
        now = rng.uniform(3.0, 10.0 ** rng.randint(1, 7))
        log = limiter.inherit(Throughput(limit=rng.randint(1, 1000)), (), now=now)
        for _ in range(20):
            log, wait = spend(log, now=now)
            if wait:
                now += wait
                log, wait = spend(log, now=now)
                assert wait == 0.0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50), st.lists(st.floats(0, 0.5), max_size=80))
def test_a_refused_take_changes_nothing(limit: int, gaps: list[float]) -> None:
    log, now = limiter.inherit(Throughput(limit=limit), (), now=0.0), 0.0
    for gap in gaps:
        now += gap
        before = (list(log.charges), log.next_slot)
        log, wait = spend(log, now=now)
        assert (wait > 0.0) == (before == (list(log.charges), log.next_slot))


def saturate(log: AdmissionLog, *, now: float, until: float) -> list[float]:
    sends = []
    while now < until:
        log, wait = spend(log, now=now)
        if wait == 0.0:
            sends.append(now)
        now += wait
    return sends


@pytest.mark.parametrize(("before", "after"), [(80, 20), (20, 80), (80, 56), (250, 1000), (5, 1), (1, 5)])
def test_a_changed_limit_is_soon_reached_and_never_exceeded(before: int, after: int) -> None:
    log = limiter.inherit(Throughput(limit=before), (), now=0.0)
    first = saturate(log, now=0.0, until=3.0)
    changed = limiter.with_limit(log, after, now=3.0)
    second = saturate(changed, now=3.0, until=9.0)
    assert busiest_window(second) <= after
    assert len(second) >= 0.98 * after * (6.0 - 2 * 1.015)
    if after > before:
        assert busiest_window([at for at in first + second if at < 4.0]) <= before


def test_inbound_and_outbound_together_stay_at_the_limit_when_inbound_rises() -> None:
    policy = Throughput(limit=80)
    log = limiter.inherit(policy, (), now=0.0)
    sends: list[float] = []
    for tick in range(60):
        log = limiter.debit(log, now=tick / 10, count=3 if tick >= 20 else 0)
        sends += saturate(log, now=tick / 10, until=(tick + 1) / 10)
    late = [at for at in sends if at >= 4.0]
    inbound = [tick / 10 for tick in range(20, 60) for _ in range(3)]
    assert 0.97 * 50 * 2 <= len(late) <= 50 * 2
    assert busiest_window(sorted(late + [at for at in inbound if at >= 4.0])) <= 80 + 3


@pytest.mark.parametrize("count", [80, 81, 100_000])
def test_a_debit_of_the_whole_limit_or_more_freezes_the_number_for_one_period(count: int) -> None:
    log = limiter.debit(limiter.inherit(Throughput(limit=80), (), now=0.0), now=5.0, count=count)
    assert limiter.wait_seconds(log, now=5.0) == pytest.approx(1.015)


def test_debits_above_the_limit_do_not_pile_up() -> None:
    log = limiter.inherit(Throughput(limit=10), (), now=0.0)
    for tick in range(100):
        log = limiter.debit(log, now=tick / 10, count=10)
    assert limiter.wait_seconds(log, now=9.9) == pytest.approx(1.015)


def test_a_debit_of_nothing_changes_nothing() -> None:
    log = limiter.inherit(Throughput(limit=10), [0.3], now=1.0)
    before = (list(log.charges), log.next_slot)
    assert limiter.debit(log, now=2.0, count=0) is log
    assert (list(log.charges), log.next_slot) == before


def test_a_larger_measured_jitter_spaces_the_next_send_wider() -> None:
    log, _ = spend(limiter.inherit(Throughput(limit=1), (), now=0.0), now=0.0)
    assert limiter.wait_seconds(limiter.with_jitter(log, 0.05), now=0.0) == pytest.approx(1.05)


def test_a_smaller_measured_jitter_counts_for_what_is_sent_after_it() -> None:
    log, _ = spend(limiter.inherit(Throughput(limit=1, jitter_seconds=0.05), (), now=0.0), now=0.0)
    log = limiter.with_jitter(log, 0.005)
    assert limiter.wait_seconds(log, now=0.0) == pytest.approx(1.05)
    assert spend(log, now=1.06)[1] == 0.0
    assert limiter.wait_seconds(log, now=1.06) == pytest.approx(1.005)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Throughput(limit=0), id="no messages at all"),
        pytest.param(lambda: Throughput(limit=1, window_seconds=0.0), id="no window"),
        pytest.param(lambda: Throughput(limit=1, jitter_seconds=-0.001), id="negative jitter"),
        pytest.param(lambda: Throughput(limit=1, catch_up=-0.1), id="negative catch-up"),
        pytest.param(lambda: limiter.debit(limiter.quiet(Throughput(limit=1), now=0.0), now=0.0, count=-1), id="refund"),
    ],
)
def test_a_policy_or_debit_without_meaning_is_an_error(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must"):
        make()
