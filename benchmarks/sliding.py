"""Is the limit of a number ever exceeded in any sliding second, and how much of it is used? Virtual time, then real processes."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Section, judged
from benchmarks.limiter_simulation import Plan, busiest_window, simulate
from benchmarks.processes import Process
from benchmarks.sending import Stage, doubles, message, phone_number_ids, stage
from services.common.domain.limiter import Throughput

_LIMIT: Final = 80
_STEADY: Final = 0.98
_HANDED_OVER: Final = 0.97
_VIRTUAL_SECONDS: Final = 20.0
_SPREADS: Final = {0.005: _STEADY, 0.015: _STEADY, 0.060: 0.93}
"""What round trips vary by, and how much of the limit has to be used then."""
_MEASURED_SECONDS: Final = 30.0
"""Until J is measured, and not counted."""
_PEOPLE: Final = 2_000
_TAIL_SECONDS: Final = 60
"""Commands for so much longer than the run: the number is never without work."""
_FAULT_EVERY: Final = (8.0, 15.0)
_STOPPED_SECONDS: Final = (0.3, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What Meta saw of one run."""

    arrivals: int
    worst: int
    utilisation: float
    doubles: int
    faults: int


def virtual(bench: Bench) -> Section:
    """One seed is one run of a number in virtual time."""
    seeds, long_runs = bench.pick(full=10_000, quick=200), bench.pick(full=100, quick=4)
    with ProcessPoolExecutor() as pool:
        worst = list(pool.map(_busiest, range(seeds), chunksize=20))
        lowest = min(pool.map(_utilisation, range(long_runs)))
        varied = {spread: list(pool.map(partial(_varied, spread), range(long_runs))) for spread in _SPREADS}
    used = {spread: min(used for _, used in runs) for spread, runs in varied.items()}
    worst_varied = {spread: max(busiest for busiest, _ in runs) for spread, runs in varied.items()}
    above = sum(busiest > _LIMIT for busiest in worst)
    return Section(
        title="Sliding seconds above the limit, in virtual time",
        columns=["figure", "n", "bar", "result"],
        rows=[
            ["seeds with a second above the limit", f"{seeds:,}", "0", judged(above, at_most=0, digits=0)],
            ["messages in the worst second", f"{seeds:,}", f"≤ {_LIMIT}", judged(max(worst), at_most=_LIMIT, digits=0)],
            ["lowest utilisation, steady", f"{long_runs} × 60 s", f"≥ {_STEADY:g}", judged(lowest, at_least=_STEADY, digits=4)],
            *(
                [
                    f"messages in the worst second, round trips vary by {spread * 1000:g} ms",
                    f"{long_runs} × 90 s",
                    f"≤ {_LIMIT}",
                    judged(worst_varied[spread], at_most=_LIMIT, digits=0),
                ]
                for spread in _SPREADS
            ),
            *(
                [
                    f"lowest utilisation, round trips vary by {spread * 1000:g} ms",
                    f"{long_runs} × 60 s",
                    f"≥ {at_least:g}",
                    judged(used[spread], at_least=at_least, digits=4),
                ]
                for spread, at_least in _SPREADS.items()
            ),
        ],
        notes=[
            f"limit {_LIMIT}/s; each seed is {_VIRTUAL_SECONDS:g} s with a hand-over every 2 to 6 s and delays to Meta anywhere "
            "in 15 ms; in turn: owners crash, owners linger, either with pauses of up to "
            "0.4 s, either with idle times and late timers",
            "round trips vary on the way there, on the way back or on both, half of them at an end of what is possible; "
            f"J is measured by the answers, and the first {_MEASURED_SECONDS:g} s do not count as used",
        ],
        data={
            "seeds": seeds,
            "above": above,
            "worst": max(worst),
            "lowest_utilisation": lowest,
            **{f"spread_{spread:g}": {"worst": worst_varied[spread], "lowest_utilisation": used[spread]} for spread in _SPREADS},
        },
    )


