"""How fast does Meta let a number send, where that is slower than its limit says? Found by what Meta refuses (130429).

Meta's own count may hold less than we know of: a number in trouble, a limit lowered or not yet raised, somebody else who sends
from the same number. A refusal tells how many there were in the second before it, and so what Meta holds now. That becomes the
pace, and from time to time a little more is tried: so little that one message is refused, and more and more of it while none is.

- Refused at full speed: Meta holds much less than we sent, and nobody knows how much. Wait until a quarter of the last second is
  over, try one message alone, and so on, until one is taken.
- Refused while trying: the count of the last second is what Meta holds.
- Refusals cost credit and messages that are taken earn it, so that all trying has less than one in a hundred refused. At a dozen
  messages a second and less that would take minutes: there it tries after 10 s, and has one refused in 5 s at most.

Above `limit` nothing is ever tried: this only makes `limiter` slower. Instants are float seconds of one monotonic clock, those of
writes. `Throttle` is changed in place.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from math import inf
from typing import Final

_WINDOW_SECONDS: Final = 1.0
_MARGIN: Final = 1.015
"""Pace of the window: as much slower than the count allows as the network may vary."""
_CREDIT_SECONDS: Final = 0.02
"""How far the pace may lag behind the clock and be made up for."""
_EARNED: Final = 0.0085
"""What a message that was taken earns of a refusal."""
_TRY_AT: Final = 0.5
_LEAST_CREDIT: Final = -0.5
_LEAST_CREDIT_OF_HELD: Final = -1 / 80
"""Finding out how much less Meta holds costs more than this, and must not keep us from finding out that it holds more again."""
_LONGEST_SECONDS: Final = 10.0
"""After so long at its pace a number tries again, whatever it costs. One refused at its first message knows least of all."""
_MOST_CREDIT: Final = 1.0
_NOTICED_SECONDS: Final = 0.8
"""What is tried first exceeds what Meta holds, if it holds no more, in this time; then it doubles and doubles."""
_DOUBLES_SECONDS: Final = 0.2
_STEP: Final = 0.75
"""Of a count that was refused at full speed, what is tried next."""
_POLL_SECONDS: Final = 0.005
_SMOOTHED: Final = 20
"""Answers over which the round trip is smoothed."""


@dataclass(slots=True, kw_only=True)
class Throttle:
    """What is known of one number's real rate.

    `held` is what Meta holds in a second; None while it is not less than the limit.
    """

    limit: int
    held: float | None = None
    next_at: float = -inf
    tries_since: float = inf
    credit: float = 0.0
    taken: list[float] = field(default_factory=list)
    """Writes that Meta did not refuse for their number, of the last seconds, oldest first."""
    lowered_at: float = -inf
    is_searching: bool = False
    """The next message is sent alone: its answer says how to go on."""
    alone: float | None = None
    round_trip: float = 0.0
    """How long an answer takes, lately."""


def rate(throttle: Throttle, *, now: float) -> float:
    """Messages a second that are sent at most; the limit where nothing less is known."""
    if throttle.held is None:
        return float(throttle.limit)
    pace = throttle.held / _MARGIN
    if now >= throttle.tries_since:
        first = (1.0 + throttle.held * (_MARGIN - 1.0)) / _NOTICED_SECONDS
        unrefused = now - throttle.tries_since - _NOTICED_SECONDS - throttle.round_trip
        pace += first * 2.0 ** min(30.0, max(0.0, unrefused / _DOUBLES_SECONDS))
    return min(float(throttle.limit), pace)


def wait_seconds(throttle: Throttle, *, now: float) -> float:
    """How long until one more message may be tried."""
    if throttle.held is None:
        return 0.0
    if throttle.alone is not None:
        return max(_POLL_SECONDS, throttle.alone + throttle.round_trip - now)
    return max(0.0, throttle.next_at - now)


def written(throttle: Throttle, *, now: float) -> None:
    """A message went out."""
    if throttle.held is None:
        return
    if throttle.is_searching:
        throttle.alone = now
    pace = rate(throttle, now=now)
    throttle.next_at = max(throttle.next_at, now - _CREDIT_SECONDS) + 1.0 / pace
    if pace >= throttle.limit:
        throttle.held, throttle.tries_since = None, inf


def taken(throttle: Throttle, *, sent_at: float, now: float) -> None:
    """The exchange of the write at `sent_at` is over, and the number's rate was not what Meta refused, if anything."""
    insort(throttle.taken, sent_at)
    throttle.round_trip += (now - sent_at - throttle.round_trip) / _SMOOTHED
    if len(throttle.taken) > 4 * throttle.limit + 64:
        del throttle.taken[: bisect_left(throttle.taken, now - 2 * _WINDOW_SECONDS)]
    throttle.credit = min(_MOST_CREDIT, throttle.credit + _EARNED)
    if throttle.alone == sent_at or (throttle.is_searching and sent_at > throttle.lowered_at):
        throttle.alone, throttle.is_searching = None, False
    if throttle.held is not None and not throttle.is_searching and throttle.tries_since == inf and throttle.credit >= _TRY_AT:
        throttle.tries_since = now


def refused(throttle: Throttle, *, sent_at: float, unanswered: int, now: float) -> None:
    """Meta refused the write at `sent_at` because the number was at its limit.

    `unanswered`: how many writes of the second before it are without an answer; Meta may hold them.
    """
    first = bisect_left(throttle.taken, sent_at - _WINDOW_SECONDS)
    count = max(1, bisect_left(throttle.taken, sent_at) - first + unanswered)
    is_news = sent_at > throttle.lowered_at
    if is_news and (throttle.held is None or throttle.alone == sent_at):
        throttle.is_searching = True
    pace = rate(throttle, now=sent_at) * _MARGIN if is_news or throttle.held is None else throttle.held
    throttle.held = float(max(1, min(count, pace)))
    floor = max(_LEAST_CREDIT + _LEAST_CREDIT_OF_HELD * throttle.held, _TRY_AT - _EARNED * throttle.held * _LONGEST_SECONDS)
    throttle.credit = max(floor, throttle.credit - 1.0)
    throttle.tries_since = inf
    if throttle.alone == sent_at:
        throttle.alone = None
    if is_news:
        throttle.lowered_at = now
    if throttle.is_searching:
        # What was under way at the first refusal is answered by then, and says more.
        throttle.next_at = max(_falls_to(throttle, int(throttle.held * _STEP)), throttle.lowered_at + throttle.round_trip)
    else:
        throttle.next_at = max(throttle.next_at, _falls_to(throttle, int(throttle.held) - 1))


def with_limit(throttle: Throttle, limit: int) -> None:
    """The number has another limit."""
    throttle.limit = limit


def _falls_to(throttle: Throttle, count: int) -> float:
    """When no more than `count` of the messages that were taken are younger than a second."""
    if len(throttle.taken) <= count:
        return -inf
    return throttle.taken[-(count + 1)] + _WINDOW_SECONDS * _MARGIN
