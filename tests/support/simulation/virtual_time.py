"""How does an hour pass in a millisecond? An event loop whose clock jumps to the next timer, and a `time` module that agrees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from services.common.platform import clock

STARTED_AT: Final = 1_800_000_000.0
"""Wall clock at the beginning of every run, seconds; the same number on the monotonic clock is `_BOOTED` seconds."""
_BOOTED: Final = 1_000.0
_TURN_SECONDS: Final = 1e-6
"""A turn takes time, as it does in the world: who waits for less than the clock can tell would wait for ever."""


class NothingLeftError(Exception):
    """No task can go on and no timer is set: whoever waits, waits for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready, then jumps to the next timer. It has no sockets and no threads, so nothing comes from outside.

    What runs at one instant runs in the order in which it became ready: the same program does the same again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = _BOOTED
        self._selector = self

    def time(self) -> float:
        """Monotonic seconds."""
        return self._now

    def select(self, timeout: float | None) -> Sequence[object]:
        """In place of waiting for sockets."""
        if timeout is None:
            raise NothingLeftError
        self._now += timeout + _TURN_SECONDS
        return ()

    def _process_events(self, event_list: Sequence[object]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps."""


def since_start() -> float:
    """Virtual seconds since the run began."""
    return time.monotonic() - _BOOTED


@contextmanager
def virtual_clock(loop: VirtualLoop) -> Iterator[None]:
    """Within this, `time` tells the loop's time: the services ask the module, as every program does."""

    def wall() -> float:
        return STARTED_AT + loop.time() - _BOOTED

    told = {
        "monotonic": loop.time,
        "monotonic_ns": lambda: int(loop.time() * 1e6) * 1000,
        "time": wall,
        "time_ns": lambda: int(wall() * 1e6) * 1000,
    }
    real = {name: getattr(time, name) for name in told}
    for name, told_by in told.items():
        setattr(time, name, told_by)
    clock.begin()
    try:
        yield
    finally:
        for name, told_by in real.items():
            setattr(time, name, told_by)
        clock.begin()
