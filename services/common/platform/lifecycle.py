"""How does a process start and stop? One loop, signals once, a drain with a deadline, an exit code that tells the truth."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from services.common.domain.loud_stops import LoudStop
from services.common.platform import clock, logging, metrics

log = logging.get(__name__)

DRAIN_SECONDS = 9.0
"""SIGTERM to exit at the latest: under the ten seconds we promise. Exiting hard is safe: nothing is acknowledged early."""
GARBAGE_THRESHOLDS = (5_000, 100, 40)
"""Python's own (700, 10, 10) look through everything that waits in a queue again and again: a tenth of a busy process's time.
To look through 50,000 new objects at once stops the process for 30 to 60 ms."""
PATIENT_THRESHOLDS = (200_000, 100, 40)
"""For work that nobody waits for: a pause of a quarter of a second hurts nobody there."""
_PR_SET_DUMPABLE = 4
_OUT_OF_MEMORY = "give the process more memory, or lower its settings that say how many bytes it may hold"
EXIT_FATAL = 70
EXIT_STALLED = 75
EXIT_DUPLICATE_INSTANCE = 76


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stopping)` until it returns; SIGTERM and SIGINT set `stopping` and arm the deadline."""
    clock.begin()
    keep_memory_private()
    make_busy()
    with asyncio.Runner() as runner:
        runner.run(_guarded(main))


def keep_memory_private() -> None:
    """No core dump: it would hold every secret and the messages in hand. Nor may another process of this user look into us.

    The limit alone does not keep a core from a program that the system hands it to; that is up to the kernel's own flag.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_busy(*, garbage_thresholds: tuple[int, int, int] = GARBAGE_THRESHOLDS) -> None:
    """Prepare the process for much work in one loop; called before that is made."""
    gc.freeze()  # what the imports made lives as long as the process
    gc.set_threshold(*garbage_thresholds)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


async def _guarded(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if not stopping.is_set():
            log.info("process.stopping", signal=name)
            stopping.set()
            loop.call_later(DRAIN_SECONDS, _deadline)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    loop.set_exception_handler(_unhandled)
    await main(stopping)
    log.info("process.stopped")


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Nobody awaited what raised this. Without memory nobody knows what it left half done, so the process ends.

    A connection that got no memory for its next bytes has been closed, as if the network had: that is whole.
    """
    if isinstance(context.get("exception"), MemoryError) and "transport" not in context:
        with contextlib.suppress(MemoryError):
            log.critical("process.out_of_memory", hint=_OUT_OF_MEMORY)
        exit_now(EXIT_FATAL)
    loop.default_exception_handler(context)


def _deadline() -> None:
    log.warning("process.drain_deadline")
    exit_now(0)


def exit_now(code: int) -> None:
    """End the process without running anything else: no acknowledgement may follow a failed effect."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def stop_loudly(stop: LoudStop, *, group: str, shown_seconds: float) -> None:
    """Say what no restart mends, and end the process with the code of that once metrics had time to be read.

    The caller does nothing more: it neither goes on nor acknowledges anything.
    """
    metrics.STOPPED.labels(group, stop.reason).set(1)
    log.critical(
        "process.stopped_for_good",
        group=group,
        reason=stop.reason,
        detail=str(stop),
        hint=stop.what_to_do,
        exit_code=stop.exit_code,
    )
    asyncio.get_running_loop().call_later(shown_seconds, exit_now, stop.exit_code)


class Rounds:
    """Rounds of a loop begin at least so many seconds apart: under load each does more, and a lone one waits for nobody."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next_at = seconds, 0.0

    async def begin(self) -> None:
        """Return when the next round may begin."""
        wait = self._next_at - time.monotonic()
        if wait > 0.0:
            await asyncio.sleep(wait)
        self._next_at = time.monotonic() + self._seconds


async def wait_any(*events: asyncio.Event | asyncio.Future[None]) -> None:
    """Return when the first of these is set or done."""
    tasks = [asyncio.ensure_future(e.wait()) if isinstance(e, asyncio.Event) else e for e in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event, task in zip(events, tasks, strict=True):
            if isinstance(event, asyncio.Event):
                task.cancel()


async def sleep_unless(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait; True when `stopping` was set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return False
    return True
