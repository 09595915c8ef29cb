"""How do two values that may be unknown become one, whatever their order? As Postgres' least() and greatest() do it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T", int, str, bool)


class Recorded(Protocol):
    """A row of one event."""

    @property
    def recorded_at(self) -> int: ...
    @property
    def event_id(self) -> str: ...


A = TypeVar("A")
R = TypeVar("R", bound=Recorded)


def first_recorded(known: R, reported: R) -> R:
    """Of several deliveries of the same the one that was recorded first."""
    return min(known, reported, key=lambda row: (row.recorded_at, row.event_id))


def same(known: A, _reported: A) -> A:
    """Of rows that are all key."""
    return known


def least(known: T | None, reported: T | None) -> T | None:
    """The smaller; the other when one is unknown."""
    if known is None or reported is None:
        return reported if known is None else known
    return min(known, reported)


def greatest(known: T | None, reported: T | None) -> T | None:
    """The greater; the other when one is unknown."""
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)


def latest(known: tuple[int, str] | None, reported: tuple[int, str] | None) -> tuple[int, str] | None:
    """The value told last; of two told at the same instant the greater."""
    if known is None or reported is None:
        return reported if known is None else known
    return max(known, reported)


def words_and_instants(told: Iterable[tuple[int, str] | None]) -> list[str | int | None]:
    """As columns: each word, then when it was told."""
    return [part for one in told for part in ((None, None) if one is None else (one[1], one[0]))]
