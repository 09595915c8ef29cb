"""By how much do the delays to Meta vary? The measured J of a number's limiter.

What can be seen is the round trip: the way there, Meta's time to think, the way back. Of all but the slowest and the fastest in
a hundred it varies by the spread of a window. J is a quarter of that, because delays are not left to J: a write that was slower
than the fastest by more than J / 2 holds its slot until its answer has proved the arrival (`limiter.answered`). J / 2 is there
for the fastest of the last 500 to 1,000 answers not being the fastest possible. Where both ways vary evenly and alike, that error
is above an eighth of the spread once in ten million windows. A larger J would be paid for by each write, a smaller one would want
more answers to rest on.

One window's value is clamped before it counts, so an outage moves J like any other window and is forgotten as soon. `DelaySpread`
is changed in place; a sample costs O(1), and each `WINDOW_SAMPLES` of them one sort of that many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from services.common.domain import limiter
from services.common.domain.limiter import AdmissionLog

LEAST_SECONDS: Final = 0.005
MOST_SECONDS: Final = 0.050
WINDOW_SAMPLES: Final = 500
_LEFT_OUT: Final = WINDOW_SAMPLES // 100
"""Samples at each end: one answer in a hundred may be as slow, or fail as fast, as it likes."""
_SHARE: Final = 0.25
"""J of the spread."""
_NEWEST: Final = 0.25
"""The weight of the newest window."""
_MOVED_SECONDS: Final = 0.001
"""A smaller change is not worth a new period."""


@dataclass(slots=True, kw_only=True)
class DelaySpread:
    """J as measured so far, `LEAST_SECONDS` to `MOST_SECONDS`, and the round trips of the window that is not full."""

    jitter_seconds: float
    window: list[float] = field(default_factory=list)


def start(jitter_seconds: float) -> DelaySpread:
    """Nothing is measured: J is what the operator takes it for."""
    return DelaySpread(jitter_seconds=_clamped(jitter_seconds))


def sample(spread: DelaySpread, round_trip: float) -> bool:
    """One exchange took so many seconds; True when that completed a window, and J is measured anew."""
    spread.window.append(round_trip)
    if len(spread.window) < WINDOW_SAMPLES:
        return False
    spread.window.sort()
    varies_by = spread.window[-1 - _LEFT_OUT] - spread.window[_LEFT_OUT]
    spread.window.clear()
    newest = _clamped(varies_by * _SHARE)
    spread.jitter_seconds = _clamped(spread.jitter_seconds + _NEWEST * (newest - spread.jitter_seconds))
    return True


def apply(spread: DelaySpread, log: AdmissionLog) -> AdmissionLog:
    """The same history under the measured J; the very same log while that is within a millisecond of the one it has."""
    if abs(spread.jitter_seconds - log.policy.jitter_seconds) <= _MOVED_SECONDS:
        return log
    return limiter.with_jitter(log, spread.jitter_seconds)


def _clamped(seconds: float) -> float:
    return min(MOST_SECONDS, max(LEAST_SECONDS, seconds))
