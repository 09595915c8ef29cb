"""Which dead letters are there, and what was decided about them? Rows of Postgres; neither key nor bytes unless asked for."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from services.common.platform.kafka import LogRecord
from services.common.platform.registry import Connection
from services.common.platform.statements import queries

_SQL: Final = queries("services.cli", "dead_letters.sql")


class Source(StrEnum):
    """Which service set it aside."""

    ROUTER = "router"
    PROJECTOR = "projector"
    SENDER = "sender"

    @property
    def group(self) -> str:
        return f"parley.{self}"


class State(StrEnum):
    """How a dead letter stands."""

    OPEN = "open"
    BEGUN = "begun"
    REDRIVEN = "redriven"
    RESOLVED = "resolved"
    RETURNED = "returned"
    DISCARDED = "discarded"


class Letter(NamedTuple):
    """A record, or an element of it, that was set aside. Instants are milliseconds."""

    topic: str
    partition: int
    offset: int
    pointer: str
    appended_at: int
    consumer_group: str
    reason: str
    phone_number_id: str | None
    state: str
    decided_at: int | None

    @property
    def place(self) -> str:
        """How the command line names it."""
        return f"{self.topic}/{self.partition}/{self.offset}{f'#{self.pointer}' if self.pointer else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many letters of a service have a reason and a state."""

    consumer_group: str
    reason: str
    state: str
    count: int


class Decision(NamedTuple):
    """What somebody decided about a letter, and what became of it."""

    decision: str
    decided_at: int
    decided_by: str
    why: str
    appended_offset: int | None
    outcome: str | None
    settled_at: int | None


class Unsettled(NamedTuple):
    """A redrive of a letter, of which nobody has noted yet what became of it; without an offset not even that it was done."""

    decision_id: int
    topic: str
    partition: int
    pointer: str
    consumer_group: str
    redrive_id: str
    looked_from: int
    appended_offset: int | None


