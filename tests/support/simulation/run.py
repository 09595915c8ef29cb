"""What happens in one run, and which promises does it break? Everything goes wrong, then everything heals and comes to rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson
import structlog

from services.common.domain import topics
from services.common.domain.records import SendMessage
from services.common.platform.kafka import NewRecord
from tests.support.simulation import judge
from tests.support.simulation.ledger import ENDED, Tables, states_of
from tests.support.simulation.log import Group, Log
from tests.support.simulation.machine import Process, World, task_factory
from tests.support.simulation.meta import Meta
from tests.support.simulation.plan import TROUBLE_SECONDS, Kind, Plan, Publish, Trouble
from tests.support.simulation.read_models import ReadModels
from tests.support.simulation.virtual_time import STARTED_AT, NothingLeftError, VirtualLoop, since_start, virtual_clock
from tests.support.simulation.workers import CODEC, Servers, Wiring

STUCK_SECONDS: Final = 120.0
"""A run that has not come to rest by then never does."""
_LOOK_SECONDS: Final = 1.0
_NEVER: Final = ("send.outcome_without_attempt", "send.write_without_started")
_OPTED_IN: Final = ("otp", "transactional")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run broke, what it reached, how it went."""

    plan: Plan
    violations: tuple[str, ...]
    seen: Mapping[str, int]
    trace: tuple[str, ...]
    virtual_seconds: float


def run(plan: Plan, wiring: type[Wiring] = Wiring, *, traced: bool = False) -> Verdict:
    """One run from beginning to rest. The same plan gives the same run."""
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)
    state = random.getstate()
    random.seed(plan.seed)
    world = World(plan, traced=traced)
    try:
        with virtual_clock(loop), _listening(world):
            try:
                seconds = loop.run_until_complete(Run(world, wiring).run())
            except NothingLeftError:
                seconds = 0.0
                world.violated("stuck: nobody waits for anything that can still happen")
            return Verdict(
                plan=plan,
                violations=tuple(dict.fromkeys(world.violations)),
                seen=world.seen,
                trace=tuple(world.trace),
                virtual_seconds=seconds,
            )
    finally:
        random.setstate(state)
        _abandon(loop)


