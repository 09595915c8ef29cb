"""Is it worth asking the log? A breaker that refuses at once while Kafka is away, and notices its return by itself."""

from __future__ import annotations


class Breaker:
    """Closed: all pass. Open after `misses` deadlines in a row were missed: none passes, except one probe at a time.

    Any acknowledgement closes it, also the late one of an append whose request was refused long ago: those that the producer
    still holds are the first to know that Kafka is back. Without one, a probe goes out `probe_seconds` after the last miss.
    """

    def __init__(self, *, misses: int = 3, probe_seconds: float = 0.5) -> None:
        self._limit = misses
        self._probe_seconds = probe_seconds
        self._in_a_row = 0
        self._probe_at: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """True from the last tolerated miss until the next acknowledgement."""
        return self._in_a_row >= self._limit

    def admits(self, now: float) -> bool:
        """Whether one more append may be tried now. While open, True makes this append the probe."""
        if not self.is_open:
            return True
        if not self.wants_probe(now):
            return False
        self._probing = True
        return True

    def wants_probe(self, now: float) -> bool:
        """Open, and an append would be tried."""
        return self.is_open and not self._probing and self._probe_at is not None and now >= self._probe_at

    def acknowledged(self) -> None:
        """The log took something."""
        self._in_a_row = 0
        self._probe_at = None
        self._probing = False

    def missed(self, now: float) -> None:
        """An append was refused, or not acknowledged in time."""
        self._in_a_row += 1
        self._probing = False
        if self.is_open:
            self._probe_at = now + self._probe_seconds
