"""Does Meta ever see two messages to one person too soon after each other?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.domain import pair_limit
from services.common.domain.limiter import START_TO_WRITE_SECONDS
from services.common.domain.pair_limit import MOST_BURST, PairPolicy, Pairs
from services.sandbox.simulator.policy import PairLimit
from services.sandbox.simulator.policy import PairPolicy as Meta

ANN, BOB = "491700000001", "491700000002"


def fresh(burst: int = 1) -> Pairs:
    return Pairs(policy=PairPolicy(burst=burst))


def send(pairs: Pairs, recipient: str, *, now: float, answer_after: float = 0.0) -> None:
    pair_limit.start(pairs, recipient, now=now)
    pair_limit.written(pairs, recipient, now=now)
    pair_limit.answered(pairs, recipient, sent_at=now, now=now + answer_after)


def test_one_person_waits_and_another_does_not() -> None:
    pairs = fresh()
    send(pairs, ANN, now=100.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=100.0) == pytest.approx(6.015)
    assert pair_limit.wait_seconds(pairs, ANN, now=106.015) == pytest.approx(0.0)
    assert pair_limit.wait_seconds(pairs, BOB, now=100.0) == 0.0


def test_a_burst_is_borrowed_and_paid_back() -> None:
    pairs = fresh(burst=3)
    for _ in range(3):
        assert pair_limit.wait_seconds(pairs, ANN, now=100.02) == 0.0
        send(pairs, ANN, now=100.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=100.02) == pytest.approx(6.015 - 0.02)
    assert pair_limit.wait_seconds(pairs, ANN, now=118.1) == 0.0, "all of it is paid back"


def test_what_is_started_counts_as_written_now_until_it_is_or_is_given_up() -> None:
    pairs = fresh()
    pair_limit.start(pairs, ANN, now=100.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=100.2) == pytest.approx(6.015)
    pair_limit.given_up(pairs, ANN, now=100.3)
    assert pair_limit.wait_seconds(pairs, ANN, now=100.3) == 0.0


def test_a_write_without_an_answer_may_arrive_as_late_as_now() -> None:
    pairs = fresh()
    pairs.fastest = 0.05
    pair_limit.start(pairs, ANN, now=100.0)
    pair_limit.written(pairs, ANN, now=100.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=107.0) == pytest.approx(6.015 - 0.05)
    pair_limit.answered(pairs, ANN, sent_at=100.0, now=108.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=108.0) == pytest.approx(6.015 - 0.05)
    assert pair_limit.wait_seconds(pairs, ANN, now=114.0) == 0.0


def test_an_answer_as_fast_as_the_fastest_costs_nothing() -> None:
    pairs = fresh()
    pairs.fastest = 0.15
    send(pairs, ANN, now=100.0, answer_after=0.15)
    assert pair_limit.wait_seconds(pairs, ANN, now=106.02) == 0.0


def test_a_pair_that_meta_refuses_waits_four_times_longer_each_time_until_it_is_taken_again() -> None:
    pairs, now, waits = fresh(), 100.0, []
    for _ in range(8):
        waits.append(pair_limit.refused(pairs, ANN, now=now))
        assert pair_limit.wait_seconds(pairs, ANN, now=now) == waits[-1]
        now += waits[-1]
    assert waits == [1, 4, 16, 64, 256, 1024, 3600, 3600]
    assert pair_limit.wait_seconds(pairs, BOB, now=100.0) == 0.0
    pair_limit.accepted(pairs, ANN)
    assert pair_limit.refused(pairs, ANN, now=now) == 1


def test_a_new_owner_goes_on_with_the_refusals_of_the_last() -> None:
    pairs = fresh()
    pair_limit.hold(pairs, ANN, seconds=10.0, refusals=3, now=0.0)
    assert pair_limit.wait_seconds(pairs, ANN, now=4.0) == 6.0
    assert pair_limit.refused(pairs, ANN, now=10.0) == 64


def test_pairs_that_owe_nothing_are_forgotten_and_others_never() -> None:
    pairs = fresh()
    for number in range(20_000):
        send(pairs, str(number), now=number / 80)
        assert len(pairs.known) < 2_000
    assert pair_limit.wait_seconds(pairs, "19999", now=250.0) > 5.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: PairPolicy(burst=0),
        lambda: PairPolicy(burst=MOST_BURST + 1),
        lambda: PairPolicy(interval_seconds=0.0),
        lambda: PairPolicy(jitter_seconds=-0.001),
    ],
)
def test_a_policy_without_meaning_is_an_error(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="burst"):
        make()


@pytest.mark.parametrize("burst", [1, 2, 5, MOST_BURST])
def test_meta_finds_nothing_to_refuse_when_owners_crash_linger_and_inherit(burst: int) -> None:
    sent = 0
    for seed in range(50):
        arrivals = run(PairPolicy(burst=burst), Random(seed))
        sent += len(arrivals)
        judge, meta = PairLimit(), Meta(interval_seconds=6.0, burst=burst)
        assert all(judge.admits(("number", ANN), at, meta) for at in arrivals), seed
    assert sent / 50 > 0.5 * 120 / 6, "and what may be sent is sent"


@pytest.mark.failure("R21")
@pytest.mark.parametrize(("age", "over"), [(-300.0, -300.0), (-300.0, -299.0), (1.0, -300.0)])
def test_an_exchange_that_a_stepped_clock_puts_in_the_future_counts_as_just_begun(age: float, over: float) -> None:
    pairs, begun = (pair_limit.inherit(PairPolicy(), [(ANN, *told)], now=100.0) for told in ((age, over), (0.0, None)))
    assert pair_limit.wait_seconds(pairs, ANN, now=100.0) == pair_limit.wait_seconds(begun, ANN, now=100.0)


def test_an_owner_that_forgets_its_predecessor_is_seen_to_break_the_limit() -> None:
    runs = (run(PairPolicy(), Random(seed), forgets=True) for seed in range(20))
    assert any(second - first < 6.0 for arrivals in runs for first, second in pairwise(arrivals))


def run(policy: PairPolicy, rng: Random, *, forgets: bool = False) -> list[float]:
    """Two minutes of as many messages to one person as may be started, under owners that come and go; sorted arrivals.

    An owner that was replaced goes on writing what it had started, and what its successor has declared to be over. Now and then
    the network holds a request for seconds, and its answer with it.
    """
    now, arrivals = 0.0, list[float]()
    started, over = list[float](), list[float | None]()
    while now < 120.0:
        over = [None if end is None or end > now else end for end in over]
        ages = [(ANN, now - at, None if end is None else now - end) for at, end in zip(started, over, strict=True)]
        pairs = pair_limit.inherit(policy, [] if forgets else ages, now=now)
        over = [now if end is None else end for end in over]
        pairs.fastest = 0.04
        ends, answers = now + rng.choice((rng.uniform(0.0, 1.0), rng.uniform(0.5, 40.0))), list[tuple[float, float]]()
        while now < ends:
            for answer in sorted(one for one in answers if one[0] <= now):
                answers.remove(answer)
                pair_limit.answered(pairs, ANN, sent_at=answer[1], now=answer[0])
            wait = pair_limit.wait_seconds(pairs, ANN, now=now)
            if wait > 0.0:
                now += min(wait, rng.uniform(0.01, 0.5))
                continue
            started.append(now)
            over.append(None)
            pair_limit.start(pairs, ANN, now=now)
            if rng.random() < 0.3:
                ends = min(ends, now + rng.uniform(0.0, START_TO_WRITE_SECONDS))
            written = now + rng.choice((0.0, rng.uniform(0.0, START_TO_WRITE_SECONDS)))
            if written >= ends:
                if rng.random() < 0.5:  # else killed between the row and the write
                    arrivals.append(written + 0.02 + rng.random() * policy.jitter_seconds)
                now = ends
                break
            now = written
            stall = rng.uniform(0.0, 8.0) if rng.random() < 0.1 else 0.0
            if now + stall > ends:
                stall = 0.0  # what the network holds back of a dead owner nobody can know
            arrivals.append(now + 0.02 + rng.choice((0.0, rng.random(), 1.0)) * policy.jitter_seconds + stall)
            pair_limit.written(pairs, ANN, now=now)
            over[-1] = arrivals[-1] + 0.02
            answers.append((arrivals[-1] + 0.02, now))
        now += rng.uniform(0.0, 0.05)
    return sorted(arrivals)


@given(
    st.integers(1, MOST_BURST),
    st.lists(st.tuples(st.floats(0.0, 10.0), st.booleans()), min_size=1, max_size=80),
)
def test_waiting_as_long_as_told_is_enough(burst: int, steps: list[tuple[float, bool]]) -> None:
    pairs, now = fresh(burst), 0.0
    judge, meta = PairLimit(), Meta(interval_seconds=6.0, burst=burst)
    for gap, is_patient in steps:
        now += gap
        wait = pair_limit.wait_seconds(pairs, ANN, now=now)
        if wait and not is_patient:
            continue
        now += wait
        assert pair_limit.wait_seconds(pairs, ANN, now=now) < 1e-9
        send(pairs, ANN, now=now)
        assert judge.admits(("number", ANN), now, meta)
