"""How do two values that may be unknown become one, whatever their order? As Postgres' least() and greatest() do it."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T", int, str)


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
