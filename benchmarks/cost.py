"""What does a thousand webhooks cost, and a thousand sends? CPU seconds of every process on the way, and their memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.bench import Bench
from benchmarks.bodies import KINDS, Kind
from benchmarks.clocks import Clocks
from benchmarks.figures import Section, Spread
from benchmarks.system import System, running

_WEBHOOK_RATE: Final = 300.0
_SEND_RATE: Final = 160.0
_IDLE_SECONDS: Final = 5.0
_LABELS: Final[dict[Kind, str]] = {
    "statuses": "one status each",
    "messages": "one inbound text each",
    "mix": "70 % statuses, 25 % messages, 5 % other",
}


def webhooks(bench: Bench) -> Section:
    """Each kind of webhook through the whole stack, until the last one is a row."""
    paced, flood = bench.pick(full=4_500, quick=1_200), bench.pick(full=20_000, quick=6_000)
    with running(bench) as system:
        system.post("mix", flood, 0.0)
        system.post("mix", paced, _WEBHOOK_RATE)
        idle = _idle(system)

        def rounds(kind: Kind, count: int, rate: float) -> list[dict[str, float]]:
            return [_cost(system, count, lambda: system.post(kind, count, rate)) for _ in range(bench.rounds)]

        found = {f"{_LABELS[kind]}, {_WEBHOOK_RATE:g}/s": rounds(kind, paced, _WEBHOOK_RATE) for kind in KINDS}
        found |= {f"{_LABELS[kind]}, flood": rounds(kind, flood, 0.0) for kind in KINDS}
        return _section(
            "CPU seconds per 1,000 webhooks",
            system,
            found,
            idle,
            [
                f"median (lowest–highest) of {bench.rounds} rounds, from the first request until the projector has committed the "
                "last row; all of it on one core, load on the other",
                f"{_WEBHOOK_RATE:g}/s: {paced:,} webhooks at that rate; flood: {flood:,} over 64 connections as fast as ingest "
                "takes them, the backlog worked off included",
            ],
        )


def sends(bench: Bench) -> Section:
    """Commands through router and sender, until the last outcome is in the log."""
    count = bench.pick(full=2_000, quick=600)
    with running(bench, sending=True, statuses_to_ingest=False) as system:
        system.send(count // 2, _SEND_RATE)
        idle = _idle(system)

        def rounds(rate: float) -> list[dict[str, float]]:
            return [_cost(system, count, lambda: system.send(count, rate)) for _ in range(bench.rounds)]

        found = {f"one text each, {_SEND_RATE:g}/s": rounds(_SEND_RATE), "one text each, flood": rounds(0.0)}
        return _section(
            "CPU seconds per 1,000 sends",
            system,
            found,
            idle,
            [
                f"median (lowest–highest) of {bench.rounds} rounds of {count:,} over four numbers, from the first command until "
                "the last outcome is in the log; JSON commands by way of the router, outcomes projected",
                f"{_SEND_RATE:g}/s: commands at that rate; flood: all at once, numbers with a limit of 1,000/s each",
                "status webhooks of these messages are not in it: the simulated Meta posts them to a handler that does nothing",
            ],
        )


def _idle(system: System) -> dict[str, float]:
    """CPU seconds per second of a stack that waits."""
    before = Clocks.read(system.pids)
    time.sleep(_IDLE_SECONDS)
    after = Clocks.read(system.pids)
    return {name: used / (after.at - before.at) for name, used in after.since(before).items()}


def _cost(system: System, count: int, work: Callable[[], object]) -> dict[str, float]:
    before = Clocks.read(system.pids)
    work()
    after = Clocks.read(system.pids)
    per_thousand = {name: 1000 * used / count for name, used in after.since(before).items()}
    return {**per_thousand, "seconds": 1000 * (after.at - before.at) / count}


def _section(
    title: str, system: System, found: dict[str, list[dict[str, float]]], idle: dict[str, float], notes: Sequence[str]
) -> Section:
    names = list(system.pids)
    rows: list[list[str]] = []
    data: dict[str, object] = {}
    for label, rounds in found.items():
        parts = {name: Spread.of([one[name] for one in rounds]) for name in names}
        total = Spread.of([sum(one[name] for name in names) for one in rounds])
        net = Spread.of([sum(one[name] - idle[name] * one["seconds"] for name in names) for one in rounds])
        rate = Spread.of([1000 / one["seconds"] for one in rounds])
        rows.append([label, *(f"{parts[name].median:.2f}" for name in names), total.text(2), f"{net.median:.2f}", rate.text(0)])
        data[label] = {
            **{name: part.data() for name, part in parts.items()},
            "sum": total.data(),
            "sum_without_idle": net.data(),
            "per_second": rate.data(),
        }
    idle_row = ["idle, per second", *(f"{idle[name]:.3f}" for name in names), f"{sum(idle.values()):.3f}", "", ""]
    rss = system.peak_rss()
    memory = ["peak RSS, MiB", *("–" if (mib := rss[name]) is None else f"{mib:.0f}" for name in names), "", "", ""]
    return Section(
        title=title,
        columns=["", *names, "sum", "sum without idle", "per second, to the end"],
        rows=[*rows, idle_row, memory],
        notes=[
            *notes,
            "CPU from the kernel's clocks of each process with its children; at another rate the part that an idle stack uses "
            "anyway spreads over more or fewer requests",
            "memory: the most that was ever resident; Postgres: all its processes at the end, shared pages counted once",
        ],
        data={**data, "idle_cpu_seconds_per_second": idle, "peak_rss_mib": rss},
    )
