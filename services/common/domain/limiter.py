"""May this phone number put one more message on the wire now, and if not, when? The only place that answers.

The promise: no sliding second of *arrivals* at Meta holds more than `limit` messages of one number, across
restarts, hand-overs and limit changes. Meta does not publish how it measures a second, so the strictest
reading is kept.

Proof. A write is admitted at s only if fewer than L others are admitted and not yet charged or have a charge
younger than W + J. It goes out at s or later, and is charged when it has gone out. Of any L + 1 writes take the
one admitted last, at s: one of the others was charged, and so written, at least W + J before s. Network delays
differ by at most J, so those two arrivals are at least W apart, and no half-open second holds L + 1 of them.
Pacing and catch-up only choose *when* inside this bound; they cannot break it.

That J bounds the delays is assumed only until something contradicts it. The answer to a write tells when it has
arrived at the latest: a write whose answer was slower than the fastest seen by more than J / 2 keeps its slot for
what is above that, and a write without an answer keeps it until the exchange is over (`written`, `answered`). So
two arrivals are W + J / 2 apart, less what the fastest seen is slower than the fastest possible: a stalled network
or receiver costs pace, not the promise. J itself is measured (`delay_spread`); what was written under one J keeps
its slot for no less than that when J falls (`with_jitter`).

Expected utilisation at saturation is W / (W + J + mean timer lateness): 98.5 % for J = 15 ms, 98.3 % with
timers 2 ms late. An inherited hand-over costs the longer of the owner's absence and D (less the catch-up); a
quiet start costs the absence plus W + J + D.

A token is given back only by who knows that not a byte went out. Whatever may have gone out stays charged: a
refund on a wrong guess breaks the promise, while keeping it costs one slot.

Instants here are float seconds of one monotonic clock, always an argument. `AdmissionLog` is changed in place
and returned: a copy would move 1,000 floats for each message of a 1,000/s number, and every call here must be
O(1).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import repeat
from math import inf

START_TO_WRITE_SECONDS = 0.25
"""D: how old a STARTED attempt may be when its bytes go out; an older one is given up as not sent."""
_LOOK_AGAIN_SECONDS = 0.001
"""At the earliest, where nobody knows when a slot comes free."""
_SAMPLES = 500
"""Answers after which the fastest one is taken for what a round trip costs without any delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """The rate of one phone number: at most `limit` messages in any `window_seconds`."""

    limit: int
    window_seconds: float = 1.0
    jitter_seconds: float = 0.015
    catch_up: float = 0.025

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit must be at least 1 message a window, got {self.limit}")
        if self.window_seconds <= 0 or self.jitter_seconds < 0 or self.catch_up < 0:
            raise ValueError("window_seconds must be positive, jitter_seconds and catch_up must not be negative")

    @property
    def period_seconds(self) -> float:
        """W + J: how long a charge occupies its slot."""
        return self.window_seconds + self.jitter_seconds

    @property
    def spacing_seconds(self) -> float:
        """Tau: the distance between two slots at a steady full rate."""
        return self.period_seconds / self.limit

    @property
    def credit_seconds(self) -> float:
        """How far the pace may lag behind the clock and still be made up for."""
        return self.catch_up * self.period_seconds


@dataclass(slots=True, kw_only=True)
class AdmissionLog:
    """What one number has spent: its last `limit` charges, oldest first and never decreasing, and its pace.

    `charges` is always full; -inf stands for a slot never used.
    """

    policy: Throughput
    charges: deque[float]
    next_slot: float
    admitted: int = 0
    """Writes that were admitted and are not charged yet: they may go out at any instant."""
    unanswered: Counter[float] = field(default_factory=Counter)
    """Instants of writes whose exchange is not over."""
    held: list[tuple[float, float]] = field(default_factory=list)
    """Slow writes, a heap: from when on the charge no longer counts them, and until when they still occupy a slot."""
    overdue: list[float] = field(default_factory=list)
    """The second instants of those that the charges have forgotten, a heap."""
    fastest: float = 0.0
    """The round trip without delay; 0 until known, which takes every round trip for a delay."""
    samples: int = 0
    fastest_of_samples: float = inf


def inherit(
    policy: Throughput,
    ages_seconds: Iterable[float],
    *,
    now: float,
    start_to_write_seconds: float = START_TO_WRITE_SECONDS,
) -> AdmissionLog:
    """The state of a new owner that knows the age of every attempt STARTED in the last W + J + D.

    Each is charged D after its start, the latest instant its bytes can go out. Safe if the ages were read
    after the predecessor could start nothing more, `now` was taken after the answer came, and the predecessor
    measured D from no later than the start the age counts from. No ages: nothing was sent for that long.
    """
    starts = sorted(now - max(0.0, age) for age in ages_seconds)
    charges = _full(policy.limit, (start + start_to_write_seconds for start in starts))
    next_slot = starts[-1] + policy.spacing_seconds if starts else now
    return AdmissionLog(policy=policy, charges=charges, next_slot=next_slot)


def quiet(policy: Throughput, *, now: float, start_to_write_seconds: float = START_TO_WRITE_SECONDS) -> AdmissionLog:
    """The state of a new owner that knows nothing: the first send is W + J + D away.

    As if the whole limit had been spent at the last instant a predecessor can still write.
    """
    last_write = now + start_to_write_seconds
    return AdmissionLog(
        policy=policy,
        charges=_full(policy.limit, repeat(last_write, policy.limit)),
        next_slot=last_write + policy.period_seconds,
    )


