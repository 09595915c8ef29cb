"""Can one process send 1,000/s from one number, with TLS, Postgres and Kafka, and what does it cost?"""

from __future__ import annotations

import os
import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.clocks import Clocks
from benchmarks.figures import Section, judged
from benchmarks.limiter_simulation import busiest_window
from benchmarks.sending import message, phone_number_ids, stage

_LIMIT: Final = 1_000
_PEOPLE: Final = 100_000
_WARM_UP_SECONDS: Final = 15.0
"""Until Kafka is compiled and J has settled."""
_STRETCH_SECONDS: Final = 20.0
_BAR: Final = 0.80
"""Of a core."""


def thousand(bench: Bench) -> Section:
    """Commands at 1,000/s into one lane, for as long as the clocks are read."""
    seconds = bench.pick(full=60, quick=10)
    [number] = phone_number_ids(1)
    with stage(bench, limit=_LIMIT, people=_PEOPLE, tls=True) as made, made.sender() as sender:
        sender.wait_ready()
        pids = {"sender": sender.pid, **bench.servers.pids, "simulated Meta": made.meta_pid}
        total = int(_LIMIT * (_WARM_UP_SECONDS + seconds))
        messages = [message(number, n % _PEOPLE) for n in range(total)]
        clocks: list[Clocks] = []
        own: list[float] = []

        def go_on() -> bool:
            if not clocks and time.monotonic() - began >= _WARM_UP_SECONDS:
                clocks.append(Clocks.read(pids))
                own.append(time.process_time())
            return True

        began = time.monotonic()
        made.append(messages, rate=_LIMIT, while_=go_on)
        clocks.append(Clocks.read(pids))
        own.append(time.process_time())
        made.wait_arrived(total, 60.0 + total / 200)
        arrivals = made.arrivals()
    before, after = clocks
    arrived = sorted(arrival.read_monotonic for arrival in arrivals)
    measured = [at for at in arrived if before.at <= at < after.at]
    sent, wall = len(measured), after.at - before.at
    stretch = min(_STRETCH_SECONDS, wall)
    best = busiest_window(measured, stretch) / stretch
    used = {**after.since(before), "producer": own[1] - own[0]}
    rate, share = sent / wall, used["sender"] / wall
    worst = busiest_window(arrived)
    refused = sum(not arrival.is_accepted for arrival in arrivals)
    per_thousand = {name: 1000 * cpu / sent for name, cpu in used.items()}
    return Section(
        title="1,000/s from one number, one process, TLS",
        columns=["figure", "n", "bar", "result"],
        rows=[
            [
                "messages a second",
                f"{sent:,} in {wall:.0f} s",
                f"≥ {0.98 * _LIMIT:g}",
                judged(rate, at_least=0.98 * _LIMIT, digits=0),
            ],
            [f"messages a second, best {_STRETCH_SECONDS:g} s of it", f"{sent:,}", "", f"{best:.0f}"],
            ["worst sliding second", f"{len(arrivals):,}", f"≤ {_LIMIT:,}", judged(worst, at_most=_LIMIT, digits=0)],
            ["refused by Meta", f"{len(arrivals):,}", "0", judged(refused, at_most=0, digits=0)],
            ["the sender's CPU, of a core", f"{wall:.0f} s", f"≤ {_BAR:g}", judged(share, at_most=_BAR, digits=2)],
            ["cores in use, all together", f"{wall:.0f} s", "", f"{sum(used.values()) / wall:.2f} of {os.cpu_count()}"],
            *([f"CPU seconds per 1,000 sends, {name}", f"{sent:,}", "", f"{cpu:.2f}"] for name, cpu in per_thousand.items()),
        ],
        notes=[
            f"commands appended at {_LIMIT:,}/s to sends.transactional, to {_PEOPLE:,} people in turn; measured after "
            f"{_WARM_UP_SECONDS:g} s; sender, Kafka, Postgres, simulated Meta and producer share the machine's cores",
            "sender: user and system time of its process, with intake, gate, TLS and outcomes; status webhooks are not sent",
        ],
        data={
            "rate": rate,
            "best_rate": best,
            "worst_second": worst,
            "refused": refused,
            "share_of_core": share,
            "cpu_seconds_per_1000": per_thousand,
            "cores_in_use": sum(used.values()) / wall,
        },
    )
