"""What else must be known about commands whose turn it is, besides what stands in their own rows? Pure.

`wanted` says what is to be looked up, in the transaction that starts them; `Knowledge` is what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.common.domain.send_policy import READ, TEMPLATE, Facts
from services.common.domain.templates import Listed, Told
from services.common.domain.topics import CONSENT_RECORDS, CONTACT_EVENTS, INBOUND_MESSAGES
from services.sender.media import facts as media_facts
from services.sender.media.facts import Facts as MediaFacts
from services.sender.outcomes import Attempt

CAUSES: Final = (INBOUND_MESSAGES, CONTACT_EVENTS, CONSENT_RECORDS)
"""What windows and consents are made of."""
_CAUSE: Final = re.compile(r"([a-z0-9.-]+)/(0|[1-9][0-9]{0,8})/(0|[1-9][0-9]{0,17})")


class TemplateName(NamedTuple):
    """A template of an account, in one language."""

    name: str
    language: str


class Place(NamedTuple):
    """Where a record stands in the log."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A command whose turn it is, with the facts of the gate. `attempt` is the one that would be made.

    `content` is what `attempt.content` says, `fallback` the same of its fallback template; None where it is no JSON. `picked_at`
    is by the clock of Postgres.
    """

    attempt: Attempt
    content: object
    fallback: object
    context_wamid: str | None
    policy: str
    appended_at: int
    received_at: int
    expires_at: int
    send_at: int | None
    facts: Facts
    media: MediaFacts = media_facts.NONE
    picked_at: int = 0

    @property
    def has_fallback(self) -> bool:
        """A template has no use for another one."""
        return self.attempt.options.fallback_template is not None and self.attempt.message_type not in (TEMPLATE, READ)

    @property
    def template(self) -> TemplateName | None:
        """What it sends as a template, or would when the window is closed."""
        if self.attempt.message_type == TEMPLATE:
            return name_of(self.content)
        return name_of(self.fallback) if self.has_fallback else None

    @property
    def person(self) -> str:
        """Who counts for the messaging limit."""
        return self.attempt.pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A template as it was found: what the list had, with its components, and what events told."""

    listed: Listed | None = None
    parameter_format: str | None = None
    components: str = "[]"
    told: Told | None = None
    is_in_other_language: bool = False


@dataclass(slots=True, kw_only=True)
class Room:
    """Who may still be written to first. `left` is None where there is no limit; who counts already takes no more of it."""

    left: int | None = None
    counted: set[str] = field(default_factory=set)
    seconds: float = 0.0
    """Until one of those who count no longer does."""
    begun: dict[str, bool] = field(default_factory=dict)
    """Who is written to, and whether that took of it."""

    def admits(self, person: str) -> bool:
        """True, and counted, if it may be begun."""
        takes = self.left is not None and person not in self.counted
        if takes and self.left is not None:
            if self.left <= 0:
                return False
            self.left -= 1
        self.counted.add(person)
        self.begun[person] = self.begun.get(person, False) or takes
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be looked up."""

    templates: frozenset[TemplateName]
    topics: frozenset[str]
    people: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What was found. `list_polled_at`: when reading the whole list of the account last began; `is_list_unread`: it failed since.

    `positions`: (topic, partition) -> next offset that the read models take in.
    """

    templates: Mapping[TemplateName, Definition] = field(default_factory=dict)
    list_polled_at: int | None = None
    is_list_unread: bool = False
    positions: Mapping[tuple[str, int], int] = field(default_factory=dict)
    room: Room = field(default_factory=Room)

    def has_passed(self, place: Place) -> bool:
        """The read models know the record."""
        return self.positions.get((place.topic, place.partition), 0) > place.offset


def wanted(candidates: Iterable[Candidate]) -> Wanted:
    """What has to be looked up about them; mostly nothing."""
    templates: set[TemplateName] = set()
    topics: set[str] = set()
    people: set[str] = set()
    for one in candidates:
        name = one.template
        if name is not None:
            templates.add(name)
        if name is not None or one.attempt.options.category is not None:
            people.add(one.person)
        place = None if one.attempt.options.caused_by is None else place_of(one.attempt.options.caused_by)
        if place is not None:
            topics.add(place.topic)
    return Wanted(templates=frozenset(templates), topics=frozenset(topics), people=frozenset(people))


def name_of(content: object) -> TemplateName | None:
    """Name and language of a template; None where they cannot be those of one."""
    if not isinstance(content, dict):
        return None
    name, language = content.get("name"), content.get("language")
    code: Any = language.get("code") if isinstance(language, dict) else None
    return TemplateName(name, code) if isinstance(name, str) and isinstance(code, str) and _is_clean(name + code) else None


def place_of(caused_by: str) -> Place | None:
    """`topic/partition/offset` of an event that windows and consents are made of; None for anything else."""
    found = _CAUSE.fullmatch(caused_by)
    return Place(found[1], int(found[2]), int(found[3])) if found is not None and found[1] in CAUSES else None


def _is_clean(text: str) -> bool:
    """Postgres can be asked for it."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)