def wait_seconds(log: AdmissionLog, *, now: float) -> float:
    """How long until `take` would admit, without spending: what says when to start the next attempt.

    Writes that are admitted and not charged count as if they went out now.
    """
    policy = log.policy
    taken = _slow(log, now=now) + log.admitted
    if taken >= policy.limit:
        return max(policy.jitter_seconds, _LOOK_AGAIN_SECONDS)
    free_at = log.charges[taken] + policy.period_seconds
    if log.overdue and free_at > now:
        free_at = min(free_at, max(log.overdue[0], log.charges[taken - 1] + policy.period_seconds))
    paced = log.next_slot
    if log.admitted:
        paced = max(paced, now - policy.credit_seconds) + log.admitted * policy.spacing_seconds
    return max(0.0, max(paced, free_at) - now)


def take(log: AdmissionLog, *, now: float) -> tuple[AdmissionLog, float]:
    """Admit one write at `now`: 0.0, and `written` or `not_written` follows; or change nothing and return the seconds to wait."""
    wait = wait_seconds(log, now=now)
    if wait == 0.0:
        log.admitted += 1
    return log, wait


def written(log: AdmissionLog, *, now: float) -> AdmissionLog:
    """The bytes of one admitted write are out: it occupies a slot for the period, and until `answered` says that it is over."""
    log.admitted -= 1
    _charge(log, now=now, count=1)
    log.unanswered[now] += 1
    return log


def not_written(log: AdmissionLog) -> AdmissionLog:
    """No byte of one admitted write left us, and none will."""
    log.admitted -= 1
    return log


def answered(log: AdmissionLog, *, sent_at: float, now: float) -> AdmissionLog:
    """The exchange of the write at `sent_at` is over, well or badly: by now it has arrived, if it ever will."""
    log.unanswered[sent_at] -= 1
    if not log.unanswered[sent_at]:
        del log.unanswered[sent_at]
    round_trip = now - sent_at
    slower = round_trip - log.fastest - log.policy.jitter_seconds / 2
    if slower > 0.0:
        counted_until = sent_at + log.policy.period_seconds
        heappush(log.held, (counted_until, counted_until + slower))
    _sample(log, round_trip)
    return log


def debit(log: AdmissionLog, *, now: float, count: int) -> AdmissionLog:
    """Charge `count` messages that nobody asked for: Meta counts inbound and outbound against one limit.

    What has arrived cannot be held back, so the promise is about what follows: no send is admitted while the
    last W + J hold `limit` sends and debits. A debit of the whole limit freezes the number for W + J.
    """
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    if count:
        _charge(log, now=now, count=min(count, log.policy.limit))
    return log


def with_limit(log: AdmissionLog, limit: int, *, now: float) -> AdmissionLog:
    """The same history under another limit; a second that touches the change keeps to the lower of the two.

    Lower: the newest charges stay and bind at once. Higher: the added slots count as spent now, and so come
    free one W + J later.
    """
    policy = replace(log.policy, limit=limit)
    spent_now = repeat(max(now, log.charges[-1]), max(0, limit - log.policy.limit))
    charges = deque((*log.charges, *spent_now), maxlen=limit)
    return replace(log, policy=policy, charges=charges)


def with_jitter(log: AdmissionLog, jitter_seconds: float) -> AdmissionLog:
    """The same history under a newly measured variation of the network delay.

    Higher: it binds at once, for what was written before too. Lower: what was written before keeps its slot for the longer time,
    because its answer was judged by the old J; only what follows is charged by the new one.
    """
    change = jitter_seconds - log.policy.jitter_seconds
    longer, shorter = max(0.0, change), max(0.0, -change)
    return replace(
        log,
        policy=replace(log.policy, jitter_seconds=jitter_seconds),
        charges=deque((at + shorter for at in log.charges), maxlen=log.policy.limit),
        # Wider than need be at the other end, so that rounding leaves no gap between the charge and the hold.
        held=[(since - shorter, until + longer) for since, until in log.held],
        overdue=[until + longer for until in log.overdue],
    )


def _charge(log: AdmissionLog, *, now: float, count: int) -> None:
    policy = log.policy
    # Not before the newest charge: an inherited one may lie up to D ahead, and the proof needs them in order.
    log.charges.extend(repeat(max(now, log.charges[-1]), count))
    paced = max(log.next_slot, now - policy.credit_seconds) + count * policy.spacing_seconds
    # Debits beyond the limit must not push the pace further than the log itself would hold it.
    log.next_slot = min(paced, now + policy.period_seconds)


def _slow(log: AdmissionLog, *, now: float) -> int:
    """Writes that the charges have forgotten and that still occupy a slot. `now` never decreases from call to call."""
    while log.held and log.held[0][0] <= now:
        heappush(log.overdue, heappop(log.held)[1])
    while log.overdue and log.overdue[0] <= now:
        heappop(log.overdue)
    slow, period = len(log.overdue), log.policy.period_seconds
    for sent_at, count in log.unanswered.items():
        if sent_at + period > now:
            break  # oldest first, as they were written: most often already the first is too young
        slow += count
    return slow


def _sample(log: AdmissionLog, round_trip: float) -> None:
    log.samples += 1
    log.fastest_of_samples = min(log.fastest_of_samples, round_trip)
    if log.samples == _SAMPLES:
        log.fastest, log.fastest_of_samples, log.samples = log.fastest_of_samples, inf, 0
    elif log.fastest:
        log.fastest = min(log.fastest, round_trip)


def _full(limit: int, charges: Iterable[float]) -> deque[float]:
    full = deque(repeat(-inf, limit), maxlen=limit)
    full.extend(charges)
    return full
