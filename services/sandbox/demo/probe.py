"""How late can anything on the way to the simulated Meta be on this machine? Measured by asking it all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.sandbox.simulator.client import SimulatorClient

EVERY_SECONDS = 0.025


@dataclass(slots=True)
class Probe:
    """The longest and the shortest time an answer took. A machine with too much to do delays sends as it delays these."""

    longest: float = 0.0
    shortest: float = float("inf")

    def late_seconds(self, assumed_seconds: float) -> float:
        """By how much the way varied beyond what was assumed; 0 when it did not."""
        return max(0.0, self.longest - self.shortest - assumed_seconds)

    async def ask(self, simulator: SimulatorClient) -> None:
        """One question; what gets no answer tells nothing."""
        asked = time.monotonic()
        if await simulator.health():
            took = time.monotonic() - asked
            self.longest, self.shortest = max(self.longest, took), min(self.shortest, took)

    @asynccontextmanager
    async def running(self, simulator: SimulatorClient) -> AsyncIterator[None]:
        """Ask again and again."""
        asking = asyncio.create_task(self._ask_on(simulator))
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask_on(self, simulator: SimulatorClient) -> None:
        while True:
            await self.ask(simulator)
            await asyncio.sleep(EVERY_SECONDS)
