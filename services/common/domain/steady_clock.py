"""What time is it for a process whose wall clock may be set back? Pure: both clocks are read by the caller.

Permission to write to somebody, the end of a command and the age of a record are all differences to instants that others told
us. If the clock on the wall jumps back, each of them lasts longer than it should: a message would be sent after its window. So
time goes on by the clock that nobody sets, from the latest that the wall has said; a jump forward is believed.
"""

from __future__ import annotations


class SteadyClock:
    """Nanoseconds in, nanoseconds out. Never goes back while it lives, whatever the wall says."""

    def __init__(self) -> None:
        self._ahead: int | None = None

    def read(self, *, wall: int, monotonic: int) -> int:
        """Unix time; the wall's own unless that was set back."""
        ahead = wall - monotonic
        if self._ahead is None or ahead > self._ahead:
            self._ahead = ahead
        return monotonic + self._ahead

    def behind(self, *, wall: int, monotonic: int) -> int:
        """How far the wall is behind what this clock says: 0 unless it was set back."""
        return self.read(wall=wall, monotonic=monotonic) - wall
