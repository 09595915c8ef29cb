"""How much may we hold in memory? A count of bytes with a ceiling."""

from __future__ import annotations


class Budget:
    """Bytes taken and given back. A single take above the ceiling passes while nothing else is held, so nothing starves."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Whether there was room; if so it is taken."""
        if self.used and self.used + size > self.limit:
            return False
        self.used += size
        return True

    def release(self, size: int) -> None:
        """Give back what was taken."""
        self.used -= size
