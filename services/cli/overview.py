"""How do many commands stand, in a table for people or in JSON lines for programs? Pure: rows of the ledger in, cells out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.cli import show
from services.common.domain.lanes import LANES, RANK, Lane


class State(StrEnum):
    """Where a command stands, in the order it goes through them."""

    WAITING = "waiting"
    RETRY = "retry"
    STARTED = "started"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    UNRESOLVED = "unresolved"


LOOKED_AT_AGAIN: Final = frozenset({State.WAITING, State.RETRY, State.UNKNOWN})
"""The sender comes back to these at a time that it has noted; to the others only when it is told something."""
NO_TYPE: Final = "no type"
_WORD: Final = re.compile(r"[a-z_]{1,32}")
COUNTS_HEAD: Final = ("STATE", *(lane.upper() for lane in LANES))
HEAD: Final = ("COMMAND ID", "NUMBER ID", "LANE", "TYPE", "STATE", "REASON", "CODE", "ATTEMPTS", "AGE", "NEXT LOOK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many commands of a lane are in a state."""

    state: State
    lane: Lane
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A command as a list shows it: nothing of whom it is for or what it says."""

    command_id: str
    phone_number_id: str
    lane: Lane
    type: str
    state: State
    reason: str | None
    error_code: int | None
    attempts: int
    appended_at: int
    next_look_at: int | None


def shown_type(message_type: str) -> str:
    """Meta's types are words. Anything else is what a producer put there by mistake, maybe a number, and is not repeated."""
    return message_type if _WORD.fullmatch(message_type) else NO_TYPE


def in_order(counts: Sequence[Count]) -> list[Count]:
    """By state, then by lane."""
    states = list(State)
    return sorted(counts, key=lambda one: (states.index(one.state), RANK[one.lane]))


def count_rows(counts: Sequence[Count]) -> list[tuple[str, ...]]:
    """A line for each state that some command is in."""
    found = {(one.state, one.lane): one.count for one in counts}
    states = [state for state in State if any((state, lane) in found for lane in LANES)]
    return [(state, *(str(found.get((state, lane), 0)) for lane in LANES)) for state in states]


def row(one: Listed, *, now: int) -> tuple[str, ...]:
    """Cells under HEAD."""
    return (
        one.command_id,
        one.phone_number_id,
        one.lane,
        one.type,
        one.state,
        one.reason or "-",
        "-" if one.error_code is None else str(one.error_code),
        str(one.attempts),
        show.span(max(0, now - one.appended_at)),
        next_look(one.next_look_at, now=now),
    )


def as_object(one: Listed, *, now: int) -> dict[str, object]:
    """The same for programs."""
    return {
        "command_id": one.command_id,
        "phone_number_id": one.phone_number_id,
        "lane": one.lane,
        "type": one.type,
        "state": one.state,
        "reason": one.reason,
        "error_code": one.error_code,
        "attempts": one.attempts,
        "appended_at": one.appended_at,
        "age_seconds": max(0, now - one.appended_at) / 1000,
        "next_look_at": one.next_look_at,
    }


def next_look(at: int | None, *, now: int) -> str:
    """When the sender comes back to it, as seen from now."""
    if at is None:
        return "-"
    return f"in {show.span(at - now)}" if at > now else f"due for {show.span(now - at)}"


def nothing(state: State | None, number: str | None) -> str:
    """What an empty answer means."""
    whose = "" if number is None else f" of number {number}"
    return f"There is no command{whose}." if state is None else f"No command{whose} is in state {state}."
