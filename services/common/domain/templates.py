"""What is true of a template now? Meta tells it twice: by events, and when it is asked for its list. The newest word counts.

Sources: webhooks/reference/message_template_status_update, templates/overview, template_category_update.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.common.domain.consent import ConsentCategory

STOPPED: Final = frozenset(
    {
        "ARCHIVED",
        "DELETED",
        "DISABLED",
        "IN_APPEAL",
        "LIMIT_EXCEEDED",
        "LOCKED",
        "PAUSED",
        "PENDING",
        "PENDING_DELETION",
        "REJECTED",
    }
)
"""States in which nothing is sent. Every other word, also one that is not known yet, is left to Meta."""
EVENT_LEAD_MS: Final = 30_000
"""An event counts against a poll that began up to so much later: Meta tells seconds, and its clock is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What Graph's list had, and when reading it began (milliseconds)."""

    status: str | None
    category: str | None
    polled_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What events said last, each with Meta's instant (milliseconds)."""

    status: str | None = None
    status_at: int | None = None
    category: str | None = None
    category_at: int | None = None
    components_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """What both know together. `is_defined`: the list's components are those that hold."""

    status: str | None
    category: ConsentCategory | None
    is_defined: bool

    @property
    def is_stopped(self) -> bool:
        """Meta sends nothing with it."""
        return self.status in STOPPED


def current(listed: Listed | None, told: Told | None, *, list_polled_at: int | None) -> Current | None:
    """What holds now; None where Meta has no such template, as far as anything tells.

    `list_polled_at` is when the last complete poll of the account began: what it did not find is gone, unless an event is newer.
    """
    if listed is None:
        return None if told is None or not _is_newer(_last(told), list_polled_at) else _from(told, is_defined=False)
    if told is None:
        return Current(status=listed.status, category=category_of(listed.category), is_defined=True)
    status = told.status if _is_newer(told.status_at, listed.polled_at) else listed.status
    category = told.category if _is_newer(told.category_at, listed.polled_at) else listed.category
    is_defined = told.components_at is None or told.components_at <= listed.polled_at
    return Current(status=status, category=category_of(category), is_defined=is_defined)


def category_of(word: str | None) -> ConsentCategory | None:
    """Meta's word as what consent is given for; None for a word that is not known."""
    try:
        category = ConsentCategory((word or "").lower())
    except ValueError:
        return None
    return None if category is ConsentCategory.ALL else category


def _from(told: Told, *, is_defined: bool) -> Current:
    return Current(status=told.status, category=category_of(told.category), is_defined=is_defined)


def _last(told: Told) -> int | None:
    return max((at for at in (told.status_at, told.category_at, told.components_at) if at is not None), default=None)


def _is_newer(told_at: int | None, polled_at: int | None) -> bool:
    return told_at is not None and (polled_at is None or told_at + EVENT_LEAD_MS >= polled_at)
