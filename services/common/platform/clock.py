"""What time is it? The clock on the wall, which for us never goes back (domain/steady_clock.py).

A jump is one state: it is logged once, `parley_clock_behind_seconds` shows it for as long as it lasts, and the process goes on
by the time that it knew. Only a new process believes the wall again.
"""

from __future__ import annotations

import time
from typing import Final

from services.common.domain.steady_clock import SteadyClock
from services.common.platform import logging, metrics

log = logging.get(__name__)

_WORTH_TELLING_NS: Final = 1_000_000_000
_NS_OF_MS: Final = 1_000_000

_steady = SteadyClock()
_told_ns = 0


def begin() -> None:
    """Believe the wall: a process begins, or a test that had clocks of its own has ended."""
    global _steady, _told_ns
    _steady, _told_ns = SteadyClock(), 0


def now_ms() -> int:
    """This instant, in milliseconds since the epoch; never less than before."""
    wall = time.time_ns()
    now = _steady.read(wall=wall, monotonic=time.monotonic_ns())
    if now - wall > _told_ns + _WORTH_TELLING_NS:
        _tell(now - wall)
    return now // _NS_OF_MS


def behind_seconds() -> float:
    """How far the clock on the wall was set back since this process began."""
    return _steady.behind(wall=time.time_ns(), monotonic=time.monotonic_ns()) / 1e9


def _tell(behind_ns: int) -> None:
    global _told_ns  # noqa: PLW0603 - as above
    _told_ns = behind_ns
    log.error(
        "clock.jumped_back",
        seconds=round(behind_ns / 1e9, 3),
        hint="this process goes on by the time it knew; set the machine's clock right, and start it again once the clock is",
    )


metrics.CLOCK_BEHIND_SECONDS.set_function(behind_seconds)
