"""When may a number's next message go on the wire? The waiting around the pure limiter."""

from __future__ import annotations

import asyncio
import time

from services.common.domain import limiter
from services.common.domain.limiter import START_TO_WRITE_SECONDS, AdmissionLog
from services.common.platform import metrics


class Pacer:
    """One number's limiter. Attempts are admitted in the order they ask."""

    def __init__(self, log: AdmissionLog) -> None:
        self._log = log
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def limit(self) -> int:
        """Messages a second."""
        return self._log.policy.limit

    def change_limit(self, limit: int) -> None:
        """Take another limit from now on."""
        self._log = limiter.with_limit(self._log, limit, now=time.monotonic())

    def ready_in(self) -> float:
        """Seconds until one more attempt, started now, would be admitted."""
        ahead = self._waiting * self._log.policy.spacing_seconds
        return limiter.wait_seconds(self._log, now=time.monotonic()) + ahead

    def batch(self, seconds: float) -> int:
        """How many attempts the number writes within some seconds; at least one."""
        return max(1, int(seconds / self._log.policy.spacing_seconds))

    async def admit(self, started: float) -> bool:
        """Wait for a token and take it; False, with none taken, when `started` would be longer ago than allowed by then.

        `started` is a monotonic instant not later than the one the STARTED row carries. Write at once after True.
        """
        asked = time.monotonic()
        deadline = started + START_TO_WRITE_SECONDS
        self._waiting += 1
        try:
            async with self._turn:
                while True:
                    now = time.monotonic()
                    wait = limiter.wait_seconds(self._log, now=now)
                    if now + wait > deadline:
                        metrics.LATE_WRITES.inc()
                        return False
                    if wait == 0.0:
                        self._log, _ = limiter.take(self._log, now=now)
                        metrics.RATE_LIMIT_WAIT_SECONDS.observe(now - asked)
                        return True
                    await asyncio.sleep(wait)
        finally:
            self._waiting -= 1
