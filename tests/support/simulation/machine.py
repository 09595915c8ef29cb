"""What can happen to a process? It asks servers for something, and it may die before, in between or after that.

A kill is a kill: every task of the process ends at once, and nothing of it reaches a server any more, whatever its `finally`
blocks try. What it has asked for and what is on its way goes on without it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from random import Random
from typing import Any, Final, Literal, NoReturn, TypeVar

import psycopg
from aiokafka.errors import KafkaConnectionError, KafkaError

from tests.support.simulation.plan import TROUBLE_SECONDS, Kind, Plan, Trouble
from tests.support.simulation.virtual_time import since_start

T = TypeVar("T")
Server = Literal["kafka", "postgres", "graph"]

_PATIENCE: Final = 3.0
"""Kafka's clients and ours wait so long for a server that is away before they are told."""
_ENDS: Final[tuple[type[BaseException], ...]] = (KafkaError, psycopg.Error, OSError, TimeoutError)
"""What may end a process when a server is in trouble; anything else is a mistake of ours."""

_running: contextvars.ContextVar[Process | None] = contextvars.ContextVar("_running", default=None)


class World:
    """What all processes of a run share: the plan, chance, what has happened."""

    def __init__(self, plan: Plan, *, traced: bool = False) -> None:
        self.plan, self._traced = plan, traced
        self.rng = Random(plan.seed ^ 0x5EED)
        self.seen: Counter[str] = Counter()
        """What was reached, by name."""
        self.violations: list[str] = []
        self.trace: list[str] = []
        self._outside = contextvars.copy_context()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._at_request = {(one.slot, one.request, one.nth): one for one in plan.troubles if _is_request(one)}
        self._away = [one for one in plan.troubles if one.kind in (Kind.POSTGRES_AWAY, Kind.KAFKA_AWAY)]

    def note(self, text: str) -> None:
        """One line of the story, where somebody reads it."""
        if self._traced:
            self.trace.append(f"{since_start():9.4f}  {text}")

    def saw(self, what: str) -> None:
        """Count it."""
        self.seen[what] += 1

    def violated(self, what: str) -> None:
        """A promise is broken."""
        self.violations.append(what)
        self.note(f"VIOLATED {what}")

    @property
    def is_healing(self) -> bool:
        """True once nothing goes wrong any more."""
        return since_start() >= TROUBLE_SECONDS

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Something that goes on whatever process dies."""
        task = asyncio.get_running_loop().create_task(work, context=self._outside.copy())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self.violated(f"the simulator broke: {type(problem).__name__}: {problem}")

    def is_away(self, server: Server) -> bool:
        """Whether nobody reaches it now."""
        now = since_start()
        kind = Kind.POSTGRES_AWAY if server == "postgres" else Kind.KAFKA_AWAY
        return any(one.kind is kind and one.at <= now < one.at + one.seconds for one in self._away) and server != "graph"

    def trouble_at(self, slot: str, what: str) -> Trouble | None:
        """What goes wrong with the request that this slot is about to make, if anything does."""
        request = what.partition(" ")[0]
        nth = self._asked[slot, request]
        self._asked[slot, request] = nth + 1
        found = self._at_request.get((slot, request, nth))
        return None if found is None or self.is_healing else found

    def end(self) -> None:
        """The run is over."""
        for task in self._tasks:
            task.cancel()


class Process:
    """One life of a process slot. `on_end` hears of its end."""

    def __init__(self, world: World, slot: str, on_end: Callable[[Process], None]) -> None:
        self.world, self.slot, self._on_end = world, slot, on_end
        self.is_dead = False
        self.paused_until = 0.0
        self.tasks: dict[asyncio.Task[Any], None] = {}

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Begin; the end of `main` is the end of the process."""
        context = contextvars.copy_context()
        context.run(_running.set, self)
        asyncio.get_running_loop().create_task(main, context=context).add_done_callback(self._main_ended)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of it, started from outside: what its Kafka client does."""
        context = contextvars.copy_context()
        context.run(_running.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def _main_ended(self, task: asyncio.Task[None]) -> None:
        if self.is_dead:
            return
        problem = None if task.cancelled() else task.exception()
        self._end(problem)

    def kill(self, why: str) -> None:
        """Nothing of it happens any more."""
        if not self.is_dead:
            self.world.note(f"{self.slot} dies: {why}")
            self._end(None)

    def _end(self, problem: BaseException | None) -> None:
        self.is_dead = True
        if problem is not None:
            self.world.note(f"{self.slot} ends: {type(problem).__name__}: {problem}")
            self.world.saw(f"process ended by {type(problem).__name__}")
            if not isinstance(problem, _ENDS) and type(problem).__name__ not in ("HoleError", "OwnerLost"):
                self.world.violated(f"broke: {self.slot.partition('-')[0]}: {type(problem).__name__}: {problem}")
        for task in tuple(self.tasks):
            task.cancel()
        self._on_end(self)

    def check(self) -> None:
        """Raise where nothing may follow."""
        if self.is_dead:
            raise asyncio.CancelledError

    async def call(self, server: Server, what: str, effect: Callable[[], T], *, at_once: bool = False) -> T:
        """Ask a server for something: a way there, the effect, a way back. `at_once`: there is no way worth mentioning."""
        self.check()
        trouble = self.world.trouble_at(self.slot, what)
        kind = None if trouble is None else trouble.kind
        rng = self.world.rng
        if not at_once:
            await self.sleep(rng.uniform(0.0005, 0.004))
        await self._awake()
        if kind is not None:
            self.world.saw(f"trouble: {kind}")
            self.world.note(f"{self.slot} {what}: {kind}")
        if kind is Kind.CRASH_BEFORE:
            self._die(f"before {what}")
        if kind is Kind.REFUSED and server != "graph":
            raise _refused(server)
        if kind is Kind.SLOW and trouble is not None and not at_once:
            await self.sleep(trouble.seconds)
        if self.world.is_away(server):
            await self._wait_for(server)
        self.world.note(f"{self.slot} {what}")
        result = effect()
        if kind is Kind.CRASH_AFTER:
            self._die(f"after {what}")
        if kind is Kind.ANSWER_LOST and server != "graph":
            await self.sleep(0.05)
            raise _refused(server)
        if not at_once and rng.random() < 0.2:
            await self.sleep(rng.uniform(0.0002, 0.002))
        return result

    async def sleep(self, seconds: float) -> None:
        """Wait, and be alive after it."""
        await asyncio.sleep(seconds)
        self.check()

    async def _awake(self) -> None:
        while since_start() < self.paused_until:
            await self.sleep(self.paused_until - since_start() + 0.001)

    async def _wait_for(self, server: Server) -> None:
        """Until it is back, or until a client's patience ends."""
        self.world.saw(f"trouble: {Kind.POSTGRES_AWAY if server == 'postgres' else Kind.KAFKA_AWAY}")
        if server == "postgres":
            await self.sleep(0.1)
            raise _refused(server)
        deadline = since_start() + _PATIENCE
        while self.world.is_away(server):
            await self.sleep(0.25)
            if since_start() >= deadline:
                raise _refused(server)

    def _die(self, where: str) -> NoReturn:
        self.kill(where)
        raise asyncio.CancelledError


def task_factory(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any
) -> asyncio.Task[T]:
    """Tasks know whose they are, so that they can end with it."""
    context = options.get("context")
    process = _running.get() if context is None else context.get(_running)
    task: asyncio.Task[T] = asyncio.Task(work, loop=loop, **options)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
        if process.is_dead:
            task.cancel()
    return task


def _refused(server: Server) -> Exception:
    if server == "postgres":
        return psycopg.OperationalError("the simulated server is away")
    problem: Exception = KafkaConnectionError("the simulated broker is away")
    return problem


def _is_request(trouble: Trouble) -> bool:
    return trouble.kind in (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.REFUSED, Kind.ANSWER_LOST, Kind.SLOW)
