"""How much of aiohttp's speed is left once every webhook is checked and in the log? Requests/s of one core, and CPU per 1,000."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.bench import Bench
from benchmarks.bodies import SECRET
from benchmarks.clocks import cpu_seconds
from benchmarks.figures import Section, Spread, against, judged, ratios
from benchmarks.processes import BenchmarkError, Process, run_json

_GOALS: Final = {64: 0.65, 256: 0.75}
"""Connections -> what part of the bare handler's rate has to be left."""
_OVERLOAD: Final = 256
"""Connections that ask as fast as they are answered, four times as many as keep it busy."""
_OVERLOAD_P99_MS: Final = 250.0
_MOST: Final = 1_000
"""Nearly all that it keeps open. They all come at once, and the wait for that counts."""
_ROUND_SECONDS: Final = 2
_WARM_UPS: Final = 40
_STEADY: Final = 5
"""Warm-ups of a second in a row without a new best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measurement of one server."""

    per_second: float
    cpu_per_thousand: float
    refused: int
    p99_ms: float


def ingest(bench: Bench) -> Section:
    """Alternate the bare handler and ingest, at each number of connections."""
    rounds = bench.pick(full=9, quick=3)
    bench.servers.fresh()
    bench.servers.pin(bench.cores.other)
    core = bench.cores.measured
    env = {**ingest_env(bench.servers.kafka), "PARLEY_INGEST_CONNECTIONS_PER_SOURCE": str(_MOST)}
    with (
        Process("benchmarks.noop", {}, core=core, folder=bench.folder) as noop,
        Process("services.ingest", env, core=core, folder=bench.folder) as service,
    ):
        ports = [int(noop.wait_for_event("noop.listening")["port"]), int(service.wait_for_event("ingest.listening")["port"])]
        service.wait_for_event("ingest.ready")
        _warm_up(bench, service, ports[1])
        rows: list[list[str]] = []
        data: dict[str, object] = {}
        for connections, goal in {**_GOALS, _MOST: None}.items():
            bare, ours = [], []
            for _ in range(rounds):
                bare.append(_measure(bench, noop, ports[0], connections, _ROUND_SECONDS))
                ours.append(_measure(bench, service, ports[1], connections, _ROUND_SECONDS))
            rows.append(_row(connections, goal, bare, ours))
            data[str(connections)] = _data(goal, bare, ours)
            bench.say(f"ingest at {connections} connections: {rows[-1][3]}")
    return Section(
        title="Ingest beside a bare aiohttp handler",
        columns=[
            "connections",
            "ingest, requests/s",
            "bare handler",
            "ratio",
            "goal",
            "CPU-s per 1,000",
            "CPU, ratio",
            "refused",
            "p99 of accepted, ms",
        ],
        rows=rows,
        notes=[
            f"median (lowest–highest) of {rounds} rounds of {_ROUND_SECONDS} s, after the broker's compiler has settled; "
            "ingest with acks=all and every signature checked",
            f"{_OVERLOAD} connections are four times what keeps it busy: the p99 of what is accepted has to be "
            f"≤ {_OVERLOAD_P99_MS:g} ms",
            f"{_MOST:,} come at once, and the wait of each for its first answer is among the figures",
            "each server in turn has one core to itself; load and Kafka are on the other",
        ],
        data=data,
    )


def ingest_env(kafka: str) -> dict[str, str]:
    """The variables of an ingest that takes the benchmarks' webhooks."""
    return {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "PARLEY_APP_SECRET": SECRET,
        "PARLEY_VERIFY_TOKEN": "benchmark-verify-token",
        "PARLEY_INGEST_PORT": "0",
        "PARLEY_INGEST_CONNECTIONS_PER_SOURCE": "512",
    }


def _warm_up(bench: Bench, process: Process, port: int) -> None:
    """A broker that has just started refuses and compiles: its first 100,000 requests take up to four times as long."""
    best, since = 0.0, 0
    for _ in range(_WARM_UPS):
        run = _measure(bench, process, port, 64, 1)
        since = 0 if run.refused or run.per_second > best else since + 1
        best = max(best, run.per_second)
        if since == _STEADY:
            return
    raise BenchmarkError("the broker does not settle")


def _measure(bench: Bench, process: Process, port: int, connections: int, seconds: int) -> Run:
    arguments = ["--port", str(port), "--connections", str(connections), "--seconds", str(seconds), "--secret", SECRET]
    before = cpu_seconds(process.pid)
    result = run_json("benchmarks.load", [*arguments, "--core", str(bench.cores.other)], seconds=seconds + 60)
    used = cpu_seconds(process.pid) - before
    if not result["accepted"]:
        raise BenchmarkError(f"{process.name} accepted nothing")
    return Run(
        per_second=result["accepted"] / result["seconds"],
        cpu_per_thousand=1000 * used / result["accepted"],
        refused=int(result["refused"]),
        p99_ms=float(result["p99_ms"]),
    )


def _row(connections: int, goal: float | None, bare: list[Run], ours: list[Run]) -> list[str]:
    rates, bare_rates = [run.per_second for run in ours], [run.per_second for run in bare]
    ratio, p99 = ratios(rates, bare_rates), Spread.of([run.p99_ms for run in ours])
    is_met = "" if connections != _OVERLOAD else f" {judged(p99.median, at_most=_OVERLOAD_P99_MS, digits=1)[-1]}"
    return [
        str(connections),
        Spread.of(rates).text(0),
        Spread.of(bare_rates).text(0),
        ratio.text(2),
        "" if goal is None else against(goal, ratio),
        Spread.of([run.cpu_per_thousand for run in ours]).text(3),
        ratios([run.cpu_per_thousand for run in bare], [run.cpu_per_thousand for run in ours]).text(2),
        str(sum(run.refused for run in ours)),
        p99.text(1) + is_met,
    ]


def _data(goal: float | None, bare: list[Run], ours: list[Run]) -> dict[str, object]:
    rates, bare_rates = [run.per_second for run in ours], [run.per_second for run in bare]
    return {
        "goal": goal,
        "ratio": ratios(rates, bare_rates).data(),
        "ingest_per_second": Spread.of(rates).data(),
        "bare_per_second": Spread.of(bare_rates).data(),
        "cpu_seconds_per_thousand": Spread.of([run.cpu_per_thousand for run in ours]).data(),
        "bare_cpu_seconds_per_thousand": Spread.of([run.cpu_per_thousand for run in bare]).data(),
        "refused": sum(run.refused for run in ours),
        "p99_ms": Spread.of([run.p99_ms for run in ours]).data(),
    }
