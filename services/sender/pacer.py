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
        """Wait for this attempt's turn and for a token; False when `started` would be longer ago than allowed by then.

        `started` is a monotonic instant not later than the one the STARTED row carries. After True write at once and call
        `written`, or `not_written` if nothing was: until then nobody else is admitted.
        """
        asked = time.monotonic()
        deadline = started + START_TO_WRITE_SECONDS
        self._waiting += 1
        is_admitted = False
        try:
            await self._turn.acquire()
            try:
                while (wait := limiter.wait_seconds(self._log, now=time.monotonic())) > 0.0:
                    if time.monotonic() + wait > deadline:
                        break
                    await asyncio.sleep(wait)
                is_admitted = wait == 0.0 and time.monotonic() <= deadline
            finally:
                if not is_admitted:
                    self._turn.release()
        finally:
            if not is_admitted:
                self._waiting -= 1
        if is_admitted:
            metrics.RATE_LIMIT_WAIT_SECONDS.observe(time.monotonic() - asked)
        else:
            metrics.LATE_WRITES.inc()
        return is_admitted

    def written(self) -> float:
        """Charge the token now, after the bytes went out; the instant it is charged with, to be given to `answered`.

        A process that the machine stopped between the admission and the write would otherwise have charged an instant
        before the write, and the promise holds for charges that are not.
        """
        now = time.monotonic()
        self._log = limiter.expect(limiter.debit(self._log, now=now, count=1), sent_at=now)
        self.not_written()
        return now

    def answered(self, charged_at: float) -> None:
        """The exchange of that write is over, well or badly."""
        self._log = limiter.answered(self._log, sent_at=charged_at, now=time.monotonic())

    def not_written(self) -> None:
        """The turn is over; no byte left us, so no token was spent."""
        self._waiting -= 1
        self._turn.release()
