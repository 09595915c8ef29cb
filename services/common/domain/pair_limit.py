"""May this number write to this person now, and if not, when? Meta counts each pair of them on its own.

Meta allows one message each 6 s to one person, and a burst of up to 45 that is borrowed from what follows; above it comes error
131056, and the wait for another try grows fourfold each time (Meta: "Messaging limits", "pair rate limits"). This is the generic
cell rate algorithm for each pair, kept so that Meta has nothing to refuse.

Proof. A pair's debt is charged at the write. Delays of the network differ by at most J, so against the delay of the fastest Meta
charges an arrival at most J later than we do, and the debt it counts is never more than J above ours; J is what `wait_seconds`
adds. A write whose answer was slower than the fastest known round trip may have arrived later by the difference, and one without
an answer as late as now: the debt grows by that. What was started and not yet written counts as if it were written now, and its
write is later than that.

Instants are float seconds of one monotonic clock. `Pairs` is changed in place. Each call is O(1), and pairs without debt are
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from services.common.domain.limiter import START_TO_WRITE_SECONDS

MOST_BURST = 45
"""What Meta lets a pair borrow."""
_LONGEST_BACK_OFF_SECONDS = 3600.0
_FORGET_AT = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPolicy:
    """One message each `interval_seconds`, `burst` of them at once."""

    interval_seconds: float = 6.0
    burst: int = 1
    jitter_seconds: float = 0.015

    def __post_init__(self) -> None:
        if self.interval_seconds <= 0 or not 1 <= self.burst <= MOST_BURST or self.jitter_seconds < 0:
            raise ValueError(f"interval_seconds must be positive, burst 1 to {MOST_BURST}, jitter_seconds not negative")

    @property
    def remembered_seconds(self) -> float:
        """What has arrived longer ago than this holds nobody back."""
        return self.burst * self.interval_seconds + self.jitter_seconds


@dataclass(slots=True, kw_only=True)
class Pair:
    """One recipient's account."""

    paid_at: float = -inf
    """When its debt is paid back."""
    started: int = 0
    """Attempts that are started and not written."""
    unanswered: list[float] = field(default_factory=list)
    """Instants of writes whose exchange is not over, oldest first."""
    refusals: int = 0
    """Times in a row that Meta refused the pair."""
    refused_until: float = -inf


@dataclass(slots=True, kw_only=True)
class Pairs:
    """The accounts of one number's recipients; one that is not there owes nothing."""

    policy: PairPolicy
    fastest: float = 0.0
    """The round trip without delay; 0 until known, which takes every round trip for a delay."""
    known: dict[str, Pair] = field(default_factory=dict)
    forget_at: int = _FORGET_AT


def inherit(policy: PairPolicy, exchanges: Iterable[tuple[str, float, float | None]], *, now: float) -> Pairs:
    """The state of a new owner: (recipient, seconds since its start, and since it was over or None) of each earlier attempt.

    Those that were over longer ago than `remembered_seconds` may be left out. An attempt is charged at the end of its exchange,
    when it had arrived at the latest; one without an end D from now, the latest instant its bytes can go out. Who takes over
    ends what its predecessor started, and a predecessor that knows of nothing may write after that: until D from the start.
    """
    pairs = Pairs(policy=policy)
    charges: list[tuple[float, str]] = []
    for recipient, age, over in exchanges:
        latest = inf if over is None else max(-over, START_TO_WRITE_SECONDS - age)
        # What a clock that was set back puts into the future is not later than what begins now.
        charges.append((now + min(latest, START_TO_WRITE_SECONDS), recipient))
    for at, recipient in sorted(charges):
        _charge(pairs, _account(pairs, recipient, now=now), at=at)
    return pairs


