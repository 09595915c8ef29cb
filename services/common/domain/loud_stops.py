"""What can no restart mend, so that a reader has to stop and say so?

Each has one name for metric and log, an exit code of its own, and a sentence about what to do; docs/stops.md says more.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final


class LoudStop(Exception):  # noqa: N818 - named for what follows, not for the error
    """Going on would lose records or spoil them. Nothing that met it is done, and no position moves past it."""

    reason: ClassVar[str]
    exit_code: ClassVar[int]
    what_to_do: ClassVar[str]


class LogDeleted(LoudStop):
    """Records were deleted before they were read."""

    reason = "log_deleted"
    exit_code = 80
    what_to_do = "what was deleted is lost to this reader: raise the topic's retention, then move the position past it"


class LogTruncated(LoudStop):
    """The log ends before the position: the topic was made anew, or brokers have lost its end."""

    reason = "log_truncated"
    exit_code = 81
    what_to_do = "find out whether the topic was made anew or lost its end; then set the position to where reading must go on"


class LogHole(LoudStop):
    """Offsets are missing in a topic that is written without transactions and never compacted."""

    reason = "log_hole"
    exit_code = 82
    what_to_do = "compare the topic's settings with deploy/kafka/topics.yaml and find the records; then start again"


class SchemaUnknown(LoudStop):
    """A later version of Parley wrote this."""

    reason = "schema_unknown"
    exit_code = 83
    what_to_do = "deploy a version of this service that knows the schema: readers are upgraded before writers"


class DeadLetterFlood(LoudStop):
    """So many records cannot be used that the mistake is elsewhere."""

    reason = "dead_letter_flood"
    exit_code = 84
    what_to_do = (
        "look at the last dead letters and mend what makes them; to set all of them aside on purpose, start with "
        "PARLEY_DEAD_LETTER_LIMIT=false"
    )


def check_log_range(topic: str, partition: int, offset: int, *, start: int, end: int) -> None:
    """Refuse to go on when the position is outside the log: going on would skip or silently drop records."""
    if offset < start:
        raise LogDeleted(f"{topic}/{partition}: records {offset} to {start - 1} were deleted before they were read")
    if offset > end:
        raise LogTruncated(f"{topic}/{partition}: position {offset} is beyond the log's end {end}")


def check_hole(topic: str, partition: int, expected: int, found: int) -> None:
    """Refuse to go on when the next record is not the next one; for topics whose offsets have no gaps."""
    if found > expected:
        raise LogHole(f"{topic}/{partition}: expected offset {expected}, got {found}")


class DeadLetterLimit:
    """Counts what a reader sets aside. More than 50 in a row, or than 100 of its last 10,000 records, raise DeadLetterFlood.

    A record of which anything is set aside is one, however much that is. Told before it has an effect: the one that breaks the
    limit is set aside by nobody. It knows of one process only: each start may set aside as many again, if they come one by one.
    """

    IN_A_ROW: Final = 50
    WINDOW: Final = 10_000
    MOST: Final = 100

    def __init__(self, *, is_on: bool = True) -> None:
        self._is_on = is_on
        self._seen = self._row = 0
        self._dead: deque[int] = deque()

    def good(self, records: int = 1) -> None:
        """So many records were used."""
        if records:
            self._seen += records
            self._row = 0

    def dead(self) -> None:
        """A record, or something of it, is to be set aside."""
        self._seen += 1
        self._row += 1
        self._dead.append(self._seen)
        while self._dead[0] <= self._seen - self.WINDOW:
            self._dead.popleft()
        if not self._is_on:
            return
        if self._row > self.IN_A_ROW:
            raise DeadLetterFlood(f"{self._row} dead letters in a row")
        if len(self._dead) > self.MOST:
            raise DeadLetterFlood(f"{len(self._dead)} dead letters among the last {min(self._seen, self.WINDOW)} records")
