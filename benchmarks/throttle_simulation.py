"""How does the sender do against a Meta that holds less than it says? One saturated number in virtual time.

What is real: `limiter` and `throttle`, called as the sender calls them, and the sliding second by which the simulator refuses.
What is simulated, from one seed: round trips, delays within J, late timers, and the changes of what Meta holds.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from services.common.domain import limiter, throttle
from services.common.domain.limiter import Throughput
from services.common.domain.throttle import Throttle
from services.sandbox.simulator.policy import SlidingSecond


@dataclass(slots=True)
class Exchanges:
    """Arrivals at Meta, by what became of them, in order."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def rate(self, begin: float, end: float) -> float:
        """Accepted messages a second."""
        return sum(begin <= at < end for at in self.accepted) / (end - begin)

    def refused_share(self, begin: float, end: float) -> float:
        """Of all messages that arrived, how many were refused."""
        refused = sum(begin <= at < end for at in self.refused)
        return refused / max(1, refused + sum(begin <= at < end for at in self.accepted))


def simulate(limit: int, hidden: Sequence[tuple[float, int]], *, seconds: float, seed: int) -> Exchanges:
    """Send as fast as both limiters let us. `hidden`: (from when on, what Meta really holds in a second)."""
    rng = Random(seed)
    policy = Throughput(limit=limit)
    log, brake = limiter.inherit(policy, (), now=0.0), Throttle(limit=limit)
    meta, seen = SlidingSecond(), Exchanges()
    answers: list[tuple[float, float, bool]] = []
    one_way = rng.uniform(0.005, 0.1)
    late = rng.choice((0.0, 0.001, 0.002))
    now = 0.0
    while now < seconds:
        while answers and answers[0][0] <= now:
            at, sent_at, is_accepted = heapq.heappop(answers)
            if is_accepted:
                throttle.taken(brake, sent_at=sent_at, now=at)
            else:
                before = sum(sent_at - 1.0 < other < sent_at for other in log.unanswered)
                throttle.refused(brake, sent_at=sent_at, unanswered=before, now=at)
            limiter.answered(log, sent_at=sent_at, now=at)
        wait = max(limiter.wait_seconds(log, now=now), throttle.wait_seconds(brake, now=now))
        if wait > 0.0:
            until = now + wait + rng.expovariate(1.0) * late
            now = min(until, answers[0][0]) if answers else until
            continue
        limiter.take(log, now=now)
        limiter.written(log, now=now)
        throttle.written(brake, now=now)
        arrival = now + one_way + rng.random() * policy.jitter_seconds
        is_accepted = meta.admits(arrival, [held for since, held in hidden if since <= arrival][-1])
        (seen.accepted if is_accepted else seen.refused).append(arrival)
        heapq.heappush(answers, (arrival + one_way + rng.random() * 0.01, now, is_accepted))
        now += 1e-6
    return seen
