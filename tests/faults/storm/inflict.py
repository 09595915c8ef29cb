"""How is a fault of the schedule done to what runs, and undone?"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Final

from tests.faults.storm.schedule import WAYS, Fault, Kind, Storm
from tests.faults.storm.world import World

Undo = Callable[[], None]


@dataclass(slots=True, kw_only=True)
class Done:
    """A fault as it was: when it began and when what it broke was there again, in monotonic seconds; None while it lasts."""

    fault: Fault
    target: str
    began: float
    ended: float | None = None


class Inflictor:
    """Does what the schedule says. `done` grows as it goes on."""

    def __init__(self, world: World, storm: Storm, report: Callable[[Done], None]) -> None:
        self._world, self._storm, self._report = world, storm, report
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.done: list[Done] = []

    async def run(self, began: float) -> None:
        """Every fault at its time; returns when all are undone. Cancelled: what lasts is undone all the same."""
        async with asyncio.TaskGroup() as faults:
            for fault in self._storm.faults:
                faults.create_task(self._one(fault, began))

    async def _one(self, fault: Fault, began: float) -> None:
        await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
        async with self._turns[fault.part]:  # a broker may take longer to return than was thought
            target = await asyncio.to_thread(self._named, fault)
            done = Done(fault=fault, target=target, began=time.monotonic())
            self.done.append(done)
            self._report(done)
            undo = await asyncio.to_thread(_begin, self._world, fault, target)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                await asyncio.shield(asyncio.to_thread(undo))
                done.ended = time.monotonic()
            self._report(done)

    def _named(self, fault: Fault) -> str:
        return f"broker-{self._world.broker(fault.target) + 1}" if fault.kind is Kind.LEADER_KILL else fault.target

    async def heal(self) -> None:
        """Whatever was done: no trouble on any way."""
        for way in WAYS:
            await asyncio.to_thread(self._world.proxies.end, way)


def _begin(world: World, fault: Fault, target: str) -> Undo:
    """Break it; what is returned mends it, and returns when it is there again."""
    if fault.toxic is not None:
        world.proxies.begin(target, fault.toxic)
        return lambda: world.proxies.end(target)
    return _HOW[fault.kind](world, target)


def _killed(world: World, target: str) -> Undo:
    world.stack.signal(target, SIGKILL)
    return _nothing


def _terminated(world: World, target: str) -> Undo:
    world.stack.signal(target, SIGTERM)
    return _nothing


def _frozen(world: World, target: str) -> Undo:
    world.stack.signal(target, SIGSTOP)
    return lambda: world.stack.signal(target, SIGCONT)


def _broker_killed(world: World, target: str) -> Undo:
    broker = world.cluster.brokers[world.broker(target)]
    broker.kill()
    return broker.restart


def _broker_frozen(world: World, target: str) -> Undo:
    broker = world.cluster.brokers[world.broker(target)]
    broker.pause()
    return broker.resume


def _postgres_crashed(world: World, _: str) -> Undo:
    world.primary.restart_immediate()
    return _nothing


def _standby_away(world: World, _: str) -> Undo:
    world.standby.stop_immediate()
    return world.standby.start


def _nothing() -> None:
    """It comes back by itself."""


_HOW: Final[dict[Kind, Callable[[World, str], Undo]]] = {
    Kind.KILL: _killed,
    Kind.TERM: _terminated,
    Kind.FREEZE: _frozen,
    Kind.BROKER_KILL: _broker_killed,
    Kind.LEADER_KILL: _broker_killed,
    Kind.BROKER_FREEZE: _broker_frozen,
    Kind.POSTGRES_CRASH: _postgres_crashed,
    Kind.STANDBY_AWAY: _standby_away,
}
