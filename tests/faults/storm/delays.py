"""How long do things take, and how soon after a fault is that normal again? Pure, from when each began and when it was there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

LIMIT_SECONDS: Final = 2.0
"""From here on something is late. Three brokers, a standby and eleven processes share the machine with who looks."""
_ONSET_SECONDS: Final = 3.0
"""How much after the end of a fault its first consequence may show: heartbeats are missed, sessions end."""
_BRIDGE_SECONDS: Final = 2.0
"""A calm this short between two late stretches belongs to them."""


@dataclass(slots=True, kw_only=True)
class Mark:
    """One message or command: when it began and when it was where it had to be, in monotonic seconds."""

    began: float
    done: float | None = None

    def age(self, now: float) -> float:
        """How long it took, or has taken until now."""
        return (now if self.done is None else self.done) - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The delays of many."""

    count: int
    median: float
    p99: float
    worst: float


def spread(seconds: Iterable[float]) -> Spread | None:
    """None of none."""
    found = sorted(seconds)
    if not found:
        return None
    return Spread(count=len(found), median=_share(found, 0.5), p99=_share(found, 0.99), worst=found[-1])


def _share(found: Sequence[float], share: float) -> float:
    return found[min(len(found) - 1, math.ceil(share * len(found)) - 1)]


def late_stretches(marks: Iterable[Mark], *, limit: float, now: float) -> list[tuple[float, float]]:
    """When something was late: from the limit on until it was there. In order, apart by more than a short calm."""
    found = sorted((mark.began + limit, mark.began + mark.age(now)) for mark in marks if mark.age(now) > limit)
    merged: list[tuple[float, float]] = []
    for begin, end in found:
        if merged and begin <= merged[-1][1] + _BRIDGE_SECONDS:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def recovery(
    stretches: Sequence[tuple[float, float]], *, ended_at: float, limit: float, others: Iterable[float] = ()
) -> float | None:
    """Seconds from the end of a fault until nothing was late any more; 0 when nothing was.

    A stretch that begins by some seconds after the end counts as the fault's own. None when one of the `others` (when they began;
    those that were over before this one left out) began before that.
    """
    shows_by = ended_at + limit + _ONSET_SECONDS
    normal_at = max((end for begin, end in stretches if begin <= shows_by and end > ended_at), default=ended_at)
    return None if any(other < max(normal_at, shows_by) for other in others) else normal_at - ended_at
