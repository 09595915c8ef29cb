"""How fast do router and projector drain a full topic, beside stock Faust that does nothing with the same records?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from benchmarks import fill
from benchmarks.bench import Bench
from benchmarks.clocks import cpu_seconds
from benchmarks.figures import Section, Spread, against, ratios
from benchmarks.processes import BenchmarkError, Process
from benchmarks.servers import lag
from services.common.domain import topics
from services.common.platform.kafka import NewRecord
from services.sandbox.roles import PROJECTOR as PROJECTOR_ROLE
from services.sandbox.roles import role_dsns

_LOOK_SECONDS: Final = (0.02, 0.25)
"""Often only when the end is near: each look costs the service some milliseconds."""
_DRAIN_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """One process that worked one pile off."""

    per_second: float
    per_cpu_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A service to be measured: what it reads, what to fill in for each round, its variables and its goal."""

    title: str
    mix: str
    service: str
    group: str
    sources: tuple[str, ...]
    records: Callable[[int, str], list[NewRecord]]
    env: Callable[[str], dict[str, str]]
    goal: float


_MIX: Final = "70 % statuses, 25 % inbound messages, 5 % other"
ROUTER: Final = Subject(
    title="Router",
    mix=_MIX,
    service="router",
    group="parley.router",
    sources=topics.ROUTER_SOURCES,
    records=lambda count, tag: fill.raw_records(count, tag=tag),
    env=lambda _: {},
    goal=1.2,
)
SAMPLES: Final = replace(
    ROUTER,
    title="Router, on every sample webhook in turn,",
    mix=f"the {len(list(fill.SAMPLES.glob('*.expected.json')))} samples of tests/samples/webhooks one after the other",
    records=lambda count, tag: fill.sample_records(count, tag=tag),
)
PROJECTOR: Final = Subject(
    title="Projector",
    mix=_MIX,
    service="projector",
    group="parley.projector",
    sources=topics.PROJECTOR_SOURCES,
    records=lambda count, tag: fill.typed_records(count, tag=tag, partitions=24),
    env=lambda dsn: {"PARLEY_POSTGRES_DSN": role_dsns(dsn)[PROJECTOR_ROLE]},
    goal=1.4,
)


def router(bench: Bench) -> Section:
    """Webhooks in, typed events out, acks=all."""
    return _compare(bench, ROUTER)


def samples(bench: Bench) -> Section:
    """The same on everything that Meta sends."""
    return _compare(bench, SAMPLES)


def projector(bench: Bench) -> Section:
    """Typed events in, rows and positions out."""
    return _compare(bench, PROJECTOR)


def _compare(bench: Bench, subject: Subject) -> Section:
    count = bench.pick(full=120_000, quick=30_000)
    dsn = bench.servers.fresh()
    bench.servers.pin(bench.cores.other)
    ours: list[Drain] = []
    stock: list[Drain] = []
    for number in range(bench.pick(full=5, quick=3)):
        fill.append(bench.servers.kafka, subject.records(count, f"{subject.service}{number}x"))
        # A B, B A, A B: what warms up or tires during the run favours neither.
        for turn in ("ours", "stock") if number % 2 == 0 else ("stock", "ours"):
            if turn == "ours":
                ours.append(drained(bench, subject, dsn, count))
            else:
                stock.append(_stock(bench, subject))
        bench.say(f"{subject.service}, round {number + 1}: {ours[-1].per_second:,.0f}/s, stock {stock[-1].per_second:,.0f}/s")
    return _section(subject, count, ours, stock)


def drained(bench: Bench, subject: Subject, dsn: str, count: int) -> Drain:
    """One process of the service on the measured core, until it has worked off what is there."""
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": bench.servers.kafka, **subject.env(dsn)}
    with Process(f"services.{subject.service}", env, core=bench.cores.measured, folder=bench.folder) as process:
        process.wait_for_event("ops.listening")
        return _watch(process, count)


def _watch(process: Process, count: int) -> Drain:
    """From the first answer that shows progress to the one that shows the end: up to one look to the service's disadvantage."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    first: tuple[float, float, int] | None = None
    while time.monotonic() < deadline:
        done, now, cpu = process.processed(), time.perf_counter(), cpu_seconds(process.pid)
        if done and first is None:
            first = (now, cpu, done)
        if done >= count and first is not None:
            records = done - first[2]
            if records < count / 2:
                raise BenchmarkError(f"{process.name} was done before it could be watched: more records are needed")
            return Drain(per_second=records / (now - first[0]), per_cpu_second=records / (cpu - first[1]))
        remaining = (now - first[0]) * (count - done) / max(1, done - first[2]) if first else 0.0
        time.sleep(min(max(remaining / 2, _LOOK_SECONDS[0]), _LOOK_SECONDS[1]))
    raise BenchmarkError(f"{process.name} did not drain {count} records within {_DRAIN_SECONDS:g} s")


def _stock(bench: Bench, subject: Subject) -> Drain:
    group = f"bench-stock-{subject.service}"
    env = {
        "BENCH_KAFKA": bench.servers.kafka,
        "BENCH_GROUP": group,
        "BENCH_TOPICS": ",".join(subject.sources),
        "BENCH_RECORDS": str(lag(bench.servers.kafka, group, subject.sources)),
    }
    core = bench.cores.measured
    with Process("benchmarks.stock_faust", env, core=core, folder=bench.folder, arguments=["worker", "-l", "error"]) as process:
        line = process.wait_for(lambda line: line.get("event") == "bench.drained", _DRAIN_SECONDS, "drain")
    return Drain(per_second=line["records"] / line["seconds"], per_cpu_second=line["records"] / line["cpu"])


def _section(subject: Subject, count: int, ours: list[Drain], stock: list[Drain]) -> Section:
    rows, data = [], {}
    for what, goal, values in (
        ("records/s", subject.goal, [[run.per_second for run in runs] for runs in (ours, stock)]),
        ("records per CPU second", None, [[run.per_cpu_second for run in runs] for runs in (ours, stock)]),
    ):
        mine, theirs, ratio = Spread.of(values[0]), Spread.of(values[1]), ratios(values[0], values[1])
        rows.append([what, mine.text(0), theirs.text(0), ratio.text(2), against(goal, ratio) if goal else ""])
        data[what] = {"ours": mine.data(), "stock": theirs.data(), "ratio": ratio.data(), "goal": goal}
    return Section(
        title=f"{subject.title} beside a stock Faust agent that does nothing",
        columns=["one process on one core", subject.service, "stock Faust no-op", "ratio", "goal"],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {len(ours)} rounds of {count:,} records from 24 partitions: {subject.mix}; "
            "both drain the same records one after the other, in alternating order",
            "Kafka, Postgres and the observer are on the other core",
        ],
        data=data,
    )