class Place(NamedTuple):
    """A record, or with a pointer one element of it. A pointer of None is every element."""

    topic: str
    partition: int
    offset: int
    pointer: str | None

    def names(self, letter: Letter) -> bool:
        """It is that letter, or one of them."""
        return letter[:3] == self[:3] and self.pointer in (None, letter.pointer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is None narrows nothing. `since` and `until`: when the record was appended at first, milliseconds."""

    source: Source | None = None
    cause: str | None = None
    topic: str | None = None
    number: str | None = None
    state: State | None = None
    since: int | None = None
    until: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """As the statements want it."""
        return {
            "source": None if self.source is None else self.source.group,
            "reason": self.cause,
            "topic": self.topic,
            "number": self.number,
            "state": self.state,
            "since": self.since,
            "until": self.until,
        }


class Kept(NamedTuple):
    """A letter with what it holds."""

    error: str
    record: LogRecord


async def counts(connection: Connection, wanted: Filter) -> list[Count]:
    """By service, reason and state."""
    found = await _rows(connection, "counts", wanted.values)
    return [Count(consumer_group=group, reason=reason, state=state, count=count) for group, reason, state, count in found]


async def listed(connection: Connection, wanted: Filter, *, limit: int | None) -> list[Letter]:
    """The newest first; all of them without a limit."""
    return [Letter(*row) for row in await _rows(connection, "listed", {**wanted.values, "limit": limit})]


async def at_places(connection: Connection, places: Sequence[Place]) -> list[Letter]:
    """Those that the places name."""
    found = [Letter(*row) for row in await _rows(connection, "at_places", _columns(places, ("topic", "partition", "offset")))]
    return [letter for letter in found if any(place.names(letter) for place in places)]


async def kept(connection: Connection, letter: Letter) -> Kept | None:
    """Its error, headers, key and bytes, as the record stood at first; None when a rebuild has taken it away meanwhile."""
    found = await _rows(connection, "kept", _key(letter))
    if not found:
        return None
    [(error, headers, key, value)] = found
    record = LogRecord(
        letter.topic, letter.partition, letter.offset, letter.appended_at, key, value, [_header(one) for one in headers]
    )
    return Kept(error, record)


async def decisions(connection: Connection, letter: Letter) -> list[Decision]:
    """The first first."""
    return [Decision(*row) for row in await _rows(connection, "decisions", _key(letter))]


async def is_alone(connection: Connection) -> bool:
    """True for one session of a database at a time, until that session ends."""
    [(is_locked,)] = await _rows(connection, "alone", {})
    return bool(is_locked)


async def discard(connection: Connection, letters: Sequence[Letter], *, who: str, why: str) -> None:
    """Note that they are given up. Nothing is deleted."""
    nothing = [None] * len(letters)
    await _decide(connection, letters, "discard", who=who, why=why, redrive_ids=nothing, looked_from=nothing)


async def begin_redrive(
    connection: Connection,
    letters: Sequence[Letter],
    *,
    who: str,
    why: str,
    redrive_ids: Sequence[str],
    looked_from: Sequence[int],
) -> None:
    """Note that they are about to be appended, each under its id, and not before that offset of its partition."""
    await _decide(connection, letters, "redrive", who=who, why=why, redrive_ids=redrive_ids, looked_from=looked_from)


async def note_appended(connection: Connection, offsets: Mapping[str, int]) -> None:
    """Where the records of these redrive ids stand."""
    values = {"redrive_id": list(offsets), "appended_offset": list(offsets.values())}
    await connection.execute(_SQL["appended"], values)


async def note_outcomes(connection: Connection, outcomes: Mapping[int, str]) -> None:
    """What became of redrives, by decision: resolved, returned, not_appended. What is noted already stays."""
    await connection.execute(_SQL["settle"], {"decision_id": list(outcomes), "outcome": list(outcomes.values())})


async def unsettled(connection: Connection) -> list[Unsettled]:
    """In the order in which they were decided."""
    return [Unsettled(*row) for row in await _rows(connection, "unsettled", {})]


async def read_up_to(connection: Connection, projection: str) -> dict[tuple[str, int], int]:
    """The next offset of each partition that the projector has read."""
    found = await _rows(connection, "read_up_to", {"projection": projection})
    return {(topic, partition): offset for topic, partition, offset in found}


async def set_aside_again(
    connection: Connection, places: Sequence[tuple[str, int, int]]
) -> dict[tuple[str, int, int], list[str]]:
    """The pointers of the dead letters that these records became."""
    wanted = _columns([Place(*place, None) for place in places], ("topic", "partition", "offset"))
    found: dict[tuple[str, int, int], list[str]] = {}
    for topic, partition, offset, pointer in await _rows(connection, "set_aside_again", wanted):
        found.setdefault((topic, partition, offset), []).append(pointer)
    return found


async def _decide(
    connection: Connection,
    letters: Sequence[Letter],
    decision: str,
    *,
    who: str,
    why: str,
    redrive_ids: Sequence[str | None],
    looked_from: Sequence[int | None],
) -> None:
    names = ("topic", "partition", "offset", "pointer", "consumer_group", "reason")
    more = {"decision": decision, "decided_by": who, "why": why}
    redrives = {"redrive_id": list(redrive_ids), "looked_from": list(looked_from)}
    await connection.execute(_SQL["decide"], {**_columns(letters, names), **more, **redrives})


def _key(letter: Letter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in ("topic", "partition", "offset", "pointer")}


def _columns(rows: Iterable[object], names: Iterable[str]) -> dict[str, list[Any]]:
    found = list(rows)
    return {name: [getattr(row, name) for row in found] for name in names}


def _header(told: Sequence[str | None]) -> tuple[str, bytes]:
    """As `projector.dead_letters.headers` has it; a header without a value has an empty one."""
    name, text, *encoded = told
    if encoded and encoded[0] is not None:
        return name or "", base64.b64decode(encoded[0])
    return name or "", (text or "").encode()


async def _rows(connection: Connection, name: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[name], values)).fetchall()
