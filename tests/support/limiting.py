"""How does a test spend a limiter's tokens where it is not about what takes time between them?"""

from __future__ import annotations

from services.common.domain import limiter
from services.common.domain.limiter import AdmissionLog


def spend(log: AdmissionLog, *, now: float) -> tuple[AdmissionLog, float]:
    """Take a token, write and hear the answer, all at one instant; or the seconds to wait."""
    log, wait = limiter.take(log, now=now)
    if wait == 0.0:
        log = limiter.answered(limiter.written(log, now=now), sent_at=now, now=now)
    return log, wait
