"""What is the sender's ledger in a run? Its tables in memory, one method for each statement of `queries.sql` that is used.

Each does to the rows what the statement of its name does, as if transactions came one after the other; rows go out in the columns
of the statement, so that all around it is the store's own code. What only Postgres can do wrong or right (locks, plans, what
concurrent transactions see) is not here; that both do the same otherwise is tested on a real one
(`tests/integration/test_simulated_ledger.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from services.common.domain.consent import ConsentCategory
from services.common.domain.topics import SEND_OUTCOMES
from services.common.platform.avro import Codec
from services.sender import options
from services.sender.commands import TakenIn
from services.sender.findings import Finding
from services.sender.knowledge import Candidate, Knowledge
from services.sender.store import Batch, OwnerLost, Pick, Store, _candidate
from tests.support.simulation.machine import Process
from tests.support.simulation.read_models import ReadModels

T = TypeVar("T")
Row = tuple[Any, ...]

ENDED: Final = ("accepted", "refused", "rejected", "expired", "unresolved")
_OPEN: Final = ("waiting", "retry")
_PROVED_LATE: Final = ("unknown", "unresolved", "rejected", "retry", "not_sent")
_RELATION: Final = 1
_EXPIRED: Final = 20


@dataclass(slots=True)
class Attempt:
    """A row of `send_attempts`; instants in seconds."""

    attempt_id: str
    epoch: int
    started_at: float
    outcome: str | None = None
    finished_at: float | None = None
    reason: str | None = None
    error_code: int | None = None
    trace_id: str | None = None
    wamid: str | None = None


@dataclass(slots=True)
class Command:
    """A row of `send_commands` with its attempts, the first of which is number 1."""

    taken: TakenIn
    seq: int
    received_at: float
    next_action_at: float
    expires_at: float
    state: str = "waiting"
    type: str = ""
    content: str = ""
    reason: str | None = None
    error_code: int | None = None
    wamid: str | None = None
    outcome: bytes | None = None
    possible_duplicate: bool = False
    is_duplicate: bool = False
    held_by: str | None = None
    deferred: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The producer's key."""
        return self.taken.message.command_id

    @property
    def place(self) -> tuple[str, int, str]:
        """Number, lane and recipient: where commands are in order."""
        return self.taken.message.phone_number_id, LANE[self.taken.lane], self.taken.pair

    @property
    def is_in_time(self) -> bool:
        """Its own time has come."""
        return self.taken.send_at is None or self.taken.send_at / 1000 <= time.time()

    def row(self, attempt_no: int | None = None) -> Row:
        """As statements give it: of one attempt, or of the last."""
        nth = len(self.attempts) if attempt_no is None else attempt_no
        message = self.taken.message
        return (
            self.id,
            nth,
            self.attempts[nth - 1].attempt_id if nth else None,
            message.phone_number_id,
            LANE[self.taken.lane],
            self.type,
            self.content,
            message.to,
            message.recipient,
            self.taken.shard,
            options.dumped(self.taken.options),
            0,
            self.possible_duplicate,
            list(self.deferred),
        )


LANE: Final = {"otp": 0, "transactional": 1, "bulk": 2}


