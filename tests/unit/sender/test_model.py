"""Can any order of crashes, lost answers, late webhooks and changes of owner double or lose a message? Every state is visited.

One command, two processes of which either may be a zombie, two crashes, three changes of owner, two attempts, timers at any time.
What a result means, and whether a lost command is sent once more, is asked of the sender's own functions; the rows and their
rules are those of its statements `start`, `record`, `settle` and `orphans`. Each rule is also broken once, to show that the
search would find what it is there for.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any, Final, NamedTuple

import pytest

from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.resending import HOLD, RESEND_ONCE, Lost
from services.sender import outcomes
from services.sender.findings import finding_of, finding_of_overdue
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result

ATTEMPTS: Final = 2
NOW: Final = 1_800_000_000_000


class Bug(StrEnum):
    NONE = "none"
    BLIND_RETRY = "an orphan is sent again"
    NO_STARTED_ROW = "nothing is written before the call"
    EARLY_COMMIT = "the offset is committed before the row"
    NO_FENCE = "the epoch is not looked at"
    FORGETS_THE_FIRST = "the last attempt alone says what became of the command"
    NEVER_HEARS_OF_THE_FIRST = "only the last attempt is looked for in webhooks"


class Process(NamedTuple):
    """What one process holds in memory: whether its epoch is the newest, an older one or none, and how far its call is."""

    epoch: str = "none"  # none, old, newest
    attempt: int = -1
    doubt: bool = False
    call: str = "none"  # none, started, written, then what the exchange proved


class State(NamedTuple):
    """Kafka's offset, Postgres' rows, both processes' memory, and what Meta did."""

    processes: tuple[Process, Process] = (Process(), Process())
    crashes: int = 2
    changes: int = 3
    committed: bool = False
    command: str = "absent"
    doubt: bool = False
    duplicate: bool = False
    attempts: tuple[str, ...] = ()
    is_orphan: bool = False
    requests: frozenset[int] = frozenset()
    accepted: tuple[int, ...] = (0, 0)
    rejected: frozenset[int] = frozenset()


def attempt_of(no: int, *, doubt: bool) -> Attempt:
    return Attempt(
        command_id="c",
        attempt_no=no + 1,
        attempt_id=f"c/{no + 1}",
        phone_number_id="1",
        lane=1,
        message_type="text",
        content="{}",
        to="+491700000001",
        bsuid=None,
        shard=0,
        possible_duplicate=doubt,
    )


@cache
def command_after(proof: Proof, *, doubt: bool) -> str:
    """The state that the sender gives a command whose attempt under way proved this."""
    result = Result(proof=proof, reason=Reason.THROTTLED if proof is Proof.RETRY else None)
    return finding_of(attempt_of(0, doubt=doubt), result, at=NOW, waba_id=None, horizon_seconds=1.0).command_state


@cache
def command_overdue(policy: str, *, doubt: bool) -> str:
    """The state that the sender gives a command for which no evidence came in time."""
    lost = Lost(
        policy=policy,
        lane=Lane.TRANSACTIONAL,
        opted_in=frozenset({"transactional"}),
        reason=Reason.NO_ANSWER,
        is_possible_duplicate=doubt,
        expires_at=NOW + 1,
    )
    return finding_of_overdue(attempt_of(0, doubt=doubt), lost, at=NOW, waba_id=None).command_state


@cache
def command_given_up(*, doubt: bool, is_expired: bool) -> str:
    """The state of a command that the gate refuses, or whose time is over."""
    attempt = attempt_of(0, doubt=doubt)
    if is_expired:
        return outcomes.expired(attempt, None, at=NOW, waba_id=None).kind
    return outcomes.refused(attempt, Reason.OPTED_OUT, None, at=NOW, waba_id=None).kind


def step(state: State, policy: str, bug: Bug) -> Iterator[State]:
    """Everything that can happen next."""
    yield from meta(state)
    yield from settle(state, policy, bug)
    for who in (0, 1):
        yield from fate(state, who)
        yield from work(state, who, bug)


def meta(state: State) -> Iterator[State]:
    """A request on its way is lost, accepted or rejected."""
    for attempt in state.requests:
        left = state._replace(requests=state.requests - {attempt})
        yield left
        accepted = tuple(count + (nth == attempt) for nth, count in enumerate(state.accepted))
        yield left._replace(accepted=accepted)
        yield left._replace(rejected=state.rejected | {attempt})


