"""Which mistakes must the simulator see? Each rule that keeps a promise, broken once, through the places of `Wiring`."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiokafka import TopicPartition

from services.common.domain.events import WebhookEvent
from services.common.domain.reasons import Reason
from services.common.domain.records import Record, SendMessage, SendOutcome
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.common.platform.kafka import LogRecord, NewRecord
from services.projector.batch import Progress, Read
from services.projector.fold import fold
from services.router.routing import Router
from services.sender import response
from services.sender.commands import TakenIn
from services.sender.findings import Finding
from services.sender.headway import Turn
from services.sender.intake import Intake
from services.sender.knowledge import Candidate, Knowledge
from services.sender.outbox import Outbox
from services.sender.outcomes import Attempt
from services.sender.pacer import Past
from services.sender.response import Proof, Result
from services.sender.settle import Settler
from services.sender.store import Batch, Pick, Settled
from tests.support.simulation.ledger import LedgerStore, Tables
from tests.support.simulation.machine import Process
from tests.support.simulation.meta import SimulatedGraph
from tests.support.simulation.plan import Fate, Ill, Kind, Plan, Trouble
from tests.support.simulation.read_models import ReadModelStore
from tests.support.simulation.workers import Wiring


class AcksFirst(Wiring):
    """Readers acknowledge before the effect."""

    acks_first = True


class _EarlyIntake(Intake):
    async def _take(self, records: Sequence[LogRecord]) -> bool:
        """The offset goes to Kafka before the rows are there."""
        if self._consumer is not None and records:
            await self._consumer.commit({TopicPartition(*record[:2]): (record.offset + 1, "") for record in records})
        return await super()._take(records)


class CommitsBeforeRows(Wiring):
    """The sender commits the offset before the row is durable."""

    intake = _EarlyIntake


class _Hopeful(SimulatedGraph):
    def without_answer(self, detail: str) -> Result:
        """No answer is taken for no request."""
        return response.not_sent(detail, attempt_no=1)


class RetriesBlindly(Wiring):
    """A lost answer is taken for a lost request."""

    graph = _Hopeful


class _Careless(Settler):
    def _finding(self, attempt: Attempt, result: Result, *, source: str = "response") -> Finding:
        """What the last owner started is taken for not sent."""
        if result.reason is Reason.OWNER_LOST:
            result = dataclasses.replace(result, proof=Proof.NOT_SENT)
        return super()._finding(attempt, result, source=source)


class SendsOrphansAgain(Wiring):
    """What an earlier owner had started is simply started again."""

    settler = _Careless


class _Forgetful(ReadModelStore):
    def _progress(self, batch: Sequence[Read]) -> Progress:
        """Whatever is read is new."""
        reached = {read.record[:2]: read.record.offset + 1 for read in batch}
        return Progress(fresh=list(batch), reached=reached, appended_at={})


class ProjectsAgain(Wiring):
    """The projector does not drop what its tables have."""

    read_model_store = _Forgetful


class _TakesAnything(LedgerStore):
    async def take_in(self, commands: Sequence[TakenIn]) -> set[str]:
        """A known id is a new command."""
        for taken in commands:
            known = self._tables.commands.get(taken.message.command_id)
            if known is not None and known.state == "accepted":
                known.state = "waiting"
        return await super().take_in(commands)


class SendsRepeatedCommands(Wiring):
    """The ledger does not know a command that comes again."""

    ledger_store = _TakesAnything


class _LateRecord(LedgerStore):
    """The row of an attempt comes when its call is over."""

    async def start(
        self,
        phone_number_id: str,
        shard: int,
        epoch: int,
        *,
        pick: Pick,
        judge: Callable[[Sequence[Candidate], Knowledge], Batch],
    ) -> Batch:
        held: list[Batch] = []

        def judged(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
            held.append(judge(candidates, known))
            for attempt in held[0].start:
                self._tables.commands[attempt.command_id].next_action_at += 30.0
            return Batch(start=(), give_up=held[0].give_up, park=held[0].park, defer=held[0].defer)

        await super().start(phone_number_id, shard, epoch, pick=pick, judge=judged)
        self._process.spawn(self._started(held[0], epoch))
        return held[0]

    async def _started(self, batch: Batch, epoch: int) -> None:
        await asyncio.sleep(0.05)
        await self._call("start", lambda: self._tables.start(Batch(start=batch.start, give_up=(), park=()), epoch))


class StartsAfterSending(Wiring):
    """The STARTED row is written after the call has begun."""

    ledger_store = _LateRecord


class _Eager(Outbox):
    async def _emit(self) -> bool:
        """Outcomes are deleted, and then told."""
        found = await self._store.untold(self._shards())
        await self._store.told([one.seq for one in found])
        return bool(found) and await self._append(found)


class ForgetsBeforeTelling(Wiring):
    """The outbox deletes before the log has it."""

    outbox = _Eager


class _Deaf(LedgerStore):
    async def orphans(self, shards: Sequence[int], started_seconds: float) -> list[Attempt]:
        """Nobody left anything."""
        del shards, started_seconds
        return []


class IgnoresOrphans(Wiring):
    """What an earlier owner had started is nobody's business."""

    ledger_store = _Deaf


