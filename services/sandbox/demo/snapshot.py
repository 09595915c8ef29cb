"""What does the view show at one moment? Plain values; where they come from is the observer's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.sandbox.demo.play import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberNow:
    """One business number in the last second."""

    name: str
    limit: int
    sends: int
    worst_second: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEvent:
    """Something that just became of a message; `who` is masked already."""

    clock: str
    who: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything on the screen."""

    phase: str
    elapsed: float
    seconds: float
    webhooks_per_second: float = 0.0
    webhook_posts: int = 0
    webhook_errors: int = 0
    sends_per_second: float = 0.0
    numbers: tuple[NumberNow, ...] = ()
    funnel: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    windows_open: int = 0
    opted_out: int = 0
    backlog: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    last: tuple[LastEvent, ...] = ()
    notes: tuple[Note, ...] = ()


def masked(person: str) -> str:
    """Enough of a number or user id to tell two apart, too little to call anyone: `+55••••4321`, `BR.••••x7Qa`."""
    if person.isdigit():
        return f"+{person[:2]}••••{person[-4:]}"
    return f"{person[:3]}••••{person[-4:]}" if len(person) > 12 else "••••"
