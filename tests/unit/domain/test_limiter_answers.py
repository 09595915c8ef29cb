"""Does the limit hold when the network or the receiver stalls longer than assumed?"""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.limiter_simulation import busiest_window
from services.common.domain import limiter
from services.common.domain.limiter import AdmissionLog, Throughput


def fresh(limit: int) -> AdmissionLog:
    return limiter.inherit(Throughput(limit=limit), (), now=0.0)


def spend(log: AdmissionLog, *, now: float) -> float:
    assert limiter.take(log, now=now)[1] == 0.0
    return now


def test_a_write_without_an_answer_keeps_its_slot() -> None:
    log = fresh(limit=2)
    limiter.expect(log, sent_at=spend(log, now=0.0))
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
        limiter.expect(log, sent_at=spend(log, now=now))
        limiter.answered(log, sent_at=now, now=now + round_trip)
    return now


@pytest.mark.parametrize("limit", [1, 5, 20, 80])
def test_no_second_of_arrivals_is_above_the_limit_however_the_receiver_stalls(limit: int) -> None:
    for seed in range(60):
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
        limiter.take(log, now=now)
        arrived = now + rng.uniform(0.0005, 0.002)
        for begin, end in stalls:
            if begin <= arrived < end:
                arrived = end
        arrivals.append(arrived)
        if heeds_answers:
            limiter.expect(log, sent_at=now)
            answers.append((arrived + rng.uniform(0.0005, 0.01), now))
        now += rng.uniform(1e-6, 1e-3)
    return sorted(arrivals)
