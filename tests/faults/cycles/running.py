"""How is a service brought down at one point again and again, and what do the ledgers say afterwards?

A cycle is one life of the victim: it is started with the fault armed at a pass drawn from the seed, finds what the lives before
left undone, gets traffic, and dies: of the kill, of the exception, or soon after it stood still. After each batch of cycles one
life without a fault finishes the work, and everything since the batch before is judged.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.common.platform.faults import Action
from services.common.platform.lifecycle import EXIT_FATAL
from services.router.parked import GROUP as PARKED_GROUP
from services.sandbox.ledger import Figure
from tests.faults.cycles.points import PLANS, Plan
from tests.faults.cycles.world import World, until
from tests.support.processes import ServiceProcess

MIXED: Final = (*[Action.KILL] * 7, Action.STOP, Action.RAISE, Action.SLEEP, *[Action.KILL] * 10)
"""Of twenty lives. What does not kill takes longer."""
FIRE_SECONDS: Final = 60.0
"""A point that no life passes within this time is a finding, too."""
_UNIT_SECONDS: Final = 0.15
"""How long a life has for one unit of traffic before it gets the next."""
_GUEST_SECONDS: Final = 1.5
"""How far apart the guest comes and goes."""
_LONGEST_HANG: Final = 0.5
_FINDINGS_KEPT: Final = 20

Told = Callable[[int], None]
"""How many cycles are done."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of the cycles at one point. `figures` hold what was found and of how many, `recoveries` are seconds.

    A recovery is the time from the last death of a batch until nothing was on its way any more, and the looks that make sure.
    """

    point: str
    seed: int
    lives: dict[Action, int] = field(default_factory=dict)
    """How many ended by what."""
    seconds: float = 0.0
    figures: dict[str, Figure] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    fates: dict[str, int] = field(default_factory=dict)
    """What became of the commands."""

    @property
    def cycles(self) -> int:
        """How many lives have ended."""
        return sum(self.lives.values())

    @property
    def is_clean(self) -> bool:
        """Every figure is 0, and the fault fired in every cycle."""
        return not self.findings and not any(figure.found for figure in self.figures.values())

    def add(self, figure: Figure) -> None:
        """Another batch's figure."""
        known = self.figures.get(figure.name, Figure(name=figure.name, found=0, n=0))
        self.figures[figure.name] = Figure(name=figure.name, found=known.found + figure.found, n=known.n + figure.n)


async def run(
    world: World,
    point: str,
    *,
    cycles: int,
    seed: int,
    actions: Sequence[Action] = (Action.KILL,),
    batch: int = 20,
    told: Told = lambda _: None,
) -> Report:
    """So many cycles at a point, by each of `actions` in turn.

    The victim lives again when this returns, unless what it found says otherwise.

    The same seed draws the same passes and the same traffic; which moments they meet is up to the machine.
    """
    report = Report(point=point, seed=seed)
    began = time.monotonic()
    runner = _Runner(world, PLANS[point], actions, report, random.Random(f"{seed}/{point}"))
    try:
        await runner.run(cycles, batch, told)
    except AssertionError as problem:
        report.findings.append(str(problem))
    report.seconds = time.monotonic() - began
    return report


