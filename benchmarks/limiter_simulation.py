"""Does the limiter keep its promise when owners crash, hand over and linger? One number in virtual time.

What is real: `limiter`, called as the sender calls it (start an attempt at most `ahead_seconds` before its
slot, take when the connection is there, give up on an attempt older than D, charge when the bytes are out, others
being admitted meanwhile). What is simulated, all from one seed: late timers, writes that take time, long pauses,
demand, crashes, deposed owners that go on writing what they had started, slow reads of the hand-over state, and
network delays that vary by the whole of J, which also reorders arrivals. With `spread_seconds` round trips vary by
that instead, every write is answered, and the owner measures J by the answers as the sender does (`delay_spread`):
on the way there, on the way back, or on both, as the seed has it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Literal

from services.common.domain import delay_spread, limiter
from services.common.domain.delay_spread import DelaySpread
from services.common.domain.limiter import AdmissionLog, Throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What goes wrong in one run."""

    horizon_seconds: float
    hand_over_every_seconds: float | None = None
    way: Literal["inherit", "quiet", "forget"] = "inherit"
    """`forget` starts each owner from nothing: the mistake the other two exist for."""
    leaves: Literal["crash", "zombie", "either"] = "either"
    absence_seconds: float = 0.5
    """The longest time between a crash and the next owner's epoch bump."""
    late_timer_seconds: float = 0.002
    write_seconds: float = 0.0005
    """From the admission to the last byte, on average."""
    pauses_per_second: float = 0.0
    idles_per_second: float = 0.0
    ahead_seconds: float = 0.020
    spread_seconds: float | None = None
    """By how much round trips vary, whatever J is; None: there are no answers and the way there varies by J."""


@dataclass(slots=True)
class History:
    """What every owner left behind: STARTED rows by Postgres, writes and arrivals as Meta sees them."""

    started: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    zombie_writes: int = 0
    jitters: list[float] = field(default_factory=list)
    """J after each measurement."""


def simulate(policy: Throughput, plan: Plan, seed: int) -> History:
    """One run from a seed; the arrivals of the history are sorted."""
    rng = Random(seed)
    history = History()
    log = limiter.inherit(policy, (), now=0.0)
    begin = 0.0
    while begin < plan.horizon_seconds:
        bump, dies_at = _end_of_reign(plan, begin, rng)
        _Owner(policy, plan, history, rng, log, begin, bump, dies_at).run()
        begin = bump + rng.uniform(0.0, 0.05)
        log = _succeed(policy, plan, history, bump=bump, now=begin)
    history.arrivals.sort()
    return history


def busiest_window(arrivals: list[float], window_seconds: float = 1.0) -> int:
    """The most arrivals any half-open window holds; `arrivals` sorted."""
    most = first = 0
    for last, arrival in enumerate(arrivals):
        # A nanosecond is what double precision loses in sums of this size, not a tolerance of the promise.
        while arrival - arrivals[first] >= window_seconds - 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


def _end_of_reign(plan: Plan, begin: float, rng: Random) -> tuple[float, float]:
    """When the next owner's bump commits, and when this one dies: before it, or as a zombie long after it."""
    if plan.hand_over_every_seconds is None:
        return plan.horizon_seconds, plan.horizon_seconds
    bump = begin + plan.hand_over_every_seconds * rng.uniform(0.5, 1.5)
    if bump >= plan.horizon_seconds:
        return plan.horizon_seconds, plan.horizon_seconds
    crashes = plan.leaves == "crash" or (plan.leaves == "either" and rng.random() < 0.5)
    return bump, bump - rng.uniform(0.0, plan.absence_seconds) if crashes else bump + 10.0


def _succeed(policy: Throughput, plan: Plan, history: History, *, bump: float, now: float) -> AdmissionLog:
    if plan.way == "forget":
        return limiter.inherit(policy, (), now=now)
    if plan.way == "quiet":
        return limiter.quiet(policy, now=now)
    horizon = policy.period_seconds + limiter.START_TO_WRITE_SECONDS
    ages = [now - started for started in history.started if bump - started <= horizon]
    return limiter.inherit(policy, ages, now=now)


