"""Which mistakes must the simulator see? Each rule that keeps a promise, broken once, through the places of `Wiring`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition

from services.common.domain.reasons import Reason
from services.common.platform.kafka import LogRecord
from services.projector.batch import Progress, Read
from services.sender import response
from services.sender.commands import TakenIn
from services.sender.findings import Finding
from services.sender.intake import Intake
from services.sender.knowledge import Candidate, Knowledge
from services.sender.outbox import Outbox
from services.sender.outcomes import Attempt
from services.sender.response import Proof, Result
from services.sender.settle import Settler
from services.sender.store import Batch, Pick
from tests.support.simulation.ledger import LedgerStore
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
    CommitsBeforeRows: Planted(shows="commands that are no rows", aim=_trouble(Kind.CRASH_BEFORE, "sender-0", "take_in")),
    RetriesBlindly: Planted(shows="doubled", aim=Ill(nth=0, fate=Fate.RESET)),
    SendsOrphansAgain: Planted(shows="doubled", aim=_trouble(Kind.CRASH_AFTER, "sender-0", "writes")),
    ProjectsAgain: Planted(shows="projected twice", aim=_trouble(Kind.ANSWER_LOST, "projector-0", "saves")),
    SendsRepeatedCommands: Planted(shows="doubled"),
    StartsAfterSending: Planted(shows="without a record"),
    ForgetsBeforeTelling: Planted(shows="untold", aim=_trouble(Kind.CRASH_BEFORE, "sender-0", "appends")),
    IgnoresOrphans: Planted(shows="stuck", aim=_trouble(Kind.CRASH_AFTER, "sender-0", "writes")),
}
