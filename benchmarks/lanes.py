"""How long does a one-time code wait behind 100,000 queued bulk messages, and does one number in trouble slow the others?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Section, judged, percentile
from benchmarks.processes import BenchmarkError, wait_until
from benchmarks.sending import Command, Stage, code, message, owners, phone_number_ids, stage
from services.common.domain.records import SendMessage
from services.sandbox.simulator.records import Arrival
from services.sandbox.simulator.rules import Hang

_LIMIT: Final = 80
_PEOPLE: Final = 100_000
_CODES_PER_SECOND: Final = 5.0
_QUEUEING_MS: Final = 45.0
_NUMBERS: Final = 100
_PER_NUMBER: Final = 1.0
_ISOLATED: Final = 1.20
_WARM_UP_SECONDS: Final = 15.0
_ARRIVAL_SECONDS: Final = 120.0
_HUNG_SECONDS: Final = 9.0
"""Shorter than the sender waits for an answer."""


def otp(bench: Bench) -> Section:
    """The same codes without and with the backlog; what is more with it is the time in the queue."""
    [number] = phone_number_ids(1)
    backlog, codes = bench.pick(full=100_000, quick=5_000), bench.pick(full=600, quick=60)
    with stage(bench, limit=_LIMIT, people=_PEOPLE) as made, made.sender() as sender:
        sender.wait_ready()
        # To people whom the backlog reaches last, or a code would wait for the pair limit.
        alone = _waits(made, [code(number, _PEOPLE - 1 - n) for n in range(codes)], rate=_CODES_PER_SECOND)
        made.append([message(number, n % _PEOPLE, lane="bulk") for n in range(backlog)])
        wait_until(lambda: sum(made.states().values()) >= codes + backlog, 600.0, "the backlog in Postgres", every_seconds=1.0)
        behind = _waits(made, [code(number, _PEOPLE - 1 - codes - n) for n in range(codes)], rate=_CODES_PER_SECOND)
        waiting = made.states().get("waiting", 0)
    usual = percentile(alone, 50)
    queueing = [max(0.0, wait - usual) for wait in behind]
    p99 = percentile(queueing, 99)
    return Section(
        title=f"One-time codes behind {backlog:,} queued bulk messages",
        columns=["figure", "n", "bar", "result"],
        rows=[
            ["append → Meta without backlog, p50 / p99, ms", f"{codes}", "", f"{usual:.1f} / {percentile(alone, 99):.1f}"],
            [
                "append → Meta behind it, p50 / p99, ms",
                f"{codes}",
                "",
                f"{percentile(behind, 50):.1f} / {percentile(behind, 99):.1f}",
            ],
            ["queueing p99, ms", f"{codes}", f"≤ {_QUEUEING_MS:g}", judged(p99, at_most=_QUEUEING_MS, digits=1)],
            ["bulk still waiting at the end", f"{backlog:,}", "> 0", judged(waiting, at_least=1, digits=0)],
        ],
        notes=[
            f"one number at {_LIMIT}/s, {_CODES_PER_SECOND:g} codes a second; queueing: a code's time from the append "
            "until Meta has read it, less the median of the same without backlog",
        ],
        data={"alone_ms": alone, "behind_ms": behind, "queueing_p99_ms": p99},
    )


def isolation(bench: Bench) -> Section:
    """One number of a hundred is well, throttled, well, hanging, well; the others' p99 in each stretch."""
    seconds = bench.pick(full=30, quick=6)
    numbers = phone_number_ids(_NUMBERS)
    troubled, others = numbers[0], numbers[1:]
    rate = _NUMBERS * _PER_NUMBER
    well: list[float] = []
    bad: dict[str, list[float]] = {}
    with stage(bench, numbers=_NUMBERS, limit=_LIMIT, people=200) as made, made.sender() as sender:
        sender.wait_ready()
        _waits(made, [message(others[n % len(others)], n % 200) for n in range(int(_WARM_UP_SECONDS * rate))], rate=rate)
        for name in ("", "throttled", "", "hanging", ""):
            if name == "throttled":
                made.ask(lambda client: client.change_number(troubled, hidden_throughput=1))
            elif name == "hanging":
                made.ask(lambda client: client.rules(Hang(seconds=_HUNG_SECONDS), always=True, phone_number_id=troubled))
            count = int(seconds * rate)
            # The troubled one has a burst besides its share: it is busy all the time.
            made.append([message(troubled, n % 200) for n in range(200 if name else 0)])
            waits = _waits(made, [message(others[n % len(others)], n % 200) for n in range(count)], rate=rate)
            (bad.setdefault(name, []) if name else well).extend(waits)
            made.ask(lambda client: client.clear_rules())
            made.ask(lambda client: client.change_number(troubled, hidden_throughput=None))
    usual = percentile(well, 99)
    ratios = {name: percentile(waits, 99) / usual for name, waits in bad.items()}
    return Section(
        title=f"One of {_NUMBERS} numbers in trouble",
        columns=["figure", "n", "bar", "result"],
        rows=[
            ["the others' p99, all well, ms", f"{len(well):,}", "", f"{usual:.1f}"],
            *(
                [
                    f"the others' p99, one {name}, ms (ratio)",
                    f"{len(bad[name]):,}",
                    f"≤ {_ISOLATED:g} ×",
                    f"{percentile(bad[name], 99):.1f} ({judged(ratio, at_most=_ISOLATED, digits=2)})",
                ]
                for name, ratio in ratios.items()
            ),
        ],
        notes=[
            f"from the append until Meta has read it; {rate:g} commands a second over {len(others)} numbers, {seconds} s "
            "for each of five stretches of one run: well, throttled to 1/s, well, hanging, well; in trouble it has 200 commands",
            f"a stretch of {_WARM_UP_SECONDS:g} s before that does not count",
        ],
        data={"well_p99_ms": usual, "ratios": ratios},
    )


def _waits(made: Stage, messages: Sequence[SendMessage], *, rate: float) -> list[float]:
    """Milliseconds from the append of each to its first arrival at Meta."""
    before = made.ask(lambda client: client.summary()).requests
    commands = made.append(messages, rate=rate)
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while True:
        waits = _first(made.ask(lambda client: client.requests(before)), commands)
        if len(waits) == len(commands):
            return list(waits.values())
        if time.monotonic() > deadline:
            raise BenchmarkError(f"of {len(commands)} commands {len(waits)} reached Meta within {_ARRIVAL_SECONDS:g} s")
        time.sleep(0.5)


def _first(arrivals: Sequence[Arrival], commands: Sequence[Command]) -> dict[int, float]:
    owner = owners(commands)
    waits: dict[int, float] = {}
    for arrival in arrivals:
        place = owner.get(arrival.opaque or "")
        if place is not None:
            waits.setdefault(place, arrival.read_at - 1000 * commands[place].appended_at)
    return waits
