"""How does one storm go: the world, traffic and faults at once, the wait until all is over, and the judgement?"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from services.sandbox.ledger import judge
from services.sandbox.ledger_reader import read
from services.sandbox.settling import Lookout
from services.sandbox.simulator.client import SimulatorClient
from services.sandbox.simulator.rules import Error
from tests.faults.storm import emitted
from tests.faults.storm.delays import LIMIT_SECONDS, Mark, late_stretches, recovery, spread
from tests.faults.storm.inflict import Done, Inflictor
from tests.faults.storm.report import Recovery, Report
from tests.faults.storm.schedule import Storm
from tests.faults.storm.show import Moment, Show, told
from tests.faults.storm.traffic import Traffic, rows_there
from tests.faults.storm.world import World, world
from tests.support import canaries
from tests.support.read_models import compared

SETTLE_SECONDS: Final = 180.0
PEOPLE: Final = 150
NUMBERS: Final = 2
_LOOK_SECONDS: Final = 0.25
_LAG_SECONDS: Final = 2.0
_LAG_PATIENCE: Final = aiohttp.ClientTimeout(total=1.0)
_LAG: Final = "parley_consumer_lag_records"
_GREETED_SECONDS: Final = 60.0
_PASSING: Final = (aiohttp.ClientError, psycopg.Error, OSError, TimeoutError)
_BEHAVIOUR: Final[dict[str, object]] = {
    "delivered_after_seconds": 0.3,
    "read_after_seconds": 1.0,
    "delay_spread": 0.6,
    "read_probability": 0.6,
    "duplicate_probability": 0.1,
    "reorder_probability": 0.2,
    "batch_max": 5,
    "retry_gap_seconds": 0.5,
    "retry_max_gap_seconds": 3.0,
}
_REJECTION: Final = Error(code=131026, details=f"{canaries.NAME} +{canaries.PHONE}000: {canaries.TEXT}")
"""Meta's errors say whom they are about."""
_REJECTED: Final = 0.02


def rage(storm: Storm, folder: Path, show: Show, *, people: int = PEOPLE) -> Report:
    """A storm from nothing to its figures. What was started is stopped; the logs stay in `folder`.

    StackError or ProviderError when the world did not start.
    """
    try:
        with world(folder, show.say) as made:
            report = asyncio.run(_Run(storm, made, show, people).run())
        return replace(report, searches={**report.searches, **emitted.afterwards(made.words, folder)})
    finally:
        show.close()


