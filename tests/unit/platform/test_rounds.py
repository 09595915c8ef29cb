"""Are rounds as far apart as they have to be, and does a lone one wait for nobody?"""

from __future__ import annotations

import asyncio
import time

from services.common.platform.lifecycle import Rounds


def test_rounds_begin_at_least_so_far_apart() -> None:
    async def three() -> tuple[float, float]:
        rounds = Rounds(0.02)
        began = time.monotonic()
        for _ in range(3):
            await rounds.begin()
        return began, time.monotonic()

    began, ended = asyncio.run(three())
    assert ended - began >= 0.04


def test_the_first_round_waits_for_nobody() -> None:
    async def one() -> None:
        async with asyncio.timeout(10.0):
            await Rounds(3600.0).begin()

    asyncio.run(one())
