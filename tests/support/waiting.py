"""How does a test wait? For a condition, with a deadline; never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_SECONDS = 0.05


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when `condition` holds; AssertionError naming `what` after the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(PAUSE_SECONDS)


def wait_for_none(missing: Callable[[], object], seconds: float, what: str) -> None:
    """Return when nothing is `missing`; AssertionError naming `what` and what is missing still after the time."""
    deadline = time.monotonic() + seconds
    while left := missing():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}: {left}"
        time.sleep(PAUSE_SECONDS)
