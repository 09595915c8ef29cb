"""Do both directions together stay at the limit, though we hear of one of them late and in pieces?"""

from __future__ import annotations

import math

import pytest

from benchmarks.limiter_simulation import busiest_window
from services.common.domain import inbound, limiter
from services.common.domain.inbound import Inbound
from services.common.domain.limiter import Throughput
from services.sender.inbound import counted
from tests.support.limiting import spend


@pytest.mark.parametrize("each_second", [1, 7, 30, 60])
@pytest.mark.parametrize("late", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("piece", [0.001, 0.1, 0.25])
def test_both_directions_stay_at_the_limit_a_second_after_we_hear_of_it(each_second: int, late: float, piece: float) -> None:
    arrivals = [5.0 + turn / each_second for turn in range(10 * each_second)]
    heard = [math.ceil((at + late) / piece) * piece for at in arrivals]
    log, state = limiter.inherit(Throughput(limit=80), (), now=0.0), Inbound()
    now, sends, told = 0.0, list[float](), 0
    while now < 15.0:
        count = sum(at <= now for at in heard[told:])
        if count:
            log = limiter.debit(log, now=now, count=inbound.charge(state, count=count, now=now))
            told += count
        log, wait = spend(log, now=now)
        if wait == 0.0:
            sends.append(now)
        now += min(max(wait, 1e-6), heard[told] - now if told < len(heard) and heard[told] > now else 1.0)
    late_ones = [at for at in (*sends, *arrivals) if 6.0 + late + piece <= at < 15.0]
    assert busiest_window(sorted(late_ones)) <= 80
    alone = sum(10.0 <= at < 14.0 for at in sends) / 4
    most_at_once = math.ceil(each_second * piece) + 1
    assert alone >= 0.96 * (80 - each_second) - 2 * most_at_once


def test_a_number_that_receives_nothing_keeps_nothing_free() -> None:
    state = Inbound()
    assert inbound.charge(state, count=5, now=1.0) == 5 + 6
    assert inbound.charge(state, count=5, now=1.5) == 5
    assert inbound.charge(state, count=1, now=60.0) == 1 + 2


def test_keys_tell_whose_messages_they_are() -> None:
    keys = [b"1/491700000001", b"1/DE.123", b"2/", b"3", None, b"", b"/x", b"1/\xff"]
    assert counted(keys) == {"1": 3, "2": 1, "3": 1}
