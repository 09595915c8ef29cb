"""How long from Meta's request to the row, and from a command to the write to Meta? At modest rates and at half the full one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from benchmarks.bench import Bench
from benchmarks.bodies import Kind
from benchmarks.clocks import Clocks
from benchmarks.figures import Section, Spread, judged, percentile
from benchmarks.processes import BenchmarkError
from benchmarks.system import System, running

_RATE: Final = 70.0
_SEND_RATE: Final = 20.0
"""One core has to do the message's three status webhooks, too."""
_PERCENTS: Final = (50, 99)
_WATCHED: Final[tuple[tuple[str, Kind], ...]] = (("inbound message → row", "messages"), ("status → row", "statuses"))
_FULL: Final = "mix"
_HALF_SECONDS: Final = 10.0
_SETTLE_ROUNDS: Final = 30
_SETTLE_COUNT: Final = 3_000
_SETTLE_RATE: Final = 600.0
_SETTLED: Final = 0.95
_STEADY: Final = 3
"""Rounds in a row in which Kafka's CPU did not fall to that part of the least before."""
_P50_MS: Final = 100.0
_P99_MS: Final = 250.0


def latency(bench: Bench) -> Section:
    """Three rounds of each path, one after the other, the whole stack running all the time."""
    count = bench.pick(full=500, quick=300)
    with running(bench, sending=True) as system:
        system.post("mix", 300, 150.0)
        system.send(200, _SEND_RATE)
        paths: dict[str, tuple[float, Callable[[], list[float]]]] = {
            "inbound message → row": (_RATE, lambda: list(system.post("messages", count, _RATE, watch=True)["milliseconds"])),
            "status → row": (_RATE, lambda: list(system.post("statuses", count, _RATE, watch=True)["milliseconds"])),
            "command → write to Graph": (_SEND_RATE, lambda: list(system.send(count, _SEND_RATE)["milliseconds"])),
        }
        found = {name: (rate, [measure() for _ in range(bench.rounds)]) for name, (rate, measure) in paths.items()}
    rows: list[list[str]] = []
    data: dict[str, object] = {}
    for name, (rate, rounds) in found.items():
        spreads = {percent: Spread.of([percentile(one, percent) for one in rounds]) for percent in _PERCENTS}
        rows.append([name, f"{rate:g}/s", *(spreads[percent].text(1) for percent in _PERCENTS)])
        data[name] = {"rate": rate, **{f"p{percent}_ms": spread.data() for percent, spread in spreads.items()}}
    return Section(
        title="Latency at a modest rate",
        columns=["path", "rate", *(f"p{percent}, ms" for percent in _PERCENTS)],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {bench.rounds} rounds of {count:,}; ingest, Kafka, router, projector, sender and "
            "Postgres share one core, load, the simulated Meta and the observer have the other",
            "to a row: from the first byte to ingest until a query of another session sees the row, asked every 2 ms",
            "to Graph: from before the append of the command (JSON, on send-commands) until the simulated Meta has read the "
            "request; four numbers; every message's three status webhooks run through the same stack meanwhile",
        ],
        data=data,
    )


def _settle(system: System) -> None:
    """A broker that has just started compiles for minutes: its CPU for the same messages halves meanwhile."""
    kafka = {name: pid for name, pid in system.pids.items() if name == "Kafka"}
    best, since = math.inf, 0
    for _ in range(_SETTLE_ROUNDS):
        before = Clocks.read(kafka)
        system.post("messages", _SETTLE_COUNT, _SETTLE_RATE)
        used = sum(Clocks.read(kafka).since(before).values())
        since = 0 if used < best * _SETTLED else since + 1
        best = min(best, used)
        if since == _STEADY:
            return
    raise BenchmarkError("the broker does not settle")


def freshness(bench: Bench) -> Section:
    """How fast everything is worked off at once, and how old a row is at half of that rate."""
    count = bench.pick(full=10_000, quick=4_000)
    with running(bench) as system:
        _settle(system)
        fulls = []
        for _ in range(bench.rounds):
            begun = time.monotonic()
            system.post(_FULL, count, 0.0)
            fulls.append(count / (time.monotonic() - begun))
        full = Spread.of(fulls)
        half = full.median / 2
        found = {
            name: [
                list(system.post(kind, int(half * _HALF_SECONDS), half, watch=True)["milliseconds"]) for _ in range(bench.rounds)
            ]
            for name, kind in _WATCHED
        }
    rows = [["all at once", "webhooks a second, to the last row", f"{bench.rounds} × {count:,}", "", full.text(0)]]
    data: dict[str, object] = {"full_per_second": full.data()}
    for name, rounds in found.items():
        for percent, bar in zip(_PERCENTS, (_P50_MS, _P99_MS), strict=True):
            spread = Spread.of([percentile(one, percent) for one in rounds])
            n = f"{bench.rounds} × {len(rounds[0]):,}"
            result = f"{spread.text(1)} {judged(spread.median, at_most=bar, digits=1)[-1]}"
            rows.append([f"at {half:.0f}/s", f"{name}, p{percent}, ms", n, f"≤ {bar:g}", result])
            data[f"{name}, p{percent}"] = spread.data()
    return Section(
        title="Freshness at half load",
        columns=["load", "figure", "n", "bar", "result"],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {bench.rounds} rounds, after the broker's compiler has settled; ingest, Kafka, router, "
            "projector and Postgres share one core, load and observer (its session of Postgres, too) have the other",
            "all at once: 70 % statuses, 25 % inbound messages, 5 % other, over 64 connections, until the last is a row",
            "to a row: from the first byte to ingest until a query of another session sees the row, asked every 2 ms",
        ],
        data=data,
    )
