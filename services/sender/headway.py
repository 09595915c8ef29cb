"""How many attempts may be started and not yet written? As many as this process gets written in time, found by trying.

An attempt whose write comes too long after its STARTED row is given up and made again. A process that starts more than it can
write would do nothing else; so what is ahead is a window over all its numbers, which a late write halves.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from services.common.domain.limiter import START_TO_WRITE_SECONDS
from services.sender.pacer import Pacer

FIRST: Final = 32
LEAST: Final = 4
MOST: Final = 1_024
LATE_SECONDS: Final = START_TO_WRITE_SECONDS / 2
"""A write this long after its start was in time, and says that the next ones will not be."""


class Headway:
    """Grows by one for each windowful written in time; halved by a late write, once for what was ahead at that moment."""

    def __init__(self) -> None:
        self._size = float(FIRST)
        self._ahead = 0
        self._forgiven = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def size(self) -> int:
        """The window."""
        return int(self._size)

    @property
    def room(self) -> int:
        """How many may be started now."""
        return int(self._size) - self._ahead

    @property
    def is_awaited(self) -> bool:
        """True when somebody waits for room: who comes now is not before them."""
        return bool(self._waiting)

    def wait(self, *, again: bool = False) -> asyncio.Future[None]:
        """Done when there may be room, in the order of asking; `again` for one whose room was gone when its turn came."""
        turn = asyncio.get_running_loop().create_future()
        if again:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        return turn

    def start(self) -> None:
        """One more is ahead."""
        self._ahead += 1

    def end(self, *, late: bool) -> None:
        """It is written, or will not be."""
        self._ahead -= 1
        if late and not self._forgiven:
            self._size = max(LEAST, self._size / 2)
            self._forgiven = self._ahead
        else:
            self._forgiven = max(0, self._forgiven - 1)
            if not late:
                self._size = min(MOST, self._size + 1 / self._size)
        # One that wakes may find nothing to start; the last to end wakes everybody, or nobody would.
        for _ in range(min(len(self._waiting), self.room) if self._ahead else len(self._waiting)):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)


class Turn:
    """A number's pacer for one attempt, which also tells the headway when the attempt is no longer ahead.

    `recipient`: whose pair limit it counts for; None for what is no message.
    """

    def __init__(self, pacer: Pacer, headway: Headway, recipient: str | None) -> None:
        self._pacer, self._headway, self._recipient = pacer, headway, recipient
        self._begun = 0.0
        self._charged_at: float | None = None
        self._is_ahead = True
        headway.start()
        pacer.start(recipient)

    async def admit(self, started: float) -> bool:
        """As the pacer's."""
        self._begun = started
        is_admitted = await self._pacer.admit(started)
        if not is_admitted:
            # Without a token in time it is the number that is slow, and not this process.
            self._end(late=time.monotonic() - started > LATE_SECONDS)
        return is_admitted

    def written(self) -> float:
        """As the pacer's."""
        self._end(late=time.monotonic() - self._begun > LATE_SECONDS, is_written=True)
        self._charged_at = self._pacer.written(self._recipient)
        return self._charged_at

    def not_written(self) -> None:
        """As the pacer's."""
        self._pacer.not_written()

    def answered(self, charged_at: float) -> None:
        """As the pacer's."""
        self._pacer.answered(charged_at, self._recipient)

    def heard(self, *, throttled: bool) -> None:
        """What was written was refused for the number's rate, or was not."""
        if self._charged_at is None:
            return
        if throttled:
            self._pacer.throttled(self._charged_at)
        else:
            self._pacer.taken(self._charged_at)

    def close(self) -> None:
        """The attempt is over, whatever became of it."""
        self._end(late=False)

    def _end(self, *, late: bool, is_written: bool = False) -> None:
        if self._is_ahead:
            self._is_ahead = False
            self._headway.end(late=late)
            if not is_written:
                self._pacer.give_up(self._recipient)
