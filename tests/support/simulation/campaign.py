"""What do many runs find? Seeds over all processors, what was reached, and the first failures made small."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.simulation.plan import Plan, plan_of, shorter
from tests.support.simulation.run import Verdict, run
from tests.support.simulation.workers import Wiring

KEPT_FAILURES: Final = 20
_CHUNK: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A seed and what its run broke."""

    seed: int
    violations: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Report:
    """What a campaign has seen so far."""

    first_seed: int
    runs: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    """The first ones."""
    seen: Counter[str] = field(default_factory=Counter)
    runs_with: Counter[str] = field(default_factory=Counter)
    """The same, in how many runs."""
    virtual_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, verdict: Verdict) -> None:
        """One more run."""
        self.runs += 1
        self.virtual_seconds += verdict.virtual_seconds
        self.seen.update(verdict.seen)
        self.runs_with.update(verdict.seen.keys())
        if verdict.violations:
            self.failed += 1
            if len(self.failures) < KEPT_FAILURES:
                self.failures.append(Failure(seed=verdict.plan.seed, violations=verdict.violations))

    def as_json(self) -> Mapping[str, Any]:
        """For machines."""
        return {
            "first_seed": self.first_seed,
            "runs": self.runs,
            "failed": self.failed,
            "failures": [{"seed": one.seed, "violations": one.violations} for one in self.failures],
            "seen": dict(sorted(self.seen.items())),
            "runs_with": dict(sorted(self.runs_with.items())),
            "virtual_seconds": round(self.virtual_seconds),
            "seconds": round(self.seconds, 1),
        }


def campaign(
    first_seed: int,
    runs: int,
    *,
    processes: int,
    heard: Callable[[Report], None] = lambda _: None,
    wiring: type[Wiring] = Wiring,
) -> Report:
    """Run so many seeds; `heard` is told after each few of them. After Ctrl-C the report is of those that were run."""
    report = Report(first_seed=first_seed)
    begun = time.perf_counter()
    chunks = [
        (range(start, min(start + _CHUNK, first_seed + runs)), wiring) for start in range(first_seed, first_seed + runs, _CHUNK)
    ]
    with suppress(KeyboardInterrupt):
        for verdicts in _done(chunks, processes):
            for verdict in verdicts:
                report.add(verdict)
            report.seconds = time.perf_counter() - begun
            heard(report)
    report.failures.sort(key=lambda one: one.seed)
    return report


def _done(chunks: Sequence[tuple[range, type[Wiring]]], processes: int) -> Iterator[list[Verdict]]:
    if processes == 1 or len(chunks) == 1:
        yield from map(_some, chunks)
        return
    with multiprocessing.get_context("fork").Pool(processes, initializer=_begin) as pool:
        yield from pool.imap_unordered(_some, chunks)


def _begin() -> None:
    """A run makes and drops thousands of objects in circles: they are looked for after some runs, and not all the time."""
    gc.freeze()
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that reports


def _some(chunk: tuple[range, type[Wiring]]) -> list[Verdict]:
    seeds, wiring = chunk
    verdicts = [run(plan_of(seed), wiring) for seed in seeds]
    gc.collect()
    return verdicts


def shrunk(verdict: Verdict, wiring: type[Wiring] = Wiring, *, most_tries: int = 500) -> Verdict:
    """A run with less in it that breaks a promise of the same sort; as small as so many tries get it."""
    sort = kind_of(verdict.violations[0])
    tries = 0
    found: Verdict | None = verdict
    while found is not None and tries < most_tries:
        verdict, found = found, None
        for plan in shorter(verdict.plan):
            tries += 1
            found = _failing(plan, wiring, sort)
            if found is not None or tries >= most_tries:
                break
    return verdict if found is None else found


def _failing(plan: Plan, wiring: type[Wiring], sort: str) -> Verdict | None:
    tried = run(plan, wiring)
    return tried if any(kind_of(one) == sort for one in tried.violations) else None


def kind_of(violation: str) -> str:
    """Its first words, up to the colon."""
    return violation.partition(":")[0]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))
