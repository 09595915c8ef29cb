"""Is this event about that person, or that business number? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from services.common.domain.events import GroupChanged
from services.projector.fold import Event
from services.projector.projections.contacts import digits
from services.projector.projections.dead_letters import DeadLetterRow

_NAMES: Final = (
    "contact",
    "wa_id",
    "bsuid",
    "parent_bsuid",
    "previous_wa_id",
    "previous_bsuid",
    "previous_parent_bsuid",
)


class Span(NamedTuple):
    """After `since` and until `until`, in milliseconds; None is no bound."""

    since: int | None
    until: int | None

    def holds(self, at: int) -> bool:
        """That instant is in it."""
        return (self.since is None or at > self.since) and (self.until is None or at <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a question is about. What is None, is not asked for; both together narrow each other.

    `names`: every name of the person, with the times in which it was theirs: a number changes hands. `wamids`: their messages,
    for what is told of a message and names nobody.
    """

    names: Mapping[str, tuple[Span, ...]] | None = None
    wamids: frozenset[str] = frozenset()
    phone_number_id: str | None = None

    def is_in(self, event: Event) -> bool:
        """The event concerns the subject."""
        if isinstance(event, DeadLetterRow):
            number, _, contact = (event.record_key or b"").decode("utf-8", "replace").partition("/")
            return self._is_number(number) and self._is_person((contact,), event.recorded_at)
        held = vars(event)
        if not self._is_number(held.get("phone_number_id")):
            return False
        if self.names is None or held.get("wamid") in self.wamids:
            return True
        told_at = held.get("occurred_at")
        return self._is_person(_named(event, held), told_at if told_at is not None else held.get("recorded_at", 0))

    def _is_number(self, phone_number_id: str | None) -> bool:
        return self.phone_number_id is None or self.phone_number_id == phone_number_id

    def _is_person(self, named: Iterable[str | None], at: int) -> bool:
        names = self.names
        return names is None or any(span.holds(at) for name in named if name and name in names for span in names[name])


def _named(event: Event, held: Mapping[str, Any]) -> list[str | None]:
    """Every name in an event: as our keys write them."""
    named = [held.get(name) for name in _NAMES]
    if to := held.get("to"):
        named.append(digits(to))
    if isinstance(event, GroupChanged):
        named += [name for one in event.participants for name in (one.wa_id, one.bsuid, one.parent_bsuid)]
    return named
