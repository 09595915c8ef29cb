from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from services.common.domain.delay_spread import WINDOW_SAMPLES
from services.common.domain.limiter import START_TO_WRITE_SECONDS, Throughput
from services.common.domain.pair_limit import PairPolicy
from services.sender.pacer import Pacer
from tests.support.waiting import wait_for

LIMIT = 10_000


def measured() -> tuple[float, float]:
    count, total = (REGISTRY.get_sample_value(f"parley_sender_jitter_seconds_{name}") for name in ("count", "sum"))
    return count or 0.0, total or 0.0


def test_answers_that_all_come_as_fast_lower_j_from_where_it_began_and_with_it_the_pace_rises() -> None:
    async def exchange(pacer: Pacer) -> None:
        assert await pacer.admit(time.monotonic())
        pacer.answered(pacer.written(None), None)

    async def run() -> None:
        pacer = Pacer.inherited(Throughput(limit=LIMIT, jitter_seconds=0.050), PairPolicy())
        before = measured()
        for _ in range(WINDOW_SAMPLES - 1):
            await exchange(pacer)
        assert pacer.batch(1.0) == int(LIMIT / 1.050)
        assert measured() == before
        await exchange(pacer)
        jitter = 0.050 - (0.050 - 0.005) / 4
        assert pacer.batch(1.0) == pytest.approx(LIMIT / (1.0 + jitter), abs=1)
        assert measured() == pytest.approx((before[0] + 1, before[1] + jitter))

    asyncio.run(run())


def fresh(limit: int, window_seconds: float = 1.0) -> Pacer:
    policy = Throughput(limit=limit, window_seconds=window_seconds, jitter_seconds=0.005, catch_up=1.0)
    return Pacer.inherited(policy, PairPolicy())


def test_tokens_are_given_to_those_in_line_while_others_have_not_written_yet_and_never_more_than_there_are() -> None:
    async def run() -> None:
        pacer = fresh(limit=3, window_seconds=0.09)
        asked = [asyncio.create_task(pacer.admit(time.monotonic())) for _ in range(5)]
        assert await asyncio.gather(*asked) == [True, True, True, False, False], "nothing was written: no slot comes free in time"
        again = asyncio.create_task(pacer.admit(time.monotonic()))
        pacer.not_written()
        assert await again
        written = [pacer.written(None) for _ in range(3)]
        for at in written:
            pacer.answered(at, None)
        assert await pacer.admit(time.monotonic())
        assert time.monotonic() >= written[0] + 0.095

    asyncio.run(run())


def test_they_are_given_in_the_order_of_asking() -> None:
    async def run() -> None:
        pacer, order = fresh(limit=200), list[int]()

        async def ask(place: int) -> None:
            assert await pacer.admit(time.monotonic())
            order.append(place)
            pacer.answered(pacer.written(None), None)

        await asyncio.gather(*(ask(place) for place in range(20)))
        assert order == list(range(20))

    asyncio.run(run())


def test_an_attempt_that_was_started_too_long_ago_gets_none_and_keeps_nobody_waiting() -> None:
    async def run() -> None:
        pacer, now = fresh(limit=1000), time.monotonic()
        asked = [pacer.admit(now), pacer.admit(now - 0.3), pacer.admit(now)]
        assert await asyncio.gather(*asked) == [True, False, True]

    asyncio.run(run())


async def one_at_a_time() -> Pacer:
    """One whose rate is being found out, with one attempt admitted."""
    pacer = fresh(limit=1000)
    assert await pacer.admit(time.monotonic())
    first = pacer.written(None)
    pacer.answered(first, None)
    pacer.throttled(first)
    assert await pacer.admit(time.monotonic() + 5.0)
    return pacer


async def in_line(pacer: Pacer, started: float) -> asyncio.Task[bool]:
    asked = asyncio.create_task(pacer.admit(started))
    done, _ = await asyncio.wait([asked], timeout=0.05)
    assert not done
    return asked


def test_while_a_rate_is_found_out_one_message_is_on_its_way_at_a_time() -> None:
    async def run() -> None:
        pacer = await one_at_a_time()
        asked = await in_line(pacer, time.monotonic())
        pacer.not_written()
        assert await asked

    asyncio.run(run())


def test_the_token_of_one_that_is_cancelled_is_there_for_the_next() -> None:
    async def run() -> None:
        pacer = await one_at_a_time()
        admitted, waiting, last = [await in_line(pacer, time.monotonic()) for _ in range(3)]
        pacer.not_written()
        admitted.cancel()
        waiting.cancel()
        assert await last
        assert admitted.cancelled()
        assert waiting.cancelled()

    asyncio.run(run())


@pytest.mark.failure("S12")
def test_a_process_that_stood_still_between_the_token_and_the_write_does_not_write() -> None:
    async def run() -> None:
        pacer = await one_at_a_time()
        too_late = time.monotonic() + 0.08
        asked = await in_line(pacer, too_late - START_TO_WRITE_SECONDS)
        pacer.not_written()
        wait_for(lambda: time.monotonic() > too_late, 1.0, "the end of its time, with the event loop standing still")
        assert not await asked
        assert await pacer.admit(time.monotonic()), "its token was given back"

    asyncio.run(run())
