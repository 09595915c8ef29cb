"""How does a test wait? For a condition, with a deadline; never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_SECONDS = 0.05


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when `condition` holds; AssertionError naming `what` after the time."""
    _wait(lambda: "" if condition() else what, seconds)


def wait_for_none(missing: Callable[[], object], seconds: float, what: str) -> None:
    """Return when nothing is `missing`; AssertionError naming `what` and what is missing still after the time."""
    _wait(lambda: f"{what}: {left}" if (left := missing()) else "", seconds)


def _wait(unmet: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while left := unmet():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {left}"
        time.sleep(PAUSE_SECONDS)
