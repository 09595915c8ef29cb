"""How many calls of a number may be under way at once? As many as Meta answers in good time.

A number whose calls hang would hold connections, memory and the rows of its attempts for as long as each of them lasts. So what
may be under way shrinks with every answer that is slow for this number, faster with every one that does not come, and grows with
every good one: it is back within a few round trips once Meta answers again.

Every call without an answer is a message of which nobody knows whether it was taken. When several in a row stay without one, one
call at a time finds out whether Meta is back, and after each that fails the number rests, longer every time: what waits meanwhile
is known not to be sent.
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
_SILENT: Final = 4
"""So many in a row without an answer, and nobody is there."""
_FIRST_REST_SECONDS: Final = 0.5
LONGEST_REST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class InFlight:
    """How many; and the usual round trip in seconds, 0 until there was one. Instants are of one monotonic clock."""

    most: float
    usual: float = 0.0
    lost_in_a_row: int = 0
    rest_seconds: float = 0.0
    """How long the number rests, or has rested; 0 unless nobody is there."""
    rests_until: float = 0.0


def is_silent(state: InFlight) -> bool:
    """Nobody is there: one call at a time, after a rest."""
    return state.lost_in_a_row >= _SILENT


def allowed(state: InFlight) -> float:
    """How many calls may be under way at once."""
    return 1.0 if is_silent(state) else state.most


def answered(state: InFlight, round_trip: float, *, most: int) -> InFlight:
    """A call was answered in so many seconds. `most` is what the number may have under way at all."""
    usual = round_trip if not state.usual else state.usual + (round_trip - state.usual) / _USUAL_ANSWERS
    is_slow = bool(state.usual) and round_trip > max(_SLOW_SECONDS, _SLOW * state.usual)
    return InFlight(_within(state.most - 1 if is_slow else state.most + 1, most), usual)


def lost(state: InFlight, *, most: int, sent_at: float, now: float) -> InFlight:
    """A call that was written at `sent_at` ended without an answer. Those that were under way before a rest do not prolong it."""
    in_a_row = state.lost_in_a_row + 1
    rest, until = state.rest_seconds, state.rests_until
    if in_a_row >= _SILENT and (not rest or sent_at >= until):
        rest = min(LONGEST_REST_SECONDS, 2 * rest or _FIRST_REST_SECONDS)
        until = now + rest
    return InFlight(_within(state.most * _LOST, most), state.usual, in_a_row, rest, until)


def _within(wanted: float, most: int) -> float:
    return min(float(max(LEAST, most)), max(float(LEAST), wanted))
