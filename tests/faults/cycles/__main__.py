"""`python -m tests.faults.cycles`: how often can a service die at a point, and nothing is lost, doubled or invented?

Real processes over one Kafka and one Postgres for each of the points that are at work at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final

from services.cli import show
from services.common.platform.faults import Action
from services.common.platform.migrations import migrate
from services.sandbox.postgres_dsn import make_database, with_database
from services.sandbox.providers import KAFKA_VARIABLE, kafka_providers, postgres_providers, start_first
from tests.faults.cycles.points import PLANS
from tests.faults.cycles.running import MIXED, Report, run
from tests.faults.cycles.world import World
from tests.support.clean_broker import fresh_topics
from tests.support.nursery import shared

RESULTS: Final = Path(".parley/faults")
ALL: Final = "all"
ACTIONS: Final = {**{str(action): (action,) for action in Action}, "mixed": MIXED}
_LINE_SECONDS: Final = 30.0


class _Told:
    """How far all points together are: a bar on a terminal, else a line now and then."""

    def __init__(self, total: int) -> None:
        self._total, self._lock = total, threading.Lock()
        self._done: dict[str, int] = {}
        self._began = self._line_at = time.monotonic()
        self._meter = show.meter()
        self._at = self._meter.__enter__()

    def cycles(self, point: str, done: int) -> None:
        """From any thread."""
        with self._lock:
            self._done[point] = done
            all_done = sum(self._done.values())
            self._at("cycles", all_done, self._total)
            now = time.monotonic()
            if now - self._line_at >= _LINE_SECONDS and not sys.stderr.isatty():
                self._line_at = now
                rate = all_done / (now - self._began)
                left = (self._total - all_done) / rate if rate else 0.0
                show.aside(f"{all_done} of {self._total} cycles, {rate:.2f}/s, {left / 60:.0f} min left")

    def close(self) -> None:
        """The bar goes away."""
        self._meter.__exit__(None, None, None)


def chosen(point: str) -> list[str]:
    """What `--point` names; whether there is such a point is not asked."""
    return sorted(PLANS) if point == ALL else point.split(",")


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every figure is 0. 1: something was found, or a point never fired. 2: the command line makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cycles", description=__doc__)
    parser.add_argument("--point", default=ALL, help="a fault point, several with commas, or all")
    parser.add_argument("--cycles", type=int, default=20, help="at each point")
    parser.add_argument("--action", choices=ACTIONS, default="kill", help="mixed: of twenty lives one by each but kill")
    parser.add_argument("--seed", type=int, default=None, help="draws passes and traffic; by default one of its own")
    parser.add_argument("--batch", type=int, default=50, help="cycles between two judgements")
    parser.add_argument("--worlds", type=int, default=2, help="points at work at a time, each with its own Kafka and Postgres")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of results.md and results.jsonl, which are appended to"
    )
    given = parser.parse_args(arguments)
    wanted = chosen(given.point)
    if unknown := [point for point in wanted if point not in PLANS]:
        parser.error(f"no fault point: {', '.join(unknown)}; there are {', '.join(sorted(PLANS))}")
    seed = given.seed if given.seed is not None else int.from_bytes(os.urandom(4))
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
    worlds = 1 if ":" in os.environ.get(KAFKA_VARIABLE, "") else given.worlds  # a given broker has one set of topics
    began = time.monotonic()
    given.results.mkdir(parents=True, exist_ok=True)
    reports: list[Report] = []
    with (given.results / "results.jsonl").open("a") as file:
        lock = threading.Lock()

        def keep(report: Report) -> None:
            with lock:  # each as soon as it is there: a night may end early
                reports.append(report)
                file.write(json.dumps(as_data(report)) + "\n")
                file.flush()

        told = _Told(given.cycles * len(wanted))
        _all(
            wanted,
            cycles=given.cycles,
            actions=ACTIONS[given.action],
            seed=seed,
            batch=given.batch,
            worlds=worlds,
            told=told,
            keep=keep,
        )
        told.close()
    reports.sort(key=lambda report: report.point)
    text = as_markdown(reports, seconds=time.monotonic() - began)
    with (given.results / "results.md").open("a") as file:
        file.write(text + "\n")
    show.line(text)
    dirty = [report for report in reports if not report.is_clean]
    for report in dirty:
        show.line(f"{report.point} (--action {given.action} --seed {report.seed}):")
        for finding in report.findings:
            show.line(f"  {finding}")
    return 1 if dirty else 0


def _all(
    points: Sequence[str],
    *,
    cycles: int,
    actions: Sequence[Action],
    seed: int,
    batch: int,
    worlds: int,
    told: _Told,
    keep: Callable[[Report], None],
) -> None:
    left: queue.SimpleQueue[str] = queue.SimpleQueue()
    for point in points:
        left.put(point)

    async def one(world: World, point: str) -> Report:
        async with world:
            at = partial(told.cycles, point)
            return await run(world, point, cycles=cycles, actions=actions, seed=seed, batch=batch, told=at)

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="parley-cycles-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
            kafka = start_first("Kafka", kafka_providers(Path(folder) / "kafka"))
            stack.callback(kafka.stop)
            postgres = start_first("Postgres", postgres_providers(Path(folder) / "postgres"))
            stack.callback(postgres.stop)
            with suppress(queue.Empty):
                while True:
                    point = left.get_nowait()
                    fresh_topics(kafka.bootstrap_servers)
                    dsn = with_database(postgres.dsn, f"cycles_{uuid.uuid4().hex[:12]}")
                    make_database(dsn)
                    migrate(dsn)
                    world = World(bootstrap_servers=kafka.bootstrap_servers, dsn=dsn, directory=Path(folder))
                    keep(asyncio.run(one(world, point)))

    count = min(worlds, len(points))
    shared()
    with ThreadPoolExecutor(count, thread_name_prefix="world") as pool:
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()


def as_data(report: Report) -> dict[str, object]:
    """For machines."""
    figures = {name: {"found": figure.found, "n": figure.n} for name, figure in report.figures.items()}
    return {**dataclasses.asdict(report), "cycles": report.cycles, "figures": figures, "ok": report.is_clean}


def as_markdown(reports: Sequence[Report], *, seconds: float) -> str:
    """A table with a row a point: lives by how they ended, what was found of how many, and how soon all was quiet again."""
    names = list(dict.fromkeys(name for report in reports for name in report.figures))
    head = ["point", "lives", "s a life", *names, "recovery_s median (highest)"]
    rows = [head, ["---"] * len(head)]
    for report in reports:
        figures = [report.figures.get(name) for name in names]
        shown = ["–" if figure is None else f"{figure.found} of {figure.n:,}" for figure in figures]
        recovery = f"{statistics.median(report.recoveries):.1f} ({max(report.recoveries):.1f})" if report.recoveries else "–"
        pace = f"{report.seconds / report.cycles:.2f}" if report.cycles else "–"
        lives = ", ".join(f"{action} {count:,}" for action, count in report.lives.items())
        rows.append([f"`{report.point}`", lives, pace, *shown, recovery])
    cycles = sum(report.cycles for report in reports)
    seeds = ", ".join(sorted({str(report.seed) for report in reports}))
    closing = f"\n{cycles:,} cycles in {seconds:.0f} s, seed {seeds}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC.\n"
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n" + closing


if __name__ == "__main__":
    sys.exit(main())