@dataclass(slots=True)
class _Owner:
    policy: Throughput
    plan: Plan
    history: History
    rng: Random
    log: AdmissionLog
    clock: float
    bump: float
    dies_at: float
    attempts: deque[float] = field(default_factory=deque)
    admitted: list[tuple[float, float]] = field(default_factory=list)
    """(when the bytes go out, when the attempt was started), a heap."""
    answers: list[tuple[float, float]] = field(default_factory=list)
    """(when the answer comes, when the write was), a heap."""
    delays: DelaySpread = field(init=False)
    there: float = field(init=False)
    """How much of the spread is of the way there."""

    def __post_init__(self) -> None:
        self.delays = delay_spread.start(self.policy.jitter_seconds)
        self.there = self.rng.choice((0.0, 0.5, 1.0))

    def run(self) -> None:
        while self.clock < self.dies_at and (self.clock < self.bump or self.attempts or self.admitted):
            self._read_answers()
            self._charge_what_went_out()
            wait = limiter.wait_seconds(self.log, now=self.clock)
            if self.clock < self.bump:
                self._start_attempts(wait)
            if not self.attempts:
                self._sleep(max(wait - self.plan.ahead_seconds, 0.001))
            elif wait > 0.0:
                self._sleep(wait)
            else:
                self._admit_or_give_up()
        for at, started in self.admitted:
            if at < self.dies_at and at - started <= limiter.START_TO_WRITE_SECONDS:
                self._write(at)

    def _start_attempts(self, wait: float) -> None:
        ahead = self.plan.ahead_seconds - wait
        wanted = 0 if ahead < 0 else 1 + int(ahead / self.policy.spacing_seconds)
        for _ in range(wanted - len(self.attempts)):
            self.attempts.append(self.clock)
            self.history.started.append(self.clock)

    def _admit_or_give_up(self) -> None:
        started = self.attempts.popleft()
        if self.clock - started > limiter.START_TO_WRITE_SECONDS:
            return
        self.log, wait = limiter.take(self.log, now=self.clock)
        if wait > 0.0:
            raise RuntimeError("what was said to be free is not")
        heappush(self.admitted, (self.clock + self.rng.expovariate(1.0) * self.plan.write_seconds, started))
        if self._happens(self.plan.idles_per_second):
            self.clock += self.rng.uniform(0.0, 1.5)

    def _charge_what_went_out(self) -> None:
        """After a pause that is later than it went out."""
        while self.admitted and self.admitted[0][0] <= self.clock:
            at, started = heappop(self.admitted)
            if at - started > limiter.START_TO_WRITE_SECONDS:
                self.log = limiter.not_written(self.log)
                continue
            arrival = self._write(at)
            self.log = limiter.written(self.log, now=self.clock)
            if self.plan.spread_seconds is None:
                self.log = limiter.answered(self.log, sent_at=self.clock, now=self.clock)
            else:
                back = 0.04 + self.plan.spread_seconds * (1.0 - self.there) * self._share()
                heappush(self.answers, (max(self.clock, arrival + back), self.clock))

    def _write(self, at: float) -> float:
        """The bytes go out; when they arrive."""
        self.history.writes.append(at)
        self.history.zombie_writes += at > self.bump
        spread = self.policy.jitter_seconds if self.plan.spread_seconds is None else self.plan.spread_seconds * self.there
        arrival = at + 0.04 + spread * self._share()
        self.history.arrivals.append(arrival)
        return arrival

    def _read_answers(self) -> None:
        while self.answers and self.answers[0][0] <= self.clock:
            at, sent_at = heappop(self.answers)
            self.log = limiter.answered(self.log, sent_at=sent_at, now=at)
            if delay_spread.sample(self.delays, at - sent_at):
                self.log = delay_spread.apply(self.delays, self.log)
                self.history.jitters.append(self.log.policy.jitter_seconds)

    def _share(self) -> float:
        """Anywhere in what varies, and half the time at an end of it: the ends are what breaks a wrong bound."""
        return min(1.0, max(0.0, self.rng.random() * 2.0 - 0.5))

    def _sleep(self, seconds: float) -> None:
        wakes_at = self.clock + seconds + self.rng.expovariate(1.0) * self.plan.late_timer_seconds
        # What is under way goes out without waiting for a timer.
        self.clock = min(wakes_at, self.admitted[0][0]) if self.admitted else wakes_at
        if self._happens(self.plan.pauses_per_second):
            self.clock += self.rng.uniform(0.0, 0.4)

    def _happens(self, times_per_second: float) -> bool:
        """Asked about once a slot."""
        return self.rng.random() < times_per_second * self.policy.spacing_seconds
