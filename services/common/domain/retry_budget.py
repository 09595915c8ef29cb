"""May a number try something again now? At most a tenth of its messages are further tries, or troubles would feed themselves.

Each first try earns a tenth of a further one. A little comes with time, or a number with nothing new to send would never get rid
of what it has to try again; and a second's worth may be saved up. Instants are float seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

SHARE: Final = 0.1
_WITH_TIME: Final = 0.02
"""Of the limit, in a second; at least one."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many further tries are left, as of an instant; everything that can be saved up at first."""

    left: float = inf
    at: float = 0.0


def left(budget: RetryBudget, *, limit: int, now: float) -> int:
    """How many may be tried again now."""
    return int(_now(budget, limit, now).left)


def tried(budget: RetryBudget, *, first: int, again: int, limit: int, now: float) -> RetryBudget:
    """So many were tried for the first time, and so many again."""
    before = _now(budget, limit, now)
    return RetryBudget(min(float(limit), before.left + SHARE * first) - again, now)


def _now(budget: RetryBudget, limit: int, now: float) -> RetryBudget:
    earned = max(1.0, _WITH_TIME * limit) * max(0.0, now - budget.at)
    return RetryBudget(min(float(limit), budget.left + earned), now)