def settle(state: State, policy: str, bug: Bug) -> Iterator[State]:
    """Status webhooks of accepted attempts, at any time and any number of times; or the wait for one is over.

    Whichever process looks, the statements are the same, and none touches a command with an attempt under way.
    """
    if state.command == "started":
        return
    for nth, outcome in enumerate(state.attempts):
        is_looked_for = bug is not Bug.NEVER_HEARS_OF_THE_FIRST or nth == len(state.attempts) - 1
        if state.accepted[nth] and outcome not in ("open", "accepted") and is_looked_for:
            yield with_outcome(
                state, nth, "accepted", command="accepted", duplicate=state.duplicate or state.command == "accepted"
            )
    if state.command == "unknown":
        last = len(state.attempts) - 1
        before = state.attempts[last]
        overdue = with_outcome(state, last, "unresolved") if before == "unknown" else state
        command = command_overdue(policy, doubt=state.doubt)
        yield overdue._replace(command=command, doubt=state.doubt or command == "retry")


def fate(state: State, who: int) -> Iterator[State]:
    """A crash, or becoming the owner: then the epoch is bumped and open attempts of others are adopted as unknown."""
    if state.crashes and state.processes[who] != Process():
        yield with_process(state, who, Process(), crashes=state.crashes - 1)
    # Ownership may always be taken by somebody when nobody has it; beyond that the budget counts.
    has_owner = any(process.epoch == "newest" for process in state.processes)
    if state.changes or not has_owner:
        other = state.processes[1 - who]
        yield state._replace(
            processes=pair(
                state.processes[who]._replace(epoch="newest"), other._replace(epoch="old") if other.epoch == "newest" else other
            ),
            is_orphan=state.command == "started",
            changes=max(0, state.changes - has_owner),
        )


def work(state: State, who: int, bug: Bug) -> Iterator[State]:
    """What a process does by itself: intake, adopting, starting, writing, hearing, recording."""
    me = state.processes[who]
    is_owner = me.epoch == "newest"
    if me.epoch != "none" and not state.committed:
        yield from intake(state, bug)
    if is_owner:
        yield from adopt(state, bug)
    may_start = (is_owner or (bug is Bug.NO_FENCE and me.epoch == "old")) and me.call == "none"
    if may_start and state.command in ("waiting", "retry"):
        if len(state.attempts) < ATTEMPTS:
            yield started(state, who, bug)
        for is_expired in (False, True):
            yield state._replace(
                command=command_given_up(doubt=state.doubt and bug is not Bug.FORGETS_THE_FIRST, is_expired=is_expired)
            )
    yield from call(state, who, bug)


def call(state: State, who: int, bug: Bug) -> Iterator[State]:
    """A call under way in one process, whoever owns the shard by now."""
    me = state.processes[who]
    if me.call == "started":
        yield with_process(state._replace(requests=state.requests | {me.attempt}), who, me._replace(call="written"))
        yield with_process(state, who, me._replace(call=Proof.NOT_SENT))
    elif me.call == "written":
        yield with_process(state, who, me._replace(call=Proof.UNKNOWN))
        if state.accepted[me.attempt]:
            yield with_process(state, who, me._replace(call=Proof.ACCEPTED))
        if me.attempt in state.rejected:
            yield with_process(state, who, me._replace(call=Proof.REJECTED))
            yield with_process(state, who, me._replace(call=Proof.RETRY))
    elif me.call != "none":
        doubt = me.doubt and bug is not Bug.FORGETS_THE_FIRST
        after = recorded(state, me.attempt, Proof(me.call), doubt=doubt)
        yield with_process(after, who, me._replace(call="none", attempt=-1, doubt=False))


def intake(state: State, bug: Bug) -> Iterator[State]:
    if state.command == "absent":
        yield state._replace(command="waiting")
        if bug is Bug.EARLY_COMMIT:
            yield state._replace(committed=True)
    else:
        yield state._replace(committed=True)


def adopt(state: State, bug: Bug) -> Iterator[State]:
    if state.command == "started" and state.is_orphan:
        last = len(state.attempts) - 1
        if bug is Bug.BLIND_RETRY:
            yield with_outcome(state, last, "retry", command="retry")
        else:
            yield recorded(state, last, Proof.UNKNOWN, doubt=state.doubt)


def started(state: State, who: int, bug: Bug) -> State:
    me = state.processes[who]
    if bug is Bug.NO_STARTED_ROW:
        attempt = min(len(state.attempts), ATTEMPTS - 1)
        return with_process(state, who, me._replace(attempt=attempt, call="started"))
    attempt = len(state.attempts)
    process = me._replace(attempt=attempt, doubt=state.doubt, call="started")
    attempts = (*state.attempts, "open")
    return with_process(state, who, process, command="started", attempts=attempts, is_orphan=me.epoch == "old")