class _Run:
    """One storm over a world that stands."""

    def __init__(self, storm: Storm, made: World, show: Show, people: int) -> None:
        self._storm, self._world, self._show, self._people = storm, made, show, people
        self._began = 0.0
        self._phase = "calm"
        self._lag: str | None = None
        self._all_there = asyncio.Event()

    async def run(self) -> Report:
        async with aiohttp.ClientSession() as session:
            simulator = SimulatorClient(self._world.stack.env["PARLEY_SIMULATOR_URL"], session)
            await simulator.behave(**_BEHAVIOUR)
            await simulator.rules(_REJECTION, always=True, share=_REJECTED)
            await self._verify(session)
            numbers = [number.phone_number_id for number in self._world.stack.account.numbers[:NUMBERS]]
            traffic = Traffic(self._storm, simulator, self._world.bootstrap_servers, numbers, self._people)
            inflictor = Inflictor(self._world, self._storm, lambda done: self._show.say(told(done, self._began)))
            async with self._watched(traffic, inflictor, simulator, session):
                self._show.say("everybody says hello")
                await traffic.greet()
                self._all_there.clear()
                async with asyncio.timeout(_GREETED_SECONDS):
                    await self._all_there.wait()
                self._show.say(f"the storm begins: seed {self._storm.seed}, {len(self._storm.faults)} faults")
                self._began, self._phase = time.monotonic(), "storm"
                async with asyncio.TaskGroup() as both:
                    both.create_task(traffic.run(self._began, self._storm.seconds))
                    both.create_task(inflictor.run(self._began))
                await inflictor.heal()
                self._phase, over = "settling", time.monotonic()
                async with Lookout(self._world.bootstrap_servers, self._world.dsn, simulator) as lookout:
                    left = await lookout.settle(SETTLE_SECONDS)
                drained = time.monotonic() - over
            self._show.say("judging")
            report = await self._judged(traffic, inflictor, simulator, str(left), drained)
            return replace(report, searches=await emitted.while_running(self._world, session))

    async def _verify(self, session: aiohttp.ClientSession) -> None:
        """As Meta does when somebody enters the callback URL, and as one does who guesses."""
        env = self._world.stack.env
        for token, status in ((env["PARLEY_VERIFY_TOKEN"], 200), (f"{env['PARLEY_VERIFY_TOKEN']}x", 403)):
            told = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": token}
            async with session.get(env["PARLEY_INGEST_URL"], params=told) as answer:
                if answer.status != status:
                    raise RuntimeError(f"ingest answered {answer.status} to Meta's question, not {status}: look at its log")

    @asynccontextmanager
    async def _watched(
        self, traffic: Traffic, inflictor: Inflictor, simulator: SimulatorClient, session: aiohttp.ClientSession
    ) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._watch(traffic, inflictor, simulator)),
            asyncio.create_task(self._watch_lag(session)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, traffic: Traffic, inflictor: Inflictor, simulator: SimulatorClient) -> None:
        """When what was said is a row and what was published is at Meta. What cannot be asked just now is asked again."""
        seen = 0
        while True:
            with suppress(*_PASSING):
                arrivals = await simulator.requests(after=seen)
                traffic.book.arrived(arrivals)
                seen = arrivals[-1].seq if arrivals else seen
            with suppress(*_PASSING):
                missing = traffic.book.missing()
                there = await asyncio.to_thread(rows_there, self._world.dsn, missing) if missing else []
                traffic.book.rows(there, time.monotonic())
                if len(there) == len(missing):
                    self._all_there.set()
            if self._began:
                self._show.update(self._moment(traffic, inflictor))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch_lag(self, session: aiohttp.ClientSession) -> None:
        """Only for the picture, as services tell it. A client of Kafka's that is cut off would leave its sockets open."""
        while True:
            behind: Counter[str] = Counter()
            for url in self._world.stack.metrics_urls().values():
                with suppress(*_PASSING):
                    async with session.get(url, timeout=_LAG_PATIENCE) as answer:
                        for family in text_string_to_metric_families(await answer.text()):
                            if family.name == _LAG:
                                behind.update({sample.labels["group"]: int(sample.value) for sample in family.samples})
            self._lag = " · ".join(f"{group.removeprefix('parley.')} {count}" for group, count in sorted(behind.items())) or None
            await asyncio.sleep(_LAG_SECONDS)

    def _moment(self, traffic: Traffic, inflictor: Inflictor) -> Moment:
        now, book = time.monotonic(), traffic.book
        waiting = {"rows": book.messages.values(), "sends": book.commands.values()}
        return Moment(
            elapsed=now - self._began,
            seconds=self._storm.seconds,
            phase=self._phase,
            faults=len(inflictor.done),
            planned=len(self._storm.faults),
            traffic={"messages": len(book.messages), "commands": len(book.commands)},
            restarts=sum(self._world.stack.deaths().values()),
            late={name: sum(_is_late(mark, now) for mark in marks) for name, marks in waiting.items()},
            lag=self._lag,
            last=inflictor.done,
        )

    async def _judged(
        self, traffic: Traffic, inflictor: Inflictor, simulator: SimulatorClient, left: str, drained: float
    ) -> Report:
        stack, book = self._world.stack, traffic.book
        ledger = await read(
            simulator=simulator,
            bootstrap_servers=self._world.bootstrap_servers,
            dsn=self._world.dsn,
            published=list(book.publications.values()),
            consents=(),
            limits={number.phone_number_id: number.throughput for number in stack.account.numbers},
        )
        summary = await simulator.summary()
        verdict = await asyncio.to_thread(judge, ledger)
        del ledger  # an hour's is as large as what comes next
        tables = await asyncio.to_thread(compared, self._world.bootstrap_servers, self._world.dsn)
        now = time.monotonic()
        marks = {"webhook to row": list(book.messages.values()), "command to Graph": list(book.commands.values())}
        return Report(
            seed=self._storm.seed,
            seconds=self._storm.seconds,
            replay=self._storm.replay,
            limit_seconds=LIMIT_SECONDS,
            described=stack.describe(),
            traffic={
                "messages of customers": len(book.messages),
                "commands": len(book.publications),
                "sends accepted": summary.accepted,
                "webhooks": summary.webhooks,
                "POSTs of webhooks": summary.webhook_posts,
                "POSTs without a 200": summary.webhook_posts - summary.webhook_answers.get("200", 0),
                "unresolved sends": verdict.unresolved,
                "rejected by Meta": verdict.rejected,
                "commands nobody can read": sum(not one.readable for one in book.publications.values()),
                "dead letters": verdict.dead_letters,
                "refused though no rule asked for it": verdict.surprises,
            },
            restarts=stack.deaths(),
            recoveries=self._recoveries(inflictor.done, marks["webhook to row"], marks["command to Graph"], now),
            delays={name: spread(mark.age(now) for mark in found if mark.began >= self._began) for name, found in marks.items()},
            verdict=verdict,
            tables=tables,
            left=left,
            drained_seconds=drained,
            searches={},
        )

    def _recoveries(self, faults: Sequence[Done], rows: list[Mark], graph: list[Mark], now: float) -> list[Recovery]:
        late_rows, late_graph = (late_stretches(marks, limit=LIMIT_SECONDS, now=now) for marks in (rows, graph))

        def recovered(done: Done, since: float, late: list[tuple[float, float]]) -> float | None:
            others = [other.began for other in faults if other is not done and (other.ended or now) > done.began]
            return recovery(late, ended_at=since, limit=LIMIT_SECONDS, others=others)

        return [
            Recovery(
                kind=done.fault.kind.value,
                target=done.target,
                at=done.began - self._began,
                lasted=done.ended - done.began,
                webhook_to_row=recovered(done, done.ended, late_rows),
                command_to_graph=recovered(done, done.ended, late_graph),
                row_since_beginning=recovered(done, done.began, late_rows),
                graph_since_beginning=recovered(done, done.began, late_graph),
            )
            for done in faults
            if done.ended is not None
        ]


def _is_late(mark: Mark, now: float) -> bool:
    return mark.done is None and mark.age(now) > LIMIT_SECONDS