class Tables:
    """Schema `sender`, what of the registry its statements read, and the read models beside it."""

    def __init__(self, read_models: ReadModels, *, opted_in: Sequence[str] = ()) -> None:
        """`opted_in`: lanes for which the only tenant accepts duplicates."""
        self.read_models, self._opted_in = read_models, list(opted_in)
        self.commands: dict[str, Command] = {}
        self.epochs: dict[int, int] = {}
        self.outbox: dict[int, tuple[int, Row]] = {}
        """seq -> shard, and the row without its seq."""
        self._distrusted: dict[int, str] = {}
        self.failures: dict[tuple[str, int], dict[str, Any]] = {}
        self._read_to: dict[int, datetime] = {}
        self._seq = 0

    def command_of(self, attempt_id: str) -> Command | None:
        """Whose attempt it is, where there is a row of it."""
        for command in self.commands.values():
            if any(one.attempt_id == attempt_id for one in command.attempts):
                return command
        return None

    def take_in(self, commands: Sequence[TakenIn]) -> list[Row]:
        """Statement `take_in`."""
        new: list[Row] = []
        now = time.time()
        for taken in commands:
            if taken.message.command_id in self.commands:
                continue
            self.commands[taken.message.command_id] = Command(
                taken=taken,
                seq=self._next(),
                received_at=now,
                next_action_at=now if taken.not_before is None else max(now, taken.not_before / 1000),
                expires_at=taken.expires_at / 1000,
                type=taken.message.type,
                content=taken.message.content,
            )
            new.append((taken.message.command_id,))
        return new

    def known(self, command_id: Sequence[str]) -> list[Row]:
        """Statement `known`."""
        found = [self.commands[one] for one in command_id if one in self.commands]
        return [(one.id, one.taken.fingerprint, one.outcome) for one in found]

    def tell(
        self,
        *,
        shard: Sequence[int],
        key: Sequence[bytes],
        value: Sequence[bytes],
        event_id: Sequence[str],
        occurred_at: Sequence[int],
    ) -> list[Row]:
        """Statement `tell`."""
        for one in zip(shard, key, value, event_id, occurred_at, strict=True):
            self._box(one[0], *one[1:])
        return []

    def untold(self, shards: Sequence[int], limit: int) -> list[Row]:
        """Statement `untold`."""
        return [(seq, *row) for seq, (shard, row) in sorted(self.outbox.items()) if shard in shards][:limit]

    def told(self, seq: Sequence[int]) -> list[Row]:
        """Statement `told`."""
        for one in seq:
            self.outbox.pop(one, None)
        return []

    def take_over(self, shards: Sequence[int], instance: str) -> list[Row]:
        """Statement `take_over`."""
        del instance
        for shard in shards:
            self.epochs[shard] = self.epochs.get(shard, 0) + 1
        return [(shard, self.epochs[shard]) for shard in shards]

    def orphans(self, shards: Sequence[int], started_seconds: float, limit: int) -> list[Row]:
        """Statement `orphans`."""
        before = time.time() - started_seconds
        found = [
            one
            for one in self._of(shards, "started")
            if one.attempts[-1].epoch < self.epochs[one.taken.shard] or one.attempts[-1].started_at < before
        ]
        return [one.row() for one in found][:limit]

    def recent_starts(self, shards: Sequence[int], seconds: float) -> list[Row]:
        """Statement `recent_starts`."""
        now = time.time()
        return [
            (
                one.taken.message.phone_number_id,
                one.taken.shard,
                now - attempt.started_at,
                None if attempt.finished_at is None else now - attempt.finished_at,
                None if one.type == "read" or attempt.outcome == "not_sent" else one.taken.pair,
            )
            for one in self._of(shards)
            for attempt in one.attempts
            if attempt.started_at > now - seconds
        ]

    def refused_pairs(self, shards: Sequence[int]) -> list[Row]:
        """Statement `refused_pairs`."""
        found: dict[tuple[str, int, str], list[Command]] = {}
        for one in self._of(shards, "retry"):
            if one.reason == "pair_limit":
                found.setdefault((one.taken.message.phone_number_id, one.taken.shard, one.taken.pair), []).append(one)
        now = time.time()
        return [
            (*place, max(one.next_action_at for one in those) - now, max(len(one.attempts) for one in those))
            for place, those in found.items()
        ]

    def backlog(self, shards: Sequence[int]) -> list[Row]:
        """Statement `backlog`."""
        counted = Counter((one.taken.message.phone_number_id, one.taken.shard) for one in self._of(shards, *_OPEN))
        return [(*place, count) for place, count in counted.items()]

    def pick(self, phone_number_id: str, shard: int, epoch: int, pick: Pick) -> list[Command] | None:
        """Statement `pick`, up to what is picked; None when the epoch has moved."""
        if self.epochs.get(shard) != epoch:
            return None
        now = time.time()
        values = pick.values()
        mine = [
            one for one in self._of([shard], *_OPEN) if one.taken.message.phone_number_id == phone_number_id
        ]  # in the order of seq
        first: list[tuple[Row, Command]] = []
        for order in pick.orders if pick.sending else ():
            lane = LANE[order.lane]
            due = [one for one in mine if LANE[one.taken.lane] == lane and one.next_action_at <= now]
            k = 0
            for one in sorted(due, key=lambda c: (c.next_action_at, c.seq))[: values["looked_at"]]:
                earlier = self._earlier(one)
                if earlier == 0:
                    k += 1
                    where = lane if k <= order.urgent else order.offset + order.step * k
                    first.append(((k > order.urgent, where, lane, k), one))
                elif one.expires_at > now:
                    one.next_action_at = now + max(1, earlier + 1 - pick.pairs.burst) * pick.pairs.interval_seconds
                    one.reason = "pair_limit" if one.state == "waiting" else one.reason
        chosen = [one for _, one in sorted(first, key=lambda each: each[0])][: pick.limit]
        expired = sorted((one for one in mine if one.expires_at <= now), key=lambda c: c.expires_at)[:_EXPIRED]
        return sorted({one.seq: one for one in (*chosen, *expired)}.values(), key=lambda c: (LANE[c.taken.lane], c.seq))

    def _earlier(self, command: Command) -> int:
        return sum(
            one.seq < command.seq
            and one.place == command.place
            and one.state in (*_OPEN, "started")
            and (one.held_by is None or command.held_by is not None)
            and one.is_in_time
            for one in self.commands.values()
        )

    def candidate(self, command: Command) -> Candidate:
        """A picked row with what the gate looks at, as the store reads it."""
        message, models = command.taken.message, self.read_models
        number, name = message.phone_number_id, command.taken.pair
        consents = [models.consent(number, name, one) for one in _CATEGORIES]
        row = (
            command.id,
            len(command.attempts),
            number,
            LANE[command.taken.lane],
            command.type,
            command.content,
            message.to,
            message.recipient,
            message.context_wamid,
            message.policy,
            command.taken.appended_at,
            round(command.received_at * 1000),
            round(command.expires_at * 1000),
            options.dumped(command.taken.options),
            "active",
            None,
            models.last_inbound_at(number, name),
            *(instant for one in consents for instant in (one.granted_at, one.withdrawn_at)),
            False,
            None,
            command.taken.send_at,
            0,
            command.possible_duplicate,
            list(command.deferred),
            "default",
            int(time.time() * 1000),
        )
        return _candidate(row, command.taken.shard)

    def start(self, batch: Batch, epoch: int) -> None:
        """Statement `start`."""
        for attempt in batch.start:
            command = self.commands[attempt.command_id]
            if attempt.attempt_no != len(command.attempts) + 1 or attempt.attempt_id is None:
                raise AssertionError("an attempt with a number that is taken")
            command.attempts.append(Attempt(attempt_id=attempt.attempt_id, epoch=epoch, started_at=time.time()))
            command.state, command.held_by = "started", None
            command.type, command.content = attempt.message_type, attempt.content

    def give_up(self, batch: Batch, encode: Callable[[Any], bytes], key: Callable[[Any], bytes]) -> None:
        """Statement `give_up`."""
        for attempt, outcome in batch.give_up:
            command = self.commands[attempt.command_id]
            command.state, command.reason, command.outcome = outcome.kind, outcome.reason, encode(outcome)
            self._box(command.taken.shard, key(outcome), command.outcome, outcome.event_id, outcome.occurred_at)

    def park(self, batch: Batch) -> None:
        """Statement `park`."""
        now = time.time()
        for one in batch.park:
            command = self.commands[one.attempt.command_id]
            command.next_action_at = min(now + one.seconds, command.expires_at)
            if command.state == "waiting" and one.reason is not None:
                command.reason = one.reason
            command.held_by = one.held_by

    def release(self, command_ids: Sequence[str]) -> None:
        """Statement `release`."""
        now = time.time()
        for command_id in command_ids:
            one = self.commands[command_id]
            if one.state in (*_OPEN, "started") and one.held_by is None:
                continue
            behind = [
                o for o in self._all() if o.place == one.place and o.state in (*_OPEN, "started") and o.held_by is None
            ]  # in the order of seq
            if behind and behind[0].state == "waiting" and behind[0].reason == "pair_limit" and behind[0].next_action_at > now:
                behind[0].next_action_at = now

    def kept_back(self, *, phone_number_id: str, shard: int, expires_at: int, seq: int, reason: str, limit: int) -> list[Row]:
        """Statement `kept_back`."""
        now = time.time()
        looked = [
            one
            for one in self._of([shard], *_OPEN)
            if one.taken.message.phone_number_id == phone_number_id and (one.expires_at, one.seq) > (expires_at / 1000, seq)
        ]
        looked = sorted(looked, key=lambda one: (one.expires_at, one.seq))[:limit]
        return [
            (
                *one.row()[:2],
                None,
                *one.row()[3:],
                one.seq,
                one.next_action_at <= now < one.expires_at and reason not in one.deferred,
                round(one.expires_at * 1000),
            )
            for one in looked
        ]

    def defer(
        self,
        *,
        command_id: Sequence[str],
        period: Sequence[int],
        reason: Sequence[str],
        key: Sequence[bytes],
        value: Sequence[bytes],
        event_id: Sequence[str],
        occurred_at: Sequence[int],
    ) -> list[Row]:
        """Statement `defer`."""
        del period
        told: list[Row] = []
        for one in zip(command_id, reason, key, value, event_id, occurred_at, strict=True):
            command = self.commands[one[0]]
            if command.state in _OPEN and one[1] not in command.deferred:
                command.deferred.append(one[1])
                command.outcome = one[3]
                self._box(command.taken.shard, *one[2:])
                told.append((one[4],))
        return told

    def next_due(self, phone_number_id: str, shard: int) -> list[Row]:
        """Statement `next_due`."""
        mine = [one for one in self._of([shard], *_OPEN) if one.taken.message.phone_number_id == phone_number_id]
        instants = [at for one in mine for at in (one.next_action_at, one.expires_at)]
        return [(min(instants) - time.time() if instants else None,)]

    def record(self, findings: Sequence[Finding], encode: Callable[[Any], bytes], key: Callable[[Any], bytes]) -> list[Row]:
        """Statement `record`. All findings see the rows as they are before it."""
        now = time.time()
        before = {one.attempt.command_id: self.commands[one.attempt.command_id] for one in findings}
        states = {command_id: (one.state, len(one.attempts)) for command_id, one in before.items()}
        outcomes = {command_id: [one.outcome for one in command.attempts] for command_id, command in before.items()}
        changed: list[Row] = []
        for finding in findings:
            command_id, nth = finding.attempt.command_id, finding.attempt.attempt_no
            command, (state, last), others = before[command_id], states[command_id], list(outcomes[command_id])
            attempt, had = command.attempts[nth - 1], others.pop(nth - 1)
            says = finding.attempt_outcome
            is_written = (
                (had is None and state == "started" and last == nth)
                or (had in ("unknown", "unresolved") and says == "rejected" and state != "started")
                or (had == "unknown" and says == "unresolved" and state == "unknown")
            )
            if is_written:
                attempt.outcome, attempt.finished_at, attempt.wamid = says, now, finding.wamid
                attempt.reason = attempt.reason if says == "unresolved" else finding.reason
                attempt.error_code = attempt.error_code if finding.error_code is None else finding.error_code
                attempt.trace_id = finding.trace_id or attempt.trace_id
            is_alone = not {"accepted", "unknown", "unresolved"} & set(others)
            is_command_changed = last == nth and (
                (state == "started" and is_written)
                or (state == "unknown" and says == "unresolved")
                or (state in ("unknown", "unresolved") and says == "rejected" and is_written and is_alone)
            )
            if is_command_changed:
                self._change(command, finding, now, encode, key)
                changed.append((command_id,))
        return changed

    def _change(
        self, command: Command, finding: Finding, now: float, encode: Callable[[Any], bytes], key: Callable[[Any], bytes]
    ) -> None:
        command.state = finding.command_state
        until = now + finding.wait_seconds
        command.next_action_at = until if command.state == "unknown" else min(until, command.expires_at)
        command.reason, command.error_code, command.wamid = finding.reason, finding.error_code, finding.wamid
        command.possible_duplicate = command.possible_duplicate or finding.possible_duplicate
        if finding.deferral is not None:
            command.deferred.append(finding.deferral)
        outcome = finding.outcome
        if outcome is not None:
            command.outcome = encode(outcome)
            self._box(command.taken.shard, key(outcome), command.outcome, outcome.event_id, outcome.occurred_at)

    def begun(self, command_id: Sequence[str], period: Sequence[int], attempt_no: Sequence[int], epoch: int) -> list[Row]:
        """Statement `begun`."""
        del period
        found = [(one, self.commands[one].attempts[nth - 1 : nth]) for one, nth in zip(command_id, attempt_no, strict=True)]
        return [(one,) for one, attempts in found if any(a.epoch == epoch and a.outcome is None for a in attempts)]

    def ended(self, command_id: Sequence[str], period: Sequence[int], attempt_no: Sequence[int]) -> list[Row]:
        """Statement `ended`."""
        del period
        given = zip(command_id, attempt_no, strict=True)
        return [(one,) for one, nth in given if self.commands[one].attempts[nth - 1].outcome is not None]

    def evidence(self, shards: Sequence[int], outcomes: Sequence[str], limit: int) -> list[Row]:
        """Statement `evidence`."""
        asked = {"unknown", "unresolved"} & set(outcomes)
        return self._proofs(shards, lambda attempt: attempt.outcome in asked)[:limit]

    def contradictions(self, shards: Sequence[int], seconds: float, limit: int) -> list[Row]:
        """Statement `contradictions`."""
        since = time.time() - seconds
        refused = ("rejected", "retry", "not_sent")
        return self._proofs(shards, lambda a: a.outcome in refused and (a.finished_at or 0.0) > since)[:limit]

    def _proofs(self, shards: Sequence[int], is_asked: Callable[[Attempt], bool]) -> list[Row]:
        found: list[Row] = []
        for one in self._of(shards):
            for nth, attempt in enumerate(one.attempts, start=1):
                if one.state == "started" or not is_asked(attempt):
                    continue
                status = self.read_models.status_of(attempt.attempt_id, one.taken.message.phone_number_id)
                if status is not None:
                    found.append((*one.row(nth), status.wamid, attempt.outcome, attempt.error_code))
        return found

    def settle(
        self,
        *,
        command_id: Sequence[str],
        period: Sequence[int],
        attempt_no: Sequence[int],
        attempt_id: Sequence[str],
        wamid: Sequence[str | None],
        error_code: Sequence[int | None],
        key: Sequence[bytes],
        value: Sequence[bytes],
        event_id: Sequence[str],
        occurred_at: Sequence[int],
        duplicate_value: Sequence[bytes],
        duplicate_event_id: Sequence[str],
    ) -> list[Row]:
        """Statement `settle`."""
        del period
        columns = (command_id, attempt_no, attempt_id, wamid, error_code, key, value, event_id, occurred_at)
        given = sorted(zip(*columns, duplicate_value, duplicate_event_id, strict=True), key=lambda one: one[:2])
        counts: dict[str, int] = {}
        had_duplicate = {one[0]: self.commands[one[0]].is_duplicate for one in given}
        told: list[Row] = []
        for name, nth_attempt, attempt, its_wamid, code, its_key, accepted, event, at, twice, twice_event in given:
            command = self.commands[name]
            row = command.attempts[nth_attempt - 1]
            if command.state == "started" or row.outcome not in _PROVED_LATE:
                continue
            row.outcome, row.wamid = "accepted", its_wamid
            if code is not None:
                self._distrusted.setdefault(code, attempt)
            nth = counts[name] = counts.get(name, int(command.state == "accepted")) + 1
            is_first, is_told = nth == 1, nth == 1 or (nth == 2 and not had_duplicate[name])
            if is_first:
                command.reason = command.error_code = None
                command.wamid, command.outcome = its_wamid, accepted
            command.state, command.is_duplicate = "accepted", command.is_duplicate or nth >= 2
            if is_told:
                self._box(command.taken.shard, its_key, accepted if is_first else twice, event if is_first else twice_event, at)
            told.append((name, nth_attempt, not is_first, is_told))
        return told

    def distrusted(self) -> list[Row]:
        """Statement `distrusted`."""
        return [(code,) for code in self._distrusted]

    def overdue(self, shards: Sequence[int], limit: int) -> list[Row]:
        """Statement `overdue`."""
        now = time.time()
        return [
            (*one.row(), one.taken.message.policy, one.attempts[-1].reason, round(one.expires_at * 1000), self._opted_in)
            for one in self._of(shards, "unknown")
            if one.next_action_at <= now
        ][:limit]

    def asked(self, shards: Sequence[int], limit: int) -> list[Row]:
        """Statement `asked`: no operator is here."""
        del shards, limit
        return []

    def open(self, shards: Sequence[int]) -> list[Row]:
        """Statement `open`."""
        return list(Counter(one.state for one in self._of(shards, "started", "unknown", "unresolved")).items())

    def positions(self, topics: Sequence[str]) -> list[Row]:
        """Statement `positions`."""
        return [(*place, at) for place, at in self.read_models.positions.items() if place[0] in topics]

    def read_to(self, shards: Sequence[int]) -> list[Row]:
        """Statement `read_to`."""
        found = [self._read_to[one] for one in shards if one in self._read_to]
        return [(min(found) if found else None, len(found))]

    def keep_read_to(self, shards: Sequence[int], read_to: datetime, relation: int) -> list[Row]:
        """Statement `keep_read_to`."""
        del relation
        self._read_to.update(dict.fromkeys(shards, read_to))
        return []

    def find_failures(self, shards: Sequence[int], read_to: datetime, limit: int) -> list[Row]:
        """Statement `find_failures`."""
        looked = self.read_models.failures(read_to.timestamp())[:limit]
        for row, _ in looked:
            command = self.command_of(row.biz_opaque_callback_data or "")
            if command is None or command.taken.shard not in shards:
                continue
            nth = next(n for n, one in enumerate(command.attempts, 1) if one.attempt_id == row.biz_opaque_callback_data)
            place = (command.id, -1 if row.error_code is None else row.error_code)
            self.failures.setdefault(place, {"attempt_no": nth, "wamid": row.wamid, "told": False})
        last = None if not looked else datetime.fromtimestamp(looked[-1][1], UTC)
        return [(len(looked), last, datetime.fromtimestamp(time.time(), UTC), _RELATION)]

    def untold_failures(self, shards: Sequence[int], limit: int) -> list[Row]:
        """Statement `untold_failures`."""
        found: list[Row] = []
        for (command_id, code), failure in self.failures.items():
            command = self.commands[command_id]
            nth = failure["attempt_no"]
            if command.taken.shard in shards and not failure["told"] and command.attempts[nth - 1].outcome == "accepted":
                found.append((*command.row(nth), failure["wamid"], code))
        return found[:limit]

    def tell_failures(
        self,
        *,
        command_id: Sequence[str],
        period: Sequence[int],
        error_code: Sequence[int],
        key: Sequence[bytes],
        value: Sequence[bytes],
        event_id: Sequence[str],
        occurred_at: Sequence[int],
    ) -> list[Row]:
        """Statement `tell_failures`."""
        del period
        told: list[Row] = []
        for one in zip(command_id, error_code, key, value, event_id, occurred_at, strict=True):
            failure = self.failures[one[0], one[1]]
            if not failure["told"]:
                failure["told"] = True
                self._box(self.commands[one[0]].taken.shard, *one[2:])
                told.append((one[4],))
        return told

    def _of(self, shards: Sequence[int], *states: str) -> list[Command]:
        """Commands of these shards, in these states or in any, by seq."""
        return [one for one in self.commands.values() if one.taken.shard in shards and (not states or one.state in states)]

    def _all(self) -> list[Command]:
        return list(self.commands.values())

    def _box(self, shard: int, key: bytes, value: bytes, event_id: str, occurred_at: int) -> None:
        self.outbox[self._next()] = (shard, (SEND_OUTCOMES, key, value, event_id, occurred_at))

    def _next(self) -> int:
        self._seq += 1
        return self._seq


