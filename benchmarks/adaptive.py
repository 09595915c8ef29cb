"""How soon does a number find the rate that Meta really gives it, and are the pauses between messages to one person kept?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Section, judged
from benchmarks.processes import wait_until
from benchmarks.sending import Command, message, owners, phone_number_ids, stage
from services.sandbox.simulator.records import Arrival

_LIMIT: Final = 80
_HIDDEN: Final = 40
_FOUND_SHARE: Final = 0.95
_FOUND_SECONDS: Final = 5.0
_REFUSED_SHARE: Final = 0.01
_LOOK_SECONDS: Final = 2.0
_PEOPLE: Final = 5_000
_PAIR_SECONDS: Final = 6.0


def adaptive(bench: Bench) -> Section:
    """80, then 40 without a word, then 80 again."""
    seconds = float(bench.pick(full=60, quick=15))
    [number] = phone_number_ids(1)
    with stage(bench, limit=_LIMIT, people=_PEOPLE) as made, made.sender() as sender:
        sender.wait_ready()
        made.append([message(number, n % _PEOPLE) for n in range(int(_LIMIT * seconds * 4))])
        made.wait_arrived(_LIMIT, 60.0)
        changes = []
        for hidden in (_LIMIT, _HIDDEN, _LIMIT):
            made.ask(lambda client, hidden=hidden: client.change_number(number, hidden_throughput=hidden))  # type: ignore[misc]
            changes.append((time.monotonic(), hidden))
            time.sleep(seconds)
        arrivals = made.arrivals()
    (_, _), (fell, _), (rose, _) = changes
    accepted = sorted(arrival.read_monotonic for arrival in arrivals if arrival.is_accepted)
    counted = [arrival for arrival in arrivals if arrival.read_monotonic >= changes[0][0]]
    refused = sum(arrival.code is not None for arrival in counted) / len(counted)
    down, up = found_after(accepted, fell, rose, _HIDDEN), found_after(accepted, rose, rose + seconds, _LIMIT)
    return Section(
        title="A hidden rate: 80, 40, 80",
        columns=["figure", "n", "bar", "result"],
        rows=[
            [
                f"seconds until {_FOUND_SHARE:.0%} of 40/s",
                f"{seconds:g} s",
                f"≤ {_FOUND_SECONDS:g}",
                judged(down, at_most=_FOUND_SECONDS, digits=1),
            ],
            [
                f"seconds until {_FOUND_SHARE:.0%} of 80/s",
                f"{seconds:g} s",
                f"≤ {_FOUND_SECONDS:g}",
                judged(up, at_most=_FOUND_SECONDS, digits=1),
            ],
            [
                "refused by Meta, %",
                f"{len(counted):,}",
                f"≤ {_REFUSED_SHARE:.0%}",
                judged(100 * refused, at_most=100 * _REFUSED_SHARE, digits=2),
            ],
        ],
        notes=[
            f"until the first {_LOOK_SECONDS:g} s in which that share of the hidden rate is accepted; ∞: not within the stretch"
        ],
        data={"seconds_down": down, "seconds_up": up, "refused_share": refused},
    )


def found_after(accepted: Sequence[float], since: float, until: float, hidden: int) -> float:
    """Seconds from `since` to the first `_LOOK_SECONDS` before `until` with enough acceptances; infinity without."""
    wanted = int(_FOUND_SHARE * hidden * _LOOK_SECONDS)
    relevant = [at for at in accepted if since <= at < until]
    for first, last in zip(relevant, relevant[wanted - 1 :], strict=False):
        if last - first < _LOOK_SECONDS:
            return first - since
    return float("inf")


def pairs(bench: Bench) -> Section:
    """Every person gets several messages; each waits for the one before."""
    people, each = bench.pick(full=200, quick=20), bench.pick(full=10, quick=3)
    [number] = phone_number_ids(1)
    meta = stage(bench, limit=_LIMIT, people=people, pair_interval_seconds=_PAIR_SECONDS, pair_burst=1)
    with meta as made, made.sender() as sender:
        sender.wait_ready()
        commands = made.append([message(number, n % people) for n in range(people * each)])
        longest = each * _PAIR_SECONDS * 2 + 60.0
        wait_until(lambda: made.states().get("accepted", 0) == people * each, longest, "every acceptance")
        arrivals = made.arrivals()
    gaps, disorder = gaps_and_disorder(arrivals, commands)
    refused = sum(not arrival.is_accepted for arrival in arrivals)
    return Section(
        title=f"{people} people × {each} messages",
        columns=["figure", "n", "bar", "result"],
        rows=[
            [
                "smallest gap to one person, s",
                f"{len(gaps):,}",
                f"≥ {_PAIR_SECONDS:g}",
                judged(min(gaps), at_least=_PAIR_SECONDS, digits=3),
            ],
            ["out of order", f"{len(commands):,}", "0", judged(disorder, at_most=0, digits=0)],
            ["refused by Meta (131056)", f"{len(arrivals):,}", "0", judged(refused, at_most=0, digits=0)],
        ],
        notes=[f"all commands at once, to one person after the other; Meta takes one for each {_PAIR_SECONDS:g} s and pair"],
        data={"smallest_gap": min(gaps), "out_of_order": disorder, "refused": refused},
    )


def gaps_and_disorder(arrivals: Sequence[Arrival], commands: Sequence[Command]) -> tuple[list[float], int]:
    """Seconds between accepted messages of each pair, and how many came after a later command of the same pair."""
    owner = owners(commands)
    by_pair: dict[str, list[tuple[float, int]]] = {}
    for arrival in arrivals:
        if arrival.is_accepted and arrival.opaque in owner:
            by_pair.setdefault(str(arrival.recipient), []).append((arrival.read_monotonic, owner[arrival.opaque]))
    steps = [step for found in by_pair.values() for step in pairwise(sorted(found))]
    return [later[0] - earlier[0] for earlier, later in steps], sum(later[1] < earlier[1] for earlier, later in steps)
