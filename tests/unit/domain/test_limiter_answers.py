"""Does the limit hold when the network or the receiver stalls longer than assumed?"""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.limiter_simulation import busiest_window
from services.common.domain import limiter
from services.common.domain.limiter import AdmissionLog, Throughput
from tests.support.limiting import spend


def fresh(limit: int) -> AdmissionLog:
    return limiter.inherit(Throughput(limit=limit), (), now=0.0)


def write(log: AdmissionLog, *, now: float) -> None:
    assert limiter.take(log, now=now)[1] == 0.0
    limiter.written(log, now=now)


def test_a_write_without_an_answer_keeps_its_slot() -> None:
    log = fresh(limit=2)
    write(log, now=0.0)
    spend(log, now=5.0)
    assert limiter.wait_seconds(log, now=5.9) > 0.0, "one slot is spent, the other waits for its answer"
    limiter.answered(log, sent_at=0.0, now=5.9)
    assert limiter.wait_seconds(log, now=6.1) == 0.0
    spend(log, now=6.1)
    assert limiter.wait_seconds(log, now=6.7) > 0.0, "what was answered at 5.9 may have arrived as late as that"
    assert limiter.wait_seconds(log, now=7.2) == 0.0


def test_an_answer_as_fast_as_the_fastest_costs_nothing() -> None:
    log = fresh(limit=80)
    learnt = saturate(log, 1_000, now=0.0, round_trip=0.150)
    assert log.fastest == pytest.approx(0.150)
    assert 800 / 80 / (saturate(log, 800, now=learnt, round_trip=0.150) - learnt) > 0.98
    assert not log.unanswered


def saturate(log: AdmissionLog, sends: int, *, now: float, round_trip: float) -> float:
    """That many sends as fast as they are admitted, each answered after the same time; when the last one went."""
    for _ in range(sends):
        while (wait := limiter.wait_seconds(log, now=now)) > 0.0:
            now += wait
        write(log, now=now)
        limiter.answered(log, sent_at=now, now=now + round_trip)
    return now


def test_a_write_slower_by_more_than_half_of_j_keeps_its_slot_for_what_is_above_that() -> None:
    for slower, longer in ((0.0, 0.0), (0.007, 0.0), (0.008, 0.0005), (0.1, 0.0925)):
        log = fresh(limit=1)
        log.fastest = 0.080
        write(log, now=0.0)
        limiter.answered(log, sent_at=0.0, now=0.080 + slower)
        free_at = 1.015 + longer
        assert limiter.wait_seconds(log, now=free_at - 1e-4) > 0.0, slower
        assert limiter.wait_seconds(log, now=free_at + 1e-6) == 0.0, slower


@pytest.mark.parametrize("limit", [1, 5, 20, 80])
def test_no_second_of_arrivals_is_above_the_limit_however_the_receiver_stalls(limit: int) -> None:
    for seed in range(30):
        arrivals = stalled_run(limit, Random(seed))
        assert busiest_window(arrivals) <= limit, seed


def test_without_answers_taken_into_account_a_stalled_receiver_breaks_the_limit() -> None:
    assert any(busiest_window(stalled_run(80, Random(seed), heeds_answers=False)) > 80 for seed in range(20))


def stalled_run(limit: int, rng: Random, *, heeds_answers: bool = True) -> list[float]:
    """Twenty saturated seconds against a receiver that now and then reads nothing for up to a second and a half."""
    log, now = fresh(limit=limit), 0.0
    arrivals: list[float] = []
    stalls = sorted((at, at + rng.uniform(0.05, 1.5)) for at in (rng.uniform(0.0, 18.0) for _ in range(6)))
    answers: list[tuple[float, float]] = []
    while now < 20.0:
        for answer in [one for one in answers if one[0] <= now]:
            answers.remove(answer)
            limiter.answered(log, sent_at=answer[1], now=answer[0])
        wait = limiter.wait_seconds(log, now=now)
        if wait > 0.0:
            now += min(wait, *(at - now for at, _ in answers), 0.02) if answers else min(wait, 0.02)
            continue
        write(log, now=now)
        arrived = now + rng.uniform(0.0005, 0.002)
        for begin, end in stalls:
            if begin <= arrived < end:
                arrived = end
        arrivals.append(arrived)
        if not heeds_answers:
            limiter.answered(log, sent_at=now, now=now)
        else:
            answers.append((arrived + rng.uniform(0.0005, 0.01), now))
        now += rng.uniform(1e-6, 1e-3)
    return sorted(arrivals)


@pytest.mark.parametrize("limit", [5, 20, 80])
def test_no_second_of_arrivals_is_above_the_limit_while_j_rises_and_falls(limit: int) -> None:
    for seed in range(40):
        arrivals, moves = moved_run(limit, Random(seed))
        assert busiest_window(arrivals) <= limit, seed
        assert moves > 100


def moved_run(limit: int, rng: Random) -> tuple[list[float], int]:
    """Ten saturated seconds and more; the way there takes up to 60 ms longer than at best, and J is anything, at any time."""
    log, now, moves = fresh(limit=limit), 0.0, 0
    log.fastest = 0.080
    arrivals: list[float] = []
    answers: list[tuple[float, float]] = []
    while now < 12.0:
        while answers and min(answers)[0] <= now:
            at, sent_at = min(answers)
            answers.remove((at, sent_at))
            limiter.answered(log, sent_at=sent_at, now=at)
        if rng.random() < 0.1:
            log, moves = limiter.with_jitter(log, rng.choice((0.005, 0.050, rng.uniform(0.005, 0.050)))), moves + 1
        if (wait := limiter.wait_seconds(log, now=now)) > 0.0:
            now += min(wait, 0.01)
            continue
        write(log, now=now)
        arrived = now + 0.040 + rng.choice((0.0, 0.0, 0.060, rng.uniform(0.0, 0.060)))
        arrivals.append(arrived)
        answers.append((arrived + 0.040, now))
        now += rng.uniform(1e-6, 1e-3)
    return sorted(arrivals), moves


def test_a_slow_write_keeps_its_slot_when_j_falls_and_for_longer_when_it_rises() -> None:
    for jitter, free_at in ((0.005, 1.050 + 0.375), (0.050, 1.050 + 0.375), (0.080, 1.080 + 0.375)):
        log = limiter.inherit(Throughput(limit=1, jitter_seconds=0.050), (), now=0.0)
        log.fastest = 0.080
        write(log, now=0.0)
        limiter.answered(log, sent_at=0.0, now=0.480)
        log = limiter.with_jitter(log, jitter)
        assert limiter.wait_seconds(log, now=free_at - 0.001) > 0.0, jitter
        assert limiter.wait_seconds(log, now=free_at + 0.001) == 0.0, jitter


def test_a_held_slot_is_used_as_soon_as_it_is_free() -> None:
    log = fresh(limit=2)
    log.fastest = 0.080
    write(log, now=0.0)
    limiter.answered(log, sent_at=0.0, now=0.180)
    spend(log, now=0.55)
    assert limiter.wait_seconds(log, now=1.016) == pytest.approx(1.1075 - 1.016), "not only when the second is over too"
