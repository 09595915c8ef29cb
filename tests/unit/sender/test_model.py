"""Can any order of crashes, lost answers, late webhooks and changes of owner double or lose a message? Every state is visited.

One command, two processes of which either may be a zombie, at most one crash, two changes of owner and two attempts. The
rules are those of the sender's statements; each is also broken once, to show that the search would find what it is there for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import pytest

ATTEMPTS = 2


class Bug(StrEnum):
    NONE = "none"
    BLIND_RETRY = "an orphan is sent again"
    NO_STARTED_ROW = "nothing is written before the call"
    EARLY_COMMIT = "the offset is committed before the row"
    NO_FENCE = "the epoch is not looked at"


@dataclass(frozen=True, slots=True)
class Process:
    """What one process holds in memory: its epoch, the attempt it started, and how far its call is."""

    epoch: int = 0
    attempt: int = -1
    call: str = "none"  # none, started, written, then what the exchange proved


@dataclass(frozen=True, slots=True)
class State:
    """Kafka's offset, Postgres' rows, both processes' memory, and what Meta did."""

    processes: tuple[Process, Process] = (Process(), Process())
    crashes: int = 1
    changes: int = 2
    epoch: int = 0
    committed: bool = False
    command: str = "absent"
    attempts: tuple[str, ...] = ()
    owners: tuple[int, ...] = ()
    requests: frozenset[int] = frozenset()
    accepted: tuple[int, ...] = (0, 0)
    rejected: frozenset[int] = frozenset()


def step(state: State, bug: Bug) -> Iterator[State]:
    """Everything that can happen next."""
    yield from meta(state)
    yield from evidence(state)
    for who in (0, 1):
        yield from fate(state, who)
        yield from work(state, who, bug)


def meta(state: State) -> Iterator[State]:
    """A request on its way is lost, accepted or rejected."""
    for attempt in state.requests:
        left = replace(state, requests=state.requests - {attempt})
        yield left
        accepted = list(state.accepted)
        accepted[attempt] += 1
        yield replace(left, accepted=tuple(accepted))
        yield replace(left, rejected=state.rejected | {attempt})


def evidence(state: State) -> Iterator[State]:
    """A status webhook of an accepted attempt, at any time and any number of times; or the wait for one is over."""
    if not state.attempts:
        return
    last = len(state.attempts) - 1
    if state.command in ("unknown", "unresolved") and state.accepted[last]:
        yield recorded(state, last, "accepted", "accepted")
    if state.command == "unknown":
        yield recorded(state, last, "unresolved", "unresolved")


def fate(state: State, who: int) -> Iterator[State]:
    """A crash, or becoming the owner: then the epoch is bumped and open attempts of others are adopted as unknown."""
    if state.crashes and state.processes[who] != Process():
        yield replace(with_process(state, who, Process()), crashes=state.crashes - 1)
    # Ownership may always be taken by somebody when nobody has it; beyond that the budget counts.
    has_owner = any(process.epoch == state.epoch and state.epoch for process in state.processes)
    if state.changes or not has_owner:
        epoch = state.epoch + 1
        taken = replace(state, epoch=epoch, changes=max(0, state.changes - has_owner))
        yield with_process(taken, who, replace(state.processes[who], epoch=epoch))


def work(state: State, who: int, bug: Bug) -> Iterator[State]:
    """What a process does by itself: intake, adopting, starting, writing, hearing, recording."""
    me = state.processes[who]
    is_owner = me.epoch == state.epoch and me.epoch > 0
    if me.epoch and not state.committed:
        yield from intake(state, bug)
    if is_owner:
        yield from adopt(state, bug)
    may_start = (is_owner or (bug is Bug.NO_FENCE and me.epoch)) and me.call == "none" and len(state.attempts) < ATTEMPTS
    if may_start and state.command in ("waiting", "retry"):
        yield started(state, who, bug)
        yield replace(state, command="refused")
    if me.call == "started":
        yield with_process(replace(state, requests=state.requests | {me.attempt}), who, replace(me, call="written"))
        yield with_process(state, who, replace(me, call="not_sent"))
    if me.call == "written":
        yield with_process(state, who, replace(me, call="unknown"))
        if state.accepted[me.attempt]:
            yield with_process(state, who, replace(me, call="accepted"))
        if me.attempt in state.rejected:
            yield with_process(state, who, replace(me, call="rejected"))
            yield with_process(state, who, replace(me, call="retry"))
    if me.call in ("not_sent", "unknown", "accepted", "rejected", "retry"):
        command = {"not_sent": "retry"}.get(me.call, me.call)
        yield with_process(recorded(state, me.attempt, me.call, command), who, replace(me, call="none", attempt=-1))


