from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from services.common.domain.delay_spread import WINDOW_SAMPLES
from services.common.domain.limiter import Throughput
from services.common.domain.pair_limit import PairPolicy
from services.sender.pacer import Pacer

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
