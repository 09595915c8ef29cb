"""How many calls of a number may be under way at once? As many as Meta answers in good time.

A number whose calls hang would hold connections, memory and the rows of its attempts for as long as each of them lasts. So what
may be under way shrinks with every answer that is slow for this number, faster with every one that does not come, and grows with
every good one: it is back within a few round trips once Meta answers again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST: Final = 4
_USUAL_ANSWERS: Final = 100
_SLOW: Final = 3.0
"""Times the usual round trip."""
_SLOW_SECONDS: Final = 0.1
"""Below this nothing is slow."""
_LOST: Final = 0.8


@dataclass(frozen=True, slots=True)
class InFlight:
    """How many; and the usual round trip in seconds, 0 until there was one."""

    most: float
    usual: float = 0.0


def answered(state: InFlight, round_trip: float, *, most: int) -> InFlight:
    """A call was answered in so many seconds. `most` is what the number may have under way at all."""
    usual = round_trip if not state.usual else state.usual + (round_trip - state.usual) / _USUAL_ANSWERS
    is_slow = bool(state.usual) and round_trip > max(_SLOW_SECONDS, _SLOW * state.usual)
    return InFlight(_within(state.most - 1 if is_slow else state.most + 1, most), usual)


def lost(state: InFlight, *, most: int) -> InFlight:
    """A call ended without an answer."""
    return InFlight(_within(state.most * _LOST, most), state.usual)


def _within(wanted: float, most: int) -> float:
    return min(float(max(LEAST, most)), max(float(LEAST), wanted))