def intake(state: State, bug: Bug) -> Iterator[State]:
    if state.command == "absent":
        yield replace(state, command="waiting")
        if bug is Bug.EARLY_COMMIT:
            yield replace(state, committed=True)
    else:
        yield replace(state, committed=True)


def adopt(state: State, bug: Bug) -> Iterator[State]:
    if state.command == "started" and state.owners[-1] < state.epoch:
        if bug is Bug.BLIND_RETRY:
            yield replace(state, command="retry", attempts=(*state.attempts[:-1], "retry"))
        else:
            yield recorded(state, len(state.attempts) - 1, "unknown", "unknown")


def started(state: State, who: int, bug: Bug) -> State:
    if bug is Bug.NO_STARTED_ROW:
        attempt = min(len(state.attempts), ATTEMPTS - 1)
        return with_process(state, who, replace(state.processes[who], attempt=attempt, call="started"))
    attempt = len(state.attempts)
    begun = replace(state, command="started", attempts=(*state.attempts, "open"), owners=(*state.owners, state.epoch))
    return with_process(begun, who, replace(state.processes[who], attempt=attempt, call="started"))


def recorded(state: State, attempt: int, outcome: str, command: str) -> State:
    """The `record` statement: which attempt outcomes may follow which, and the command only with its last attempt."""
    if attempt >= len(state.attempts):
        return state
    before = state.attempts[attempt]
    follows = (
        before == "open"
        or (before in ("unknown", "unresolved") and outcome in ("accepted", "rejected"))
        or (before == "unknown" and outcome == "unresolved")
    )
    if not follows:
        return state
    attempts = (*state.attempts[:attempt], outcome, *state.attempts[attempt + 1 :])
    is_last = attempt == len(state.attempts) - 1
    return replace(state, attempts=attempts, command=command if is_last else state.command)


def with_process(state: State, who: int, process: Process) -> State:
    return replace(state, processes=(process, state.processes[1]) if who == 0 else (state.processes[0], process))


def violations(state: State) -> set[str]:
    """What must never be true."""
    found = set()
    taken = sum(state.accepted)
    if taken > 1:
        found.add("accepted twice")
    if taken and state.command in ("refused", "rejected"):
        found.add("told as failed although accepted")
    if taken and not state.attempts:
        found.add("accepted without a record")
    if state.committed and state.command == "absent":
        found.add("lost")
    return found


def explore(bug: Bug, until: str | None = None) -> tuple[int, set[str], set[str]]:
    """Every reachable state, or all until one violation: how many, what is violated, and in which states all comes to rest."""
    seen = {State()}
    todo = [State()]
    found: set[str] = set()
    ends: set[str] = set()
    while todo:
        state = todo.pop()
        found |= violations(state)
        if until in found:
            break
        following = {one for one in step(state, bug) if one != state}
        if not following:
            ends.add(state.command)
        for one in following - seen:
            seen.add(one)
            todo.append(one)
    return len(seen), found, ends


def test_no_order_of_events_doubles_loses_or_misreports_a_message() -> None:
    states, found, ends = explore(Bug.NONE)
    assert states > 10_000
    assert found == set()
    assert ends <= {"accepted", "rejected", "refused", "unresolved", "retry"}


@pytest.mark.parametrize(
    ("bug", "violation"),
    [
        (Bug.BLIND_RETRY, "accepted twice"),
        (Bug.NO_STARTED_ROW, "accepted without a record"),
        (Bug.EARLY_COMMIT, "lost"),
    ],
)
def test_the_search_finds_each_rule_that_is_broken(bug: Bug, violation: str) -> None:
    assert violation in explore(bug, until=violation)[1]


def test_without_the_fence_the_ledger_still_prevents_doubles() -> None:
    assert explore(Bug.NO_FENCE)[1] == set()
