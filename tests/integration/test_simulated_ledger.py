"""Does the ledger in memory, over which `make simulate` runs the sender, do what the statements do? The same moves on both."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, LiteralString, TypeVar

import psycopg
import pytest

from services.common.domain import ids, lane_shares
from services.common.domain.events import MessageStatusChanged
from services.common.domain.lane_shares import Shares
from services.common.domain.lanes import Lane
from services.common.domain.pair_limit import PairPolicy
from services.common.domain.reasons import Reason
from services.common.platform import postgres as platform_postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.common.platform.kafka import LogRecord
from services.projector.batch import Read
from services.sender import options, outcomes
from services.sender.commands import TakenIn, fingerprint
from services.sender.findings import Evidence, Finding, finding_of, finding_of_overdue
from services.sender.knowledge import Candidate, Knowledge
from services.sender.outcomes import Attempt
from services.sender.recorder import _settled
from services.sender.response import Proof, Result
from services.sender.store import Batch, OwnerLost, Park, Pick, Store
from tests.support.sending import WABA, text
from tests.support.simulation.ledger import LedgerStore, Tables
from tests.support.simulation.machine import Process, World
from tests.support.simulation.plan import Plan
from tests.support.simulation.read_models import ReadModels

T = TypeVar("T")

GAMES: Final = 30
MOVES: Final = 30
AT: Final = 1_800_000_000_000
PEOPLE: Final = ("491700000001", "491700000002")
PAIRS: Final = PairPolicy(interval_seconds=1_000.0, burst=1)
_NUMBERS: Final = count(20_000_000)
_RESULTS: Final = (
    Result(proof=Proof.ACCEPTED, wamid="wamid.answer"),
    Result(proof=Proof.REJECTED, reason=Reason.UNDELIVERABLE, error_code=131026, trace_id="trace"),
    Result(proof=Proof.RETRY, reason=Reason.THROTTLED, error_code=130429),
    Result(proof=Proof.RETRY, reason=Reason.PAIR_LIMIT, error_code=131056, wait_seconds=1_000.0),
    Result(proof=Proof.NOT_SENT, reason=Reason.NOT_SENT),
    Result(proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER),
    Result(proof=Proof.UNKNOWN, reason=Reason.ID_UNREADABLE),
)


class Pair:
    """A number's rows in Postgres and in memory, and one who makes the same moves on both and compares what they answer."""

    def __init__(self, store: Store, connection: psycopg.Connection[Any], codec: Codec, rng: random.Random) -> None:
        self.real, self._connection, self._codec, self._rng = store, connection, codec, rng
        self.number = str(next(_NUMBERS))
        self.shard = int(self.number)
        self.read_models = ReadModels()
        self.tables = Tables(self.read_models, opted_in=["transactional"])
        world = World(Plan(seed=0, limit=1, slots=()))
        self.double = LedgerStore(Process(world, "sender-0", lambda _: None), self.tables, codec)
        self.commands: list[TakenIn] = []
        self.started: list[Attempt] = []
        self.epochs = [0]
        self.moves: list[str] = []
        self.sql(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token, tenant_id) VALUES (%s, %s, '', 'bold')",
            self.number,
            WABA,
        )

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement, values)
        return cursor.fetchall() if cursor.description is not None else []

    async def both(self, ask: Callable[[Store], Awaitable[T]], seen: Callable[[T], object] = lambda told: told) -> T:
        """The answer, which has to be the same, as far as `seen` looks."""
        real, double = await ask(self.real), await ask(self.double)
        assert seen(double) == seen(real), self.moves
        return real

    async def play(self, moves: int) -> None:
        await self.take_in()
        await self.take_over()
        for _ in range(moves):
            move = self._rng.choice(self._moves)
            self.moves.append(move.__name__)
            await move(self)
            if len(self.moves) % 5 == 0:
                await self.compare()
        await self.compare()

    async def take_in(self) -> None:
        if len(self.commands) < 5:
            message = text(
                phone_number_id=self.number,
                to=f"+{self._rng.choice(PEOPLE)}",
                policy=self._rng.choice(("hold", "resend_once")),
                command_id=str(uuid.UUID(int=self._rng.getrandbits(128))),
            )
            lane = self._rng.choice((Lane.TRANSACTIONAL, Lane.BULK))
            self.commands.append(
                TakenIn(
                    message=message,
                    shard=self.shard,
                    lane=lane,
                    fingerprint=fingerprint(message),
                    pair=(message.to or "").removeprefix("+"),
                    appended_at=now_ms(),
                    expires_at=now_ms() + 3_600_000,
                    send_at=None,
                    not_before=None,
                    options=options.of(message),
                )
            )
        some = self._rng.sample(self.commands, min(2, len(self.commands)))
        await self.both(lambda store: store.take_in(some))
        await self.both(lambda store: store.known([one.message.command_id for one in some]))

    async def take_over(self) -> None:
        told = await self.both(lambda store: store.take_over([self.shard], "1"))
        self.epochs.append(told[self.shard])
        await self.both(lambda store: store.backlog([self.shard]))
        await self.both(lambda store: store.past([self.shard], 100.0), _who)

    async def start(self) -> None:
        """By the owner, seldom by the one before: some of what is picked is started, the rest waits or is given up."""
        epoch = self.epochs[-1] if self._rng.random() < 0.9 else self.epochs[-2]
        fates = random.Random(self._rng.random())
        wanted = {one.message.command_id: fates.random() for one in self.commands}
        looked: list[list[object]] = []
        made: list[Batch] = []

        def judge(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
            del known
            looked.append(
                [(_in_memory(one.attempt), one.policy, one.content, one.appended_at, one.expires_at) for one in candidates]
            )
            made.append(_judged(candidates, wanted))
            return made[-1]

        pick = Pick(limit=3, sending=True, orders=lane_shares.orders(Shares(), 3), pairs=PAIRS)
        refused = 0
        for store in (self.real, self.double):
            try:
                await store.start(self.number, self.shard, epoch, pick=pick, judge=judge)
            except OwnerLost:
                refused += 1
        assert refused in (0, 2)
        if not refused:
            assert looked[0] == looked[1], self.moves
            self.started += made[0].start

    async def record(self) -> None:
        """What some attempts proved, old ones too."""
        for attempt in self._rng.sample(self.started, min(2, len(self.started))):
            result = self._rng.choice(_RESULTS)
            finding = finding_of(attempt, result, at=AT, waba_id=WABA, horizon_seconds=1_000.0)
            await self.write([finding])

    async def write(self, findings: Sequence[Finding]) -> None:
        attempts = [one.attempt for one in findings]
        for epoch in self.epochs[-2:]:
            await self.both(partial(Store.begun, attempts=attempts, epoch=epoch))
        await self.both(lambda store: store.record(findings))
        await self.both(lambda store: store.ended(attempts))

    async def doubt(self) -> None:
        """What takes many moves by chance: answers stay out, and what may be sent again is."""
        await self.time_passes()
        await self.end_waiting()
        before = len(self.started)
        await self.start()
        lost = Result(proof=Proof.UNKNOWN, reason=Reason.NO_ANSWER)
        await self.write([finding_of(one, lost, at=AT, waba_id=WABA, horizon_seconds=1_000.0) for one in self.started[before:]])

    async def adopt(self) -> None:
        lost = Result(proof=Proof.UNKNOWN, reason=Reason.OWNER_LOST)
        orphans = await self.both(lambda store: store.orphans([self.shard], 30.0), _by_id)
        await self.write([finding_of(one, lost, at=AT, waba_id=WABA, horizon_seconds=1_000.0) for one in orphans])

    async def end_waiting(self) -> None:
        overdue = await self.both(lambda store: store.overdue([self.shard]), lambda told: _by_id([one for one, _ in told]))
        await self.write([finding_of_overdue(one, lost, at=AT, waba_id=WABA) for one, lost in overdue])

    async def settle(self) -> None:
        found = await self.both(lambda store: store.evidence([self.shard], ("unknown", "unresolved")), _by_attempt)
        found = found or await self.both(lambda store: store.contradictions([self.shard], 86_400.0), _by_attempt)
        accepted = [(one, told, Result(proof=Proof.ACCEPTED, wamid=told.wamid)) for one, told in found]
        given = [
            _settled(finding_of(one, result, at=AT, waba_id=WABA, horizon_seconds=1.0, source="webhook"), told)
            for one, told, result in accepted
        ]
        if given:
            await self.both(lambda store: store.settle(given))

    async def webhook(self) -> None:
        """Meta tells of some attempt, which it may have been thought not to have."""
        if not self.started:
            return
        attempt = self._rng.choice(self.started)
        status = self._rng.choice(("sent", "failed"))
        event = MessageStatusChanged(
            event_id=str(uuid.uuid4()),
            occurred_at=now_ms(),
            recorded_at=AT,
            waba_id=WABA,
            phone_number_id=self.number,
            wamid=f"wamid.{attempt.attempt_id}",
            status=status,
            type="message",
            biz_opaque_callback_data=attempt.attempt_id,
            error_code=131026 if status == "failed" else None,
            raw="{}",
        )
        self.read_models.write([Read(LogRecord("t", 0, 0, AT, None, None, ()), event)])
        self.sql(
            "INSERT INTO projector.message_statuses (wamid, status, occurred_at, contact, type, event_id, recorded_at,"
            " phone_number_id, waba_id, biz_opaque_callback_data, error_code, raw)"
            " VALUES (%s, %s, to_timestamp(%s / 1000.0), '', 'message', %s, now(), %s, %s, %s, %s, '{}') ON CONFLICT DO NOTHING",
            event.wamid,
            status,
            event.occurred_at,
            event.event_id,
            self.number,
            WABA,
            attempt.attempt_id,
            event.error_code,
        )

    async def tell(self) -> None:
        """Some of the outbox is in the log."""
        real = [one.seq for one in await self.real.untold([self.shard])]
        double = [one.seq for one in await self.double.untold([self.shard])]
        assert len(real) == len(double)
        await self.real.told(real[:2])
        await self.double.told(double[:2])

    async def time_passes(self) -> None:
        self.sql("UPDATE sender.send_commands SET next_action_at = now() WHERE phone_number_id = %s", self.number)
        for one in self.tables.commands.values():
            one.next_action_at = 0.0

    async def compare(self) -> None:
        """Row for row."""
        commands = self.sql(
            "SELECT command_id, state, attempts, type, reason, error_code, wamid, outcome, possible_duplicate, is_duplicate,"
            " held_by, deferred FROM sender.send_commands WHERE phone_number_id = %s ORDER BY command_id",
            self.number,
        )
        attempts = self.sql(
            "SELECT command_id, attempt_no, attempt_id, epoch, outcome, finished_at IS NULL, reason, error_code, trace_id, wamid"
            " FROM sender.send_attempts WHERE phone_number_id = %s ORDER BY command_id, attempt_no",
            self.number,
        )
        told = self.sql("SELECT event_id, value, key, topic FROM sender.outbox WHERE shard = %s ORDER BY seq", self.shard)
        rows = sorted(self.tables.commands.values(), key=lambda one: one.id)
        in_memory = [
            (
                *(one.id, one.state, len(one.attempts), one.type, one.reason, one.error_code, one.wamid, one.outcome),
                *(one.possible_duplicate, one.is_duplicate, one.held_by, one.deferred),
            )
            for one in rows
        ]
        assert in_memory == commands, self.moves
        assert [
            (
                *(one.id, nth, a.attempt_id, a.epoch, a.outcome, a.finished_at is None),
                *(a.reason, a.error_code, a.trace_id, a.wamid),
            )
            for one in rows
            for nth, a in enumerate(one.attempts, start=1)
        ] == attempts, self.moves
        boxed = [row for _, (_, row) in sorted(self.tables.outbox.items())]
        assert sorted((row[3], row[2], row[1], row[0]) for row in boxed) == sorted(told), self.moves
        await self.both(lambda store: store.open_states([self.shard]))

    _moves: Final = (
        take_in,
        take_over,
        start,
        start,
        start,
        record,
        record,
        doubt,
        doubt,
        doubt,
        adopt,
        end_waiting,
        settle,
        webhook,
        tell,
        time_passes,
    )


def _judged(candidates: Sequence[Candidate], wanted: dict[str, float]) -> Batch:
    batch: dict[str, list[Any]] = {"start": [], "give_up": [], "park": [], "defer": []}
    for candidate in candidates:
        attempt = candidate.attempt
        fate = wanted[attempt.command_id]
        if fate < 0.7:
            nth = attempt.attempt_no + 1
            attempt_id = ids.attempt_id(attempt.command_id, nth)
            batch["start"].append(dataclasses.replace(attempt, attempt_no=nth, attempt_id=attempt_id))
        elif fate < 0.75:
            batch["give_up"].append((attempt, outcomes.refused(attempt, Reason.OPTED_OUT, None, at=AT, waba_id=WABA)))
        else:
            is_stopped = fate > 0.9
            batch["park"].append(Park(attempt=attempt, seconds=0.0, reason=Reason.TIER, is_stopped=is_stopped))
            told = outcomes.deferred(attempt, Reason.TIER, at=AT, wait_seconds=None, waba_id=WABA)
            batch["defer"] += [] if told is None else [(attempt, told)]
    return Batch(start=batch["start"], give_up=batch["give_up"], park=batch["park"], defer=batch["defer"])


def _by_id(attempts: Sequence[Attempt]) -> list[Attempt]:
    return sorted(map(_in_memory, attempts), key=lambda one: one.command_id)


def _in_memory(attempt: Attempt) -> Attempt:
    """There is one period."""
    return dataclasses.replace(attempt, period=0)


def _by_attempt(found: Sequence[tuple[Attempt, Evidence]]) -> list[tuple[str | None, Evidence]]:
    return sorted(((one.attempt_id, told) for one, told in found), key=lambda each: each[0] or "")


def _who(past: dict[tuple[str, int], Any]) -> object:
    return {
        place: (
            sorted((one.recipient or "", one.over_seconds is None) for one in left.starts),
            sorted((one.recipient, one.refusals) for one in left.refused),
        )
        for place, left in past.items()
    }


@pytest.fixture
def connection(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres, autocommit=True) as made:
        made.execute("INSERT INTO registry.tenants (tenant_id, name, resend_once) VALUES ('bold', 'Bold', '{transactional}')")
        yield made


def test_the_same_moves_leave_the_same_rows(postgres: str, connection: psycopg.Connection[Any]) -> None:
    async def play() -> None:
        codec = Codec()
        async with platform_postgres.pool(postgres, service="test", size=2, probing=True) as pool:
            store = Store(pool, codec)
            await store.keep_periods()
            for seed in range(GAMES):
                await Pair(store, connection, codec, random.Random(seed)).play(MOVES)

    asyncio.run(play())