def recorded(state: State, attempt: int, proof: Proof, *, doubt: bool) -> State:
    """The statement `record`, and `settle` for an acceptance that came when the attempt had been given up."""
    if attempt >= len(state.attempts):
        return state
    before, is_last = state.attempts[attempt], attempt == len(state.attempts) - 1
    if before == "open" and state.command == "started" and is_last:
        return with_outcome(state, attempt, proof, command=command_after(proof, doubt=doubt))
    if before not in ("unknown", "unresolved") or state.command == "started":
        return state
    if proof is Proof.ACCEPTED:
        duplicate = state.duplicate or state.command == "accepted"
        return with_outcome(state, attempt, proof, command="accepted", duplicate=duplicate)
    if proof is Proof.REJECTED:
        after = with_outcome(state, attempt, proof)
        others = {one for nth, one in enumerate(state.attempts) if nth != attempt}
        ends = is_last and state.command in ("unknown", "unresolved") and not others & {"accepted", "unknown", "unresolved"}
        return after._replace(command=command_after(proof, doubt=False)) if ends else after
    return state


def with_outcome(state: State, attempt: int, outcome: str, **more: Any) -> State:
    return state._replace(attempts=(*state.attempts[:attempt], str(outcome), *state.attempts[attempt + 1 :]), **more)


def with_process(state: State, who: int, process: Process, **more: Any) -> State:
    return state._replace(processes=pair(process, state.processes[1 - who]), **more)


def pair(one: Process, other: Process) -> tuple[Process, Process]:
    """Which of the two is which makes no difference."""
    return (one, other) if one <= other else (other, one)


def violations(state: State) -> set[str]:
    """What must never be true."""
    found = set()
    taken = sum(state.accepted)
    if taken > 1:
        found.add("accepted twice after a resend" if state.doubt else "accepted twice")
    if taken and state.command in ("refused", "rejected", "expired"):
        found.add("told as failed although accepted")
    if taken and not state.attempts:
        found.add("accepted without a record")
    if state.committed and state.command == "absent":
        found.add("lost")
    return found


def rest(state: State) -> set[str]:
    """What must not be true when nothing can happen any more: all webhooks have come."""
    found = set()
    if state.command not in ("accepted", "rejected", "refused", "expired", "unresolved"):
        found.add("stuck")
    if sum(state.accepted) and state.command != "accepted":
        found.add("accepted, and nobody is told")
    if sum(state.accepted) > 1 and not state.duplicate:
        found.add("accepted twice, and nobody is told")
    return found


def explore(policy: str, bug: Bug = Bug.NONE, until: str | None = None) -> tuple[int, set[str]]:
    """Every reachable state, or all until one violation: how many, and what is violated."""
    seen = {State()}
    todo = [State()]
    found: set[str] = set()
    while todo and until not in found:
        state = todo.pop()
        found |= violations(state)
        following = {one for one in step(state, policy, bug) if one != state}
        if not following:
            found |= rest(state)
        todo += following - seen
        seen |= following
    return len(seen), found


@pytest.mark.failure("S2", "S3", "S4", "S12")
def test_no_order_of_events_doubles_loses_or_misreports_a_held_message() -> None:
    states, found = explore(HOLD)
    assert found == set()
    assert states >= 19_556


def test_the_only_duplicate_is_the_one_that_resend_once_accepts_and_it_is_told() -> None:
    states, found = explore(RESEND_ONCE)
    assert found == {"accepted twice after a resend"}
    assert states >= 80_808


@pytest.mark.parametrize(
    ("policy", "bug", "violation"),
    [
        (HOLD, Bug.BLIND_RETRY, "accepted twice"),
        (HOLD, Bug.NO_STARTED_ROW, "accepted without a record"),
        (HOLD, Bug.EARLY_COMMIT, "lost"),
        (RESEND_ONCE, Bug.FORGETS_THE_FIRST, "told as failed although accepted"),
        (RESEND_ONCE, Bug.NEVER_HEARS_OF_THE_FIRST, "accepted, and nobody is told"),
    ],
)
def test_the_search_finds_each_rule_that_is_broken(policy: str, bug: Bug, violation: str) -> None:
    assert violation in explore(policy, bug, until=violation)[1]


def test_without_the_fence_the_ledger_still_prevents_doubles() -> None:
    assert explore(HOLD, Bug.NO_FENCE)[1] == set()