class Run:
    """The processes of a run, and who starts them again."""

    def __init__(self, world: World, wiring: type[Wiring]) -> None:
        plan = world.plan
        self.world, self.log = world, Log()
        self.groups = {
            "router": Group(world, self.log, topics.ROUTER_SOURCES),
            "projector": Group(world, self.log, topics.PROJECTOR_SOURCES),
            "sender": Group(world, self.log, topics.SENDER_SOURCES),
        }
        self.read_models = ReadModels()
        self.ledger = Tables(self.read_models, opted_in=_OPTED_IN)
        self.meta = Meta(world, self.log, is_recorded=lambda one: self.ledger.command_of(one) is not None)
        self.published: dict[str, Publish] = {}
        self._publishing = 0
        self._servers = Servers(
            world=world,
            log=self.log,
            groups=self.groups,
            read_models=self.read_models,
            ledger=self.ledger,
            meta=self.meta,
        )
        self._wiring = wiring(self._servers)
        self._processes: dict[str, Process] = {
            f"{name}-{nth}": self._new(f"{name}-{nth}") for name, n in plan.slots for nth in range(n)
        }

    async def run(self) -> float:
        """Virtual seconds until all was at rest."""
        self._begin()
        # What comes after a broken promise is broken by it.
        while not self.world.violations and not self._is_at_rest():
            if since_start() > STUCK_SECONDS:
                self.world.violated(f"stuck: {self._what_is_open()}")
            await asyncio.sleep(_LOOK_SECONDS)
        if not self.world.violations:
            for broken in judge.judge(self._servers, self.published):
                self.world.violated(broken)
        self._end()
        return since_start()

    def _begin(self) -> None:
        for group in self.groups.values():
            self.world.spawn(group.run())
        for process in self._processes.values():
            self._start(process)
        for say in self.world.plan.says:
            self.world.spawn(self.meta.say(say))
        for one in self.world.plan.publishes:
            self._publishing += 1
            self.world.spawn(self._publish(one))
        for trouble in self.world.plan.troubles:
            self.world.spawn(self._trouble(trouble))

    def _end(self) -> None:
        self.world.end()
        for process in self._processes.values():
            process.is_dead = True
            for task in tuple(process.tasks):
                task.cancel()

    def _new(self, slot: str) -> Process:
        return Process(self.world, slot, self._ended)

    def _start(self, process: Process) -> None:
        self.world.note(f"{process.slot} starts")
        process.run(self._wiring.main(process))

    def _ended(self, process: Process) -> None:
        self.world.saw("process: died")
        self.groups[process.slot.partition("-")[0]].lose(process)
        self.world.spawn(self._restart(process.slot, after=self._absence()))

    def _absence(self) -> float:
        """Mostly a supervisor's moment, sometimes longer than a session lasts."""
        if self.world.is_healing:
            return 0.2
        return self.world.rng.choice((0.2, 1.0, 3.0, 12.0))

    async def _restart(self, slot: str, *, after: float) -> None:
        await asyncio.sleep(after)
        self._processes[slot] = self._new(slot)
        self._start(self._processes[slot])

    async def _trouble(self, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at)
        process = self._processes.get(trouble.slot)
        if process is None or process.is_dead or trouble.kind not in (Kind.CRASH, Kind.STOP, Kind.PAUSE, Kind.EXPELLED):
            return
        self.world.saw(f"trouble: {trouble.kind}")
        self.world.note(f"{trouble.slot}: {trouble.kind}")
        if trouble.kind is Kind.CRASH:
            process.kill("at an instant")
        elif trouble.kind is Kind.STOP:
            self._stop(process)
        elif trouble.kind is Kind.PAUSE:
            process.paused_until = since_start() + trouble.seconds
        else:
            self.world.spawn(self.groups[trouble.slot.partition("-")[0]].expel(trouble.slot, trouble.seconds))

    def _stop(self, process: Process) -> None:
        sender = self._wiring.senders.get(process.slot)
        if sender is not None:
            sender.stopping.set()
        else:
            process.kill("asked to stop")

    async def _publish(self, one: Publish) -> None:
        """A producer that repeats what was not acknowledged."""
        await asyncio.sleep(one.at)
        while self.world.is_away("kafka"):
            self.world.saw("producer: waits for Kafka")
            await asyncio.sleep(0.5)
        command = command_of(one)
        self.published.setdefault(command.command_id, one)
        self.log.append(NewRecord(topics.SEND_COMMANDS, one.person.encode(), CODEC.encode(command), ()))
        self.world.note(f"published {command.command_id[-4:]}{' with other content' if one.conflicts else ''}")
        self._publishing -= 1

    def _is_at_rest(self) -> bool:
        return since_start() >= TROUBLE_SECONDS and not self._what_is_open()

    def _what_is_open(self) -> str:
        """What has still to happen, in words; empty when nothing has."""
        states = states_of(self.ledger)
        unread = [name for name, group in self.groups.items() if not (group.is_settled and group.has_read_all)]
        is_projected = all(self.read_models.positions.get(place, 0) == self.log.ends(place) for place in _projected(self.log))
        open_commands = sorted(state for state in states.values() if state not in ENDED)
        missing = len(self.published.keys() - states.keys())
        # Evidence for what was given up, and failures that are told later, are looked for in rounds.
        unproved = [one for one in self.meta.taken if (command := self.ledger.command_of(one)) and command.state != "accepted"]
        untold = [one for one in self.ledger.failures.values() if not one["told"]]
        found = {
            "webhooks or requests on their way": self.meta.on_their_way,
            "commands to publish": self._publishing,
            "groups that have not read all": ", ".join(unread),
            "records that are not projected": not is_projected,
            "open commands": ", ".join(open_commands),
            "commands that are no rows": missing,
            "outcomes to tell": len(self.ledger.outbox),
            "acceptances that nobody knows of": len(unproved),
            "failures that nobody was told of": len(untold),
        }
        return "; ".join(f"{what}: {count}" for what, count in found.items() if count)


def command_of(one: Publish) -> SendMessage:
    """The command, as its producer writes it each time."""
    return SendMessage(
        command_id=str(UUID(int=one.command + 1)),
        phone_number_id=one.number,
        to=f"+{one.person}",
        type="text",
        content=orjson.dumps({"body": "another" if one.conflicts else "hello"}).decode(),
        lane=one.lane,
        policy=one.policy,
        expires_at=int((STARTED_AT + one.expires_at) * 1000),
    )


@contextmanager
def _listening(world: World) -> Iterator[None]:
    """What the services log goes nowhere, but that they log what should never happen is counted."""

    def heard(_logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if method == "critical":
            world.saw(f"critical: {event['event']}")
            world.note(f"critical: {event['event']}")
            if event["event"] in _NEVER:
                world.violated(f"broke: {event['event']}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[heard], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


def _projected(log: Log) -> list[tuple[str, int]]:
    return [place for place in log.records if place[0] in topics.PROJECTOR_SOURCES]


def _abandon(loop: VirtualLoop) -> None:
    """Whatever still waits is dropped with its loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    for _ in range(3):
        if left:
            loop.run_until_complete(asyncio.sleep(0))
    loop.close()