def wait_seconds(pairs: Pairs, recipient: str, *, now: float) -> float:
    """How long until one more message to this person may be started; 0.0 when it may."""
    pair = pairs.known.get(recipient)
    if pair is None:
        return 0.0
    policy = pairs.policy
    paid_at = pair.paid_at
    if pair.unanswered:
        paid_at += _slower(pairs, pair.unanswered[0], now=now)
    if pair.started:
        paid_at = max(paid_at, now) + pair.started * policy.interval_seconds
    allowed_at = paid_at + policy.jitter_seconds - (policy.burst - 1) * policy.interval_seconds
    return max(0.0, allowed_at - now, pair.refused_until - now)


def start(pairs: Pairs, recipient: str, *, now: float) -> None:
    """An attempt is about to be started: until `written` or `given_up` it counts as written at that moment."""
    _account(pairs, recipient, now=now).started += 1


def written(pairs: Pairs, recipient: str, *, now: float) -> None:
    """The bytes of a started attempt are out. Call it with an instant not before the write."""
    pair = _account(pairs, recipient, now=now)
    pair.started -= 1
    _charge(pairs, pair, at=now)
    pair.unanswered.append(now)


def given_up(pairs: Pairs, recipient: str, *, now: float) -> None:
    """A started attempt will not be written."""
    _account(pairs, recipient, now=now).started -= 1


def answered(pairs: Pairs, recipient: str, *, sent_at: float, now: float) -> None:
    """The exchange of the write at `sent_at` is over, well or badly: by now it has arrived, if it ever will."""
    pair = _account(pairs, recipient, now=now)
    pair.unanswered.remove(sent_at)
    # Everything has arrived by now, so the whole debt is at most a burst from now.
    most = now + pairs.policy.burst * pairs.policy.interval_seconds
    pair.paid_at = min(pair.paid_at + _slower(pairs, sent_at, now=now), max(pair.paid_at, most))


def refused(pairs: Pairs, recipient: str, *, now: float) -> float:
    """Meta refused the pair (131056): seconds until another try, 4^n with n from 0."""
    pair = _account(pairs, recipient, now=now)
    seconds = min(_LONGEST_BACK_OFF_SECONDS, 4.0 ** min(pair.refusals, 10))
    hold(pairs, recipient, seconds=seconds, refusals=pair.refusals + 1, now=now)
    return seconds


def hold(pairs: Pairs, recipient: str, *, seconds: float, refusals: int, now: float) -> None:
    """Meta has refused the pair so many times in a row, and it is not tried for so long: what a new owner is told."""
    pair = _account(pairs, recipient, now=now)
    pair.refusals = max(pair.refusals, refusals)
    pair.refused_until = max(pair.refused_until, now + seconds)


def accepted(pairs: Pairs, recipient: str) -> None:
    """Meta takes the pair's messages again."""
    pair = pairs.known.get(recipient)
    if pair is not None:
        pair.refusals = 0


def _charge(pairs: Pairs, pair: Pair, *, at: float) -> None:
    pair.paid_at = max(pair.paid_at, at) + pairs.policy.interval_seconds


def _slower(pairs: Pairs, sent_at: float, *, now: float) -> float:
    """How much later than usual the write at `sent_at` may have arrived."""
    slower = now - sent_at - pairs.fastest
    return slower if slower > pairs.policy.jitter_seconds / 2 else 0.0


def _account(pairs: Pairs, recipient: str, *, now: float) -> Pair:
    pair = pairs.known.get(recipient)
    if pair is None:
        if len(pairs.known) >= pairs.forget_at:
            _forget(pairs, now=now)
        pair = pairs.known[recipient] = Pair()
    return pair


def _forget(pairs: Pairs, *, now: float) -> None:
    """Those that owe nothing are as good as unknown. Asked seldom enough to cost a call nothing on average."""
    long_ago = now - pairs.policy.jitter_seconds
    pairs.known = {
        recipient: pair
        for recipient, pair in pairs.known.items()
        if pair.started
        or pair.unanswered
        or pair.paid_at > long_ago
        or pair.refused_until + (_LONGEST_BACK_OFF_SECONDS if pair.refusals else 0.0) > now
    }
    pairs.forget_at = max(_FORGET_AT, 2 * len(pairs.known))
