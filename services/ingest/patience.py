"""How long does somebody wait whose request nobody signed? The first few not at all, a flood as long as it takes.

A signature costs a tenth of a millisecond to refuse, and whoever has no secret can ask for it as often as connections have room.
On a connection the next request is read after the answer to the one before. So answers that wait their turn cost whoever floods
us his time, not those who behave theirs: Meta's own are never refused.
"""

from __future__ import annotations


class Patience:
    """Turns at so many a second for all together; `burst` of them at once after a silence. Nobody waits longer than `longest`."""

    def __init__(self, *, per_second: float, burst: int, longest: float) -> None:
        self._each, self._burst, self._longest = 1.0 / per_second, burst, longest
        self._next = 0.0

    def seconds(self, now: float) -> float:
        """Until the turn of the one that asks."""
        begun = max(self._next, now - self._burst * self._each)
        self._next = min(begun + self._each, now + self._longest)
        return max(0.0, self._next - now)