class _Believing(LedgerStore):
    """Who is asked for has just written, whatever the read models say."""

    async def start(
        self,
        phone_number_id: str,
        shard: int,
        epoch: int,
        *,
        pick: Pick,
        judge: Callable[[Sequence[Candidate], Knowledge], Batch],
    ) -> Batch:
        def believing(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
            written = [dataclasses.replace(one.facts, last_inbound_at=now_ms()) for one in candidates]
            return judge([dataclasses.replace(one, facts=facts) for one, facts in zip(candidates, written, strict=True)], known)

        return await super().start(phone_number_id, shard, epoch, pick=pick, judge=believing)


class OpensEveryWindow(Wiring):
    """The gate takes every window for open."""

    ledger_store = _Believing


class _Fresh(LedgerStore):
    async def past(self, shards: Sequence[int], seconds: float) -> dict[tuple[str, int], Past]:
        """Nobody has sent anything before."""
        del shards, seconds
        return {}


class ForgetsWhatWasSent(Wiring):
    """A new owner begins with an empty limiter."""

    ledger_store = _Fresh


class _Unlimited(Turn):
    """Whoever comes may write, and nobody counts it."""

    def __init__(self) -> None:
        pass

    async def admit(self, started: float) -> bool:
        """At once."""
        del started
        return True

    def written(self) -> float:
        """Nothing is charged."""
        return time.monotonic()

    def not_written(self) -> None:
        """Nothing was charged."""

    def answered(self, charged_at: float) -> None:
        """Nothing was charged."""


class _Unpaced(SimulatedGraph):
    async def post(self, phone_number_id: str, *, pacer: Turn, **given: Any) -> tuple[Result, float | None]:
        """Without asking the number's pacer."""
        del pacer
        return await super().post(phone_number_id, pacer=_Unlimited(), **given)


class WritesWithoutToken(Wiring):
    """An attempt does not wait for its token."""

    graph = _Unpaced


class _HalfSettled(LedgerStore):
    async def settle(self, given: Sequence[Settled]) -> dict[tuple[str, int], tuple[bool, bool]]:
        """What was told once as a failure stays one, although its attempt is accepted."""
        told = {name: one.state for name, one in self._tables.commands.items() if one.state in ("rejected", "unresolved")}
        counted = await super().settle(given)
        for name, state in told.items():
            self._tables.commands[name].state = state
        return counted


class KeepsFalseFailures(Wiring):
    """Late proof of an acceptance changes the attempt and not its command."""

    ledger_store = _HalfSettled


class _Confident(SimulatedGraph):
    def without_answer(self, detail: str) -> Result:
        """No answer is good news."""
        return Result(proof=Proof.ACCEPTED, detail=detail, wamid="wamid.guessed")


class BelievesInSilence(Wiring):
    """A lost answer is taken for an acceptance."""

    graph = _Confident


class _OneId(Codec):
    def encode(self, record: Record) -> bytes:
        """An outcome has the id of its command, whatever it says."""
        return super().encode(
            dataclasses.replace(record, event_id=record.command_id) if isinstance(record, SendOutcome) else record
        )


class _SparingIds(LedgerStore):
    def __init__(self, process: Process, tables: Tables, codec: Codec) -> None:
        del codec
        super().__init__(process, tables, _OneId())


class NamesOutcomesByCommand(Wiring):
    """Neither attempt nor kind are part of an outcome's id."""

    ledger_store = _SparingIds


class _Numbering(Router):
    def _event(self, event: WebhookEvent, source: Any) -> NewRecord:
        """An event gets a new id whenever it is made."""
        return super()._event(dataclasses.replace(event, event_id=_drawn()), source)


class DrawsEventIds(Wiring):
    """The same webhook makes other events when it is read again."""

    router = _Numbering


class _Renaming(Router):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._routed: set[str] = set()

    def _lane_command(self, command: SendMessage, source: Any) -> NewRecord:
        """A command that was routed before is another one."""
        if command.command_id in self._routed:
            command = dataclasses.replace(command, command_id=_drawn())
        self._routed.add(command.command_id)
        return super()._lane_command(command, source)


class RenamesRepeatedCommands(Wiring):
    """A command that comes again is taken for a new one whose id is wrong."""

    router = _Renaming


class _Timing(Router):
    def _event(self, event: WebhookEvent, source: Any) -> NewRecord:
        """An event came when it was made."""
        return super()._event(dataclasses.replace(event, recorded_at=now_ms()), source)


class TellsItsOwnTime(Wiring):
    """Events carry the router's clock and not that of whoever received them."""

    router = _Timing


class _Replacing(ReadModelStore):
    def write(self, fresh: Sequence[Read]) -> None:
        """What a batch says of a message is all there is."""
        made = fold([read.event for read in fresh if read.event is not None])
        self._tables.forget("messages", (row[:1] for row in made.get("messages", ())))
        super().write(fresh)


class ReplacesRows(Wiring):
    """The last batch wins, where rows are to be merged."""

    read_model_store = _Replacing


def _drawn() -> str:
    return str(UUID(int=random.getrandbits(128)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """`shows`: what the violation says by which a mistake is seen. `aim`: what goes wrong in a run that sees it soon."""

    shows: str
    aim: Trouble | Ill | None = None

    def aimed(self, plan: Plan) -> Plan:
        """The plan, with this in it as well."""
        if isinstance(self.aim, Trouble):
            return dataclasses.replace(plan, troubles=(self.aim, *plan.troubles))
        return plan if self.aim is None else dataclasses.replace(plan, ills=(self.aim, *plan.ills))


def _trouble(kind: Kind, slot: str, request: str) -> Trouble:
    return Trouble(kind=kind, slot=slot, request=request, at=0.0, nth=0, seconds=0.0)


PLANTED: Final[Mapping[type[Wiring], Planted]] = {
    AcksFirst: Planted(shows="lost", aim=_trouble(Kind.CRASH_BEFORE, "router-0", "appends")),
    CommitsBeforeRows: Planted(shows="stuck: commands that are no rows", aim=_trouble(Kind.CRASH_BEFORE, "sender-0", "take_in")),
    RetriesBlindly: Planted(shows="doubled", aim=Ill(nth=0, fate=Fate.RESET)),
    SendsOrphansAgain: Planted(shows="doubled", aim=_trouble(Kind.CRASH_AFTER, "sender-0", "writes")),
    ProjectsAgain: Planted(shows="doubled: a record was projected twice", aim=_trouble(Kind.ANSWER_LOST, "projector-0", "saves")),
    SendsRepeatedCommands: Planted(shows="doubled"),
    StartsAfterSending: Planted(shows="written without a record"),
    ForgetsBeforeTelling: Planted(shows="untold", aim=_trouble(Kind.CRASH_BEFORE, "sender-0", "appends")),
    IgnoresOrphans: Planted(shows="stuck", aim=_trouble(Kind.CRASH_AFTER, "sender-0", "writes")),
    OpensEveryWindow: Planted(shows="gate"),
    ForgetsWhatWasSent: Planted(shows="pace: a pair", aim=_trouble(Kind.CRASH_AFTER, "sender-0", "hears")),
    WritesWithoutToken: Planted(shows="pace: more in a second"),
    KeepsFalseFailures: Planted(shows="false failure", aim=Ill(nth=0, fate=Fate.LIE)),
    BelievesInSilence: Planted(shows="phantom: accepted", aim=Ill(nth=0, fate=Fate.REQUEST_LOST)),
    NamesOutcomesByCommand: Planted(shows="distorted: two outcomes", aim=Ill(nth=0, fate=Fate.RESET)),
    DrawsEventIds: Planted(shows="phantom: an event"),
    RenamesRepeatedCommands: Planted(shows="phantom: a row of no command"),
    TellsItsOwnTime: Planted(shows="distorted: an event"),
    ReplacesRows: Planted(shows="order"),
}