def sliding(bench: Bench) -> Section:
    """Real senders by Meta's arrival log: under kill -9 and SIGSTOP, steady, and with a hand-over a minute."""
    minutes = bench.pick(full=5, quick=1)
    stretch = 60.0 if not bench.quick else 25.0
    broken = _run(bench, 2, bench.pick(full=300, quick=40), _break)
    steady = _run(bench, 1, bench.pick(full=120, quick=15), _leave_alone)
    handed = _run(bench, 1, minutes * stretch, partial(_join, stretch=stretch))
    worst_of = {"kill -9 and SIGSTOP": broken, "steady": steady, "hand-overs": handed}
    return Section(
        title="Sliding seconds above the limit, real processes",
        columns=["figure", "n", "bar", "result"],
        rows=[
            *(
                [f"worst second, {name}", f"{run.arrivals:,}", f"≤ {_LIMIT}", judged(run.worst, at_most=_LIMIT, digits=0)]
                for name, run in worst_of.items()
            ),
            ["accepted twice", f"{broken.arrivals:,}", "0", judged(broken.doubles, at_most=0, digits=0)],
            [
                "utilisation, steady",
                f"{steady.arrivals:,}",
                f"≥ {_STEADY:g}",
                judged(steady.utilisation, at_least=_STEADY, digits=4),
            ],
            [
                f"utilisation, a hand-over every {stretch:g} s",
                f"{minutes} × {stretch:g} s",
                f"≥ {_HANDED_OVER:g}",
                judged(handed.utilisation, at_least=_HANDED_OVER, digits=4),
            ],
        ],
        notes=[
            f"limit {_LIMIT}/s, the number never without work, arrivals stamped at the socket read, half-open seconds",
            f"faults: two senders; every {_FAULT_EVERY[0]:g} to {_FAULT_EVERY[1]:g} s one of them is killed and started again, "
            f"or stopped for {_STOPPED_SECONDS[0]:g} to {_STOPPED_SECONDS[1]:g} s; {broken.faults} of them",
            "hand-over: one more sender joins, every shard is given back and taken over under a new epoch; the pause counts",
        ],
        data={
            **{
                name: {"worst": run.worst, "utilisation": run.utilisation, "arrivals": run.arrivals}
                for name, run in worst_of.items()
            },
            "doubles": broken.doubles,
            "faults": broken.faults,
        },
    )


def _busiest(seed: int) -> int:
    every = random.Random(seed).uniform(2.0, 6.0)
    plan = partial(Plan, horizon_seconds=_VIRTUAL_SECONDS, hand_over_every_seconds=every)
    plans = [
        plan(leaves="crash"),
        plan(leaves="zombie"),
        plan(pauses_per_second=0.5),
        plan(idles_per_second=0.5, late_timer_seconds=0.005),
    ]
    return busiest_window(simulate(Throughput(limit=_LIMIT), plans[seed % len(plans)], seed).arrivals)


def _utilisation(seed: int) -> float:
    plan = Plan(horizon_seconds=60.0)
    return len(simulate(Throughput(limit=_LIMIT), plan, seed).arrivals) / (plan.horizon_seconds * _LIMIT)


def _varied(spread: float, seed: int) -> tuple[int, float]:
    """The busiest second, and what is used of the limit once J is measured, when round trips vary by so much."""
    plan = Plan(horizon_seconds=_MEASURED_SECONDS + 60.0, spread_seconds=spread)
    history = simulate(Throughput(limit=_LIMIT), plan, seed)
    sent = sum(_MEASURED_SECONDS <= at < plan.horizon_seconds for at in history.writes)
    return busiest_window(history.arrivals), sent / (60.0 * _LIMIT)


def _run(
    bench: Bench, senders: int, seconds: float, disturb: Callable[[Stage, ExitStack, dict[str, Process], float], int]
) -> _Run:
    [number] = phone_number_ids(1)
    with stage(bench, limit=_LIMIT, people=_PEOPLE) as made, ExitStack() as stack:
        count = int((seconds + _TAIL_SECONDS) * _LIMIT)
        commands = made.append([message(number, n % _PEOPLE) for n in range(count)])
        running = {str(n): stack.enter_context(made.sender(str(n))) for n in range(1, senders + 1)}
        for sender in running.values():
            sender.wait_ready()
        made.wait_arrived(2 * _LIMIT, 60.0)
        began = time.monotonic()
        faults = disturb(made, stack, running, seconds)
        ended = time.monotonic()
        arrivals = made.arrivals()
    stamps = sorted(arrival.read_monotonic for arrival in arrivals)
    within = sum(began <= stamp < ended for stamp in stamps)
    return _Run(
        arrivals=len(stamps),
        worst=busiest_window(stamps),
        utilisation=within / ((ended - began) * _LIMIT),
        doubles=doubles(arrivals, commands),
        faults=faults,
    )


def _leave_alone(_made: Stage, _stack: ExitStack, _running: dict[str, Process], seconds: float) -> int:
    time.sleep(seconds)
    return 0


def _break(made: Stage, stack: ExitStack, running: dict[str, Process], seconds: float) -> int:
    chance, faults, ends_at = random.Random(int(seconds)), 0, time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(left, chance.uniform(*_FAULT_EVERY)))
        instance = chance.choice(list(running))
        if chance.random() < 0.5:
            running[instance].kill()
            running[instance] = stack.enter_context(made.sender(instance))
        else:
            running[instance].signal(signal.SIGSTOP)
            time.sleep(chance.uniform(*_STOPPED_SECONDS))
            running[instance].signal(signal.SIGCONT)
        faults += 1
    return faults


def _join(made: Stage, stack: ExitStack, running: dict[str, Process], seconds: float, *, stretch: float) -> int:
    began, joined = time.monotonic(), 0
    while (joined + 1) * stretch <= seconds:
        time.sleep(max(0.0, began + (joined + 0.5) * stretch - time.monotonic()))
        instance = str(len(running) + 1)
        running[instance] = stack.enter_context(made.sender(instance))
        joined += 1
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return joined
