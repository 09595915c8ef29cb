"""Which record kills its reader at each start? Told by what every life wrote beside its position before it began.

A strike is a life that ended while what follows the position was in hand. Each of three in a row narrows the search: the first
life has anything in hand; the second takes one batch at a time, and moves on as soon as that is done; the third takes one record
at a time. What was alone in hand as the third died is struck out: set aside, and the work goes on.

Crash thinking: a mark is durable before the work begins, and goes when the position moves. So dying before the mark counts
nothing, dying after it counts one, and a reader that gets on leaves no marks behind. Only a record that was alone gets the last
strike: none is set aside for its neighbours' sake. A mark that its own life finds again is no strike, and one that is withdrawn,
because the reader ends in an orderly way or waits for something else than the record, counts no more than before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

OUT: Final = 3
_ALONE: Final = OUT - 1
"""So many strikes, and each record is taken alone."""
_FAR: Final = 100
"""Batches that the second life takes one at a time: more than a life gets done before it commits."""
_PREFIX: Final = "parley-strikes"

Place = TypeVar("Place", bound=Hashable)
"""A partition, as the reader's client names it."""


class Mark(NamedTuple):
    """What stands beside a position. `until`: the offset before which records are taken alone; 0 while none are."""

    strikes: int
    until: int
    life: str

    def __str__(self) -> str:
        return f"{_PREFIX}/{self.strikes}/{self.until}/{self.life}"


def read_mark(text: str) -> Mark | None:
    """What `Mark` wrote; None for anything else."""
    prefix, *parts = text.split("/")
    if (
        prefix != _PREFIX
        or len(parts) != 3
        or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts[:2])
    ):
        return None
    return Mark(int(parts[0]), int(parts[1]), parts[2])


class Strikes(Generic[Place]):
    """Of the partitions that one life of a reader has. `life` is its name, without a slash; `reach`: the most records of a batch.

    A mark is text beside an offset, for the reader to write where it keeps that. With `is_on` False there are none.
    """

    def __init__(self, *, life: str, reach: int, is_on: bool = True) -> None:
        self._life, self._reach, self.is_on = life, reach, is_on
        self._found: dict[Place, tuple[int, int]] = {}
        self._until: dict[Place, int] = {}
        self._batchwise: dict[Place, int] = {}
        self._begun: set[Place] = set()
        self._standing: dict[Place, tuple[int, Mark]] = {}
        self._is_assigned = False

    def assigned(self, found: Mapping[Place, tuple[int, str]], ends: Mapping[Place, int]) -> dict[Place, int]:
        """Begin anew with these positions and what stands beside them; `ends`: where their logs end.

        How many lives ended in a row at a position, where any did.
        """
        if not self.is_on:
            return {}
        self._found, self._until, self._batchwise, self._begun, self._standing = {}, {}, {}, set(), {}
        self._is_assigned = True
        for place, (offset, text) in found.items():
            mark = read_mark(text)
            if mark is None:
                continue
            strikes = mark.strikes - (mark.life == self._life)
            self._found[place] = (offset, strikes)
            if strikes >= _ALONE:
                self._until[place] = max(offset + 1, mark.until or min(offset + self._reach, ends[place]))
            elif strikes > 0:
                self._batchwise[place] = max(offset + 1, min(offset + _FAR * self._reach, ends[place]))
        return {place: strikes for place, (_, strikes) in self._found.items() if strikes > 0}

    def is_single(self, place: Place, offset: int) -> bool:
        """Is this record to be taken alone?"""
        return offset < self._until.get(place, 0)

    def are_apart(self, firsts: Mapping[Place, int]) -> bool:
        """Is the batch that begins with these offsets to be the only one in hand?"""
        return bool(self._found) and any(
            self.is_single(place, offset) or offset < self._batchwise.get(place, 0) for place, offset in firsts.items()
        )

    def is_out(self, place: Place, offset: int) -> bool:
        """Is this record to be set aside?"""
        found, strikes = self._found.get(place, (-1, 0))
        return found == offset and strikes >= OUT

    def is_careful(self, positions: Mapping[Place, int]) -> bool:
        """Is any of these next offsets one of a record to be taken alone?"""
        return bool(self._until) and any(self.is_single(place, offset) for place, offset in positions.items())

    def begin(self, firsts: Mapping[Place, int]) -> dict[Place, tuple[int, str]]:
        """The marks to write before a batch that begins with these offsets; {} for nearly all batches."""
        if not self._is_assigned:
            return {}
        marks: dict[Place, tuple[int, str]] = {}
        for place, offset in firsts.items():
            if self.is_single(place, offset):
                mark = Mark(OUT, self._until[place], self._life)
            elif offset < self._batchwise.get(place, 0):
                mark = Mark(_ALONE, 0, self._life)
            elif place not in self._begun:
                mark = Mark(1, 0, self._life)
            else:
                continue
            self._begun.add(place)
            self._standing[place] = (offset, mark)
            marks[place] = (offset, str(mark))
        return marks

    def done(self, places: Iterable[Place]) -> None:
        """Batches of these have had their effect: their marks go with the next commit."""
        if self._standing:
            for place in places:
                self._standing.pop(place, None)

    def beside(self, place: Place, offset: int) -> str:
        """What is to stand beside this offset, whoever commits it."""
        standing = self._standing.get(place)
        return str(standing[1]) if standing is not None and standing[0] == offset else ""

    def withdraw(self) -> dict[Place, tuple[int, str]]:
        """The marks to write instead of those that stand, since dying from now on is not the records' doing."""
        self._standing = {
            place: (offset, Mark(mark.strikes - 1, mark.until, "")) if mark.life else (offset, mark)
            for place, (offset, mark) in self._standing.items()
        }
        return {place: (offset, str(mark)) for place, (offset, mark) in self._standing.items()}