class _Runner:
    def __init__(self, world: World, plan: Plan, actions: Sequence[Action], report: Report, chance: random.Random) -> None:
        self._world, self._plan, self._report, self._chance = world, plan, report, chance
        self._actions = itertools.cycle(actions)
        self._action = actions[0]
        self._victim: ServiceProcess = world.service(plan.victim)
        self._died_at = 0.0

    async def run(self, cycles: int, batch: int, told: Told) -> None:
        if self._victim.alive:
            self._victim.kill()
        while self._report.cycles < cycles:
            for _ in range(min(batch, cycles - self._report.cycles)):
                self._action = next(self._actions)
                await self._cycle()
                self._report.lives[self._action] = self._report.lives.get(self._action, 0) + 1
                told(self._report.cycles)
            await self._finish()
            await self._judge()
            if not self._report.is_clean:
                return
            if self._report.cycles < cycles:
                if not self._plan.is_whole_log:
                    await self._world.forget()
                self._victim.kill()

    async def _cycle(self) -> None:
        nth = self._chance.randint(1, self._plan.most)
        if self._plan.parked:
            await self._world.park(self._chance)
            await self._world.bury(PARKED_GROUP)
        fault = f"{self._report.point}:{nth}:{self._action}"
        if self._action is Action.SLEEP:
            fault += f"={self._chance.uniform(0.05, _LONGEST_HANG):.3f}"
        await self._start(fault)
        await self._until_fired(nth, fault)
        await self._until_dead()
        self._died_at = time.monotonic()

    async def _start(self, fault: str) -> None:
        if self._plan.victim == "rebuild":  # reads what the log has when it starts
            await self._world.traffic(self._chance)
            await self._world.settle_read_models()
        self._victim.start(PARLEY_FAULT=fault, PARLEY_LOG_LEVEL="WARNING")

    async def _until_fired(self, nth: int, fault: str) -> None:
        deadline = time.monotonic() + FIRE_SECONDS
        guest_at = time.monotonic() + _GUEST_SECONDS / 2
        while not self._has_fired():
            assert time.monotonic() < deadline, (
                f"{fault}: no life passed it within {FIRE_SECONDS:.0f} s (seed {self._report.seed})"
            )
            await self._see_alive(fault)
            if self._plan.victim != "rebuild":
                await self._world.traffic(self._chance, media=self._plan.media)
            if self._plan.guest and nth >= self._plan.guest and time.monotonic() > guest_at:
                await (self._world.let_guest_go() if self._world.has_guest else self._world.let_guest_come(self._plan.victim))
                guest_at = time.monotonic() + _GUEST_SECONDS
            await self._within(_UNIT_SECONDS)

    async def _within(self, seconds: float) -> None:
        """Return when the fault has fired, or after the time."""
        end = time.monotonic() + seconds
        await until(lambda: self._has_fired() or time.monotonic() > end, seconds + 10.0, "a moment to pass")

    def _has_fired(self) -> bool:
        action, victim = self._action, self._victim
        if action is Action.KILL:
            return victim.returncode == -signal.SIGKILL
        if action is Action.STOP:
            return victim.is_stopped
        return bool(victim.events("fault.fired"))

    async def _see_alive(self, fault: str) -> None:
        if not self._victim.alive and not self._has_fired():
            code, log = self._victim.returncode, "\n".join(self._victim.log.splitlines()[-20:])
            if self._plan.victim == "rebuild" and code in (0, 1):  # nothing left to do, or the life before still holds the lock
                await self._start(fault)
                return
            raise AssertionError(f"{fault}: ended with {code} and no fault had fired\n{log}")

    async def _until_dead(self) -> None:
        """A kill is the end. What hung goes on for a moment, what raised ends by itself or has lost one request."""
        victim, action = self._victim, self._action
        if action is Action.RAISE and not self._plan.survives:
            await until(lambda: not victim.alive, 15.0, "the process to end after an exception")
            expected = (EXIT_FATAL, 1) if self._plan.victim == "rebuild" else (EXIT_FATAL,)
            assert victim.returncode in expected, f"{self._report.point}: ended with {victim.returncode} after an exception"
        elif action is not Action.KILL:
            hang = time.monotonic() + self._chance.uniform(0.05, _LONGEST_HANG)
            await until(lambda: time.monotonic() > hang, 10.0, "the hang to end")
            victim.signal(signal.SIGCONT)
            await self._world.traffic(self._chance, media=self._plan.media)
            victim.kill()

    async def _finish(self) -> None:
        """One life without a fault brings everything to its end."""
        world, victim = self._world, self._victim
        await world.let_guest_go()
        if self._plan.media:
            await world.end_leases()
        if self._plan.parked:
            await world.bury(PARKED_GROUP)
        if self._plan.victim == "rebuild":
            await world.settle()
            await self._rebuilt()
        else:
            victim.start()
        left = await world.settle()
        self._report.recoveries.append(time.monotonic() - self._died_at)
        if not left.is_settled:
            self._report.findings.append(f"still on its way: {left}; the services complained: {world.complaints()}")
        ended = world.ended(self._plan.victim)
        if ended or (self._plan.victim != "rebuild" and not victim.alive):
            self._report.findings.append(f"ended, and nobody killed them: {', '.join(ended) or self._plan.victim}")

    async def _rebuilt(self) -> None:
        deadline = time.monotonic() + FIRE_SECONDS
        while True:
            self._victim.start()
            await until(lambda: not self._victim.alive, FIRE_SECONDS, "the rebuild to end")
            if self._victim.returncode == 0:
                return
            assert time.monotonic() < deadline, f"the rebuild did not succeed:\n{self._victim.log[-2000:]}"

    async def _judge(self) -> None:
        verdict = await self._world.verdict()
        for figure in verdict.figures:
            self._report.add(figure)
        fates = {"accepted": verdict.accepted, "unresolved": verdict.unresolved, "refused": sum(verdict.refused.values())}
        self._report.fates = {name: self._report.fates.get(name, 0) + count for name, count in fates.items()}
        tables = await self._world.tables()
        self._report.add(Figure(name="tables", found=len(tables.differing), n=tables.n))
        said = [*(f"{one.kind}: {one.what}: {one.why}" for one in verdict.findings), *tables.differing]
        self._report.findings += said[: max(0, _FINDINGS_KEPT - len(self._report.findings))]