_CATEGORIES: Final = (
    ConsentCategory.ALL,
    ConsentCategory.AUTHENTICATION,
    ConsentCategory.UTILITY,
    ConsentCategory.MARKETING,
)


class LedgerStore(Store):
    """The sender's store over tables in memory, as one process has it. Only its three longer transactions are written anew."""

    def __init__(self, process: Process, tables: Tables, codec: Codec) -> None:
        self._process, self._tables, self._codec = process, tables, codec
        self._positions: dict[tuple[str, int], int] = {}

    async def take_in(self, commands: Sequence[TakenIn]) -> set[str]:
        """As the store's."""
        return {row[0] for row in await self._call("take_in", lambda: self._tables.take_in(commands))}

    async def start(
        self,
        phone_number_id: str,
        shard: int,
        epoch: int,
        *,
        pick: Pick,
        judge: Callable[[Sequence[Candidate], Knowledge], Batch],
    ) -> Batch:
        """As the store's."""

        def effect() -> Batch:
            picked = self._tables.pick(phone_number_id, shard, epoch, pick)
            if picked is None:
                self._process.world.saw("sender: refused by the epoch")
                raise OwnerLost(f"shard {shard}")
            batch = judge([self._tables.candidate(one) for one in picked], Knowledge())
            self.write(batch, epoch)
            return batch

        return await self._call("start", effect)

    def write(self, batch: Batch, epoch: int) -> None:
        """What the gate decided becomes rows."""
        self._tables.start(batch, epoch)
        self._tables.give_up(batch, self._codec.encode, self._key)
        self._tables.release([attempt.command_id for attempt, _ in batch.give_up])
        self._tables.park(batch)
        self._tables.release([one.attempt.command_id for one in batch.park if one.is_stopped])
        if batch.defer:
            self._tables.defer(**self._deferred(batch.defer))

    async def record(self, findings: Sequence[Finding]) -> set[str]:
        """As the store's."""

        def effect() -> set[str]:
            changed = {row[0] for row in self._tables.record(findings, self._codec.encode, self._key)}
            self._tables.release([one.attempt.command_id for one in findings if one.attempt.command_id in changed])
            return changed

        return await self._call("record", effect)

    async def keep_periods(self) -> tuple[int, int]:
        """There is one period."""
        return 0, 0

    def _key(self, outcome: Any) -> bytes:
        key: bytes = self._boxed([outcome])["key"][0]
        return key

    async def _rows(self, name: str, **values: Any) -> list[Row]:
        statement: Callable[..., list[Row]] = getattr(self._tables, name)
        return await self._call(name, lambda: statement(**values))

    async def _run(self, name: str, **values: Any) -> None:
        await self._rows(name, **values)

    async def _call(self, name: str, effect: Callable[[], T]) -> T:
        return await self._process.call("postgres", name, effect)


def states_of(tables: Tables) -> Mapping[str, str]:
    """The state of every command."""
    return {one.id: one.state for one in tables.commands.values()}
