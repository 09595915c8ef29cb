"""How fast is a rebuild beside the live projector on the same records, and does its memory grow with the log?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psutil
import psycopg

from benchmarks import fill
from benchmarks.bench import Bench
from benchmarks.clocks import cpu_seconds
from benchmarks.drain import PROJECTOR, Drain, drained
from benchmarks.figures import Section, Spread, judged, ratios
from benchmarks.processes import BenchmarkError, Process
from services.projector.decode import GROUP

_GOAL: Final = 30_000
_MEMORY: Final = 1.3
_TAG: Final = "rebuild000"
_LOOK_SECONDS: Final = 0.1
_END_SECONDS: Final = 900.0
_REACHED: Final = "SELECT coalesce(sum(next_offset), 0) FROM projector_rebuild.positions"
_BEGAN: Final = "SELECT to_regclass('projector_rebuild.positions') IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A rebuild at one moment."""

    at: float
    records: int
    cpu: float
    rss_mib: float


def rebuild(bench: Bench) -> Section:
    """In each round the live projector drains a log, and a rebuild reads it again; then one rebuild of a long log."""
    count = bench.pick(full=120_000, quick=30_000)
    live: list[Drain] = []
    ours: list[Drain] = []
    for number in range(bench.rounds):
        dsn = bench.servers.fresh()
        bench.servers.pin(bench.cores.other)
        fill.append(bench.servers.kafka, PROJECTOR.records(count, f"rebuild{number}x"))
        live.append(drained(bench, PROJECTOR, dsn, count))
        ours.append(_drain(_rebuilt(bench, dsn)))
        bench.say(f"rebuild, round {number + 1}: {ours[-1].per_second:,.0f}/s, live {live[-1].per_second:,.0f}/s")
    seen, many = _long(bench)
    return _section(count, live, ours, seen, many)


def _long(bench: Bench) -> tuple[list[_Seen], int]:
    """Nobody projects it: the live positions say that it is read, and that is all a rebuild asks of them."""
    base = bench.pick(full=50_000, quick=10_000)
    times = bench.pick(full=40, quick=5)
    dsn = bench.servers.fresh()
    bench.servers.pin(bench.cores.other)
    records = PROJECTOR.records(base, _TAG)
    fill.append(bench.servers.kafka, fill.copies(records, _TAG, range(times)))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for (topic, partition), offset in bench.servers.ends(PROJECTOR.sources).items():
            if offset:
                place = (GROUP, topic, partition, offset)
                connection.execute("INSERT INTO projector.positions VALUES (%s, %s, %s, %s)", place)
    seen = _rebuilt(bench, dsn)
    with psycopg.connect(dsn) as connection:
        [(messages,)] = connection.execute("SELECT count(*) FROM projector.messages").fetchall()
    bench.say(f"rebuild of {base * times:,} records: {_drain(seen).per_second:,.0f}/s, {messages:,} messages")
    return seen, base * times


def _rebuilt(bench: Bench, dsn: str) -> list[_Seen]:
    """`parley rebuild` from its beginning to its end, as seen from outside: what is durable, its clock and its memory."""
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": bench.servers.kafka, "PARLEY_POSTGRES_DSN": dsn}
    seen: list[_Seen] = []
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        Process("services.cli", env, core=bench.cores.measured, folder=bench.folder, arguments=["rebuild", "--json"]) as process,
    ):
        _watch(process, seen, lambda: _reached(connection))
        report = process.wait_for(lambda line: "replay_seconds" in line, _END_SECONDS, "report")
    if not report["swapped"]:
        raise BenchmarkError("the rebuild did not swap")
    return seen


def _watch(process: Process, seen: list[_Seen], reached: Callable[[], int | None]) -> None:
    """Until its tables have become the live ones. Only looks that saw progress are kept."""
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        records = reached()
        if records is None and seen:
            return
        if records and (not seen or records > seen[-1].records):
            rss = psutil.Process(process.pid).memory_info().rss / 2**20
            seen.append(_Seen(at=time.perf_counter(), records=records, cpu=cpu_seconds(process.pid), rss_mib=rss))
        time.sleep(_LOOK_SECONDS)
    raise BenchmarkError(f"no rebuild within {_END_SECONDS:g} s")


def _reached(connection: psycopg.Connection) -> int | None:
    """How many records are in the tables that are built; None when there are none."""
    try:
        [(is_there,)] = connection.execute(_BEGAN).fetchall()
        [(records,)] = connection.execute(_REACHED).fetchall() if is_there else [(None,)]
    except psycopg.errors.UndefinedTable:
        return None
    return None if records is None else int(records)


def _drain(seen: list[_Seen]) -> Drain:
    first, last = seen[0], seen[-1]
    records = last.records - first.records
    if records < last.records / 2:
        raise BenchmarkError("the rebuild was done before it could be watched: more records are needed")
    return Drain(per_second=records / (last.at - first.at), per_cpu_second=records / (last.cpu - first.cpu))


def _section(count: int, live: list[Drain], ours: list[Drain], seen: list[_Seen], many: int) -> Section:
    rows: list[list[str]] = []
    data: dict[str, Any] = {}
    for what, goal, values in (
        ("records/s", _GOAL, [[run.per_second for run in runs] for runs in (ours, live)]),
        ("records per CPU second", None, [[run.per_cpu_second for run in runs] for runs in (ours, live)]),
    ):
        mine, theirs, ratio = Spread.of(values[0]), Spread.of(values[1]), ratios(values[0], values[1])
        reached = "" if goal is None else f"≥ {goal:,} {'✓' if mine.median >= goal else '✗'}"
        rows.append([what, mine.text(0), theirs.text(0), ratio.text(2), reached])
        data[what] = {"rebuild": mine.data(), "live": theirs.data(), "ratio": ratio.data()}
    long = _drain(seen)
    early = next(one for one in seen if one.records >= many / 10)
    growth = seen[-1].rss_mib / early.rss_mib
    rows += [
        [f"{many:,} records: records/s", f"{long.per_second:,.0f}", "", "", ""],
        [f"{many:,} records: records per CPU second", f"{long.per_cpu_second:,.0f}", "", "", ""],
        [
            f"{many:,} records: RSS at 10 % / at the end, MiB",
            f"{early.rss_mib:.0f} / {seen[-1].rss_mib:.0f}",
            "",
            "",
            f"≤ {_MEMORY:g} × {judged(growth, at_most=_MEMORY, digits=2)}",
        ],
    ]
    data["long"] = {"records": many, "per_second": long.per_second, "rss_mib": [early.rss_mib, seen[-1].rss_mib]}
    return Section(
        title="Rebuild beside the live projector",
        columns=["one process on one core", "rebuild", "live projector", "ratio", "goal"],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {len(live)} rounds of {count:,} records from 24 partitions: {PROJECTOR.mix}; "
            "the rebuild reads what the live projector has just drained, into empty tables",
            "of the rebuild the reading is measured, without the indexes, the comparison and the swap after it",
            "the long log holds the same mix over and over, of other messages each time",
            "Kafka, Postgres and the observer are on the other core",
        ],
        data=data,
    )
