"""How long from Meta's request to the row, and from a command to the write to Meta? At a rate that leaves room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Section, Spread, percentile
from benchmarks.system import running

_RATE: Final = 70.0
_SEND_RATE: Final = 20.0
"""One core has to do the message's three status webhooks, too."""
_PERCENTS: Final = (50, 99)


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
