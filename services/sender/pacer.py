"""When may a number's next message go on the wire, and one to this person? The clock and the waiting around the pure limiters."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.common.domain import delay_spread, inbound, limiter, pair_limit, throttle
from services.common.domain.inbound import Inbound
from services.common.domain.limiter import START_TO_WRITE_SECONDS, AdmissionLog, Throughput
from services.common.domain.pair_limit import PairPolicy, Pairs
from services.common.domain.throttle import Throttle
from services.common.platform import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """An attempt that an earlier owner started so long ago, and that was over so long ago, or is not.

    `recipient` is None when it counts for nobody's pair limit.
    """

    age_seconds: float
    over_seconds: float | None
    recipient: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPair:
    """A recipient whom Meta refused for now, so many times in a row, and for how much longer that holds."""

    recipient: str
    seconds: float
    refusals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a number's earlier owner left behind. It has to be read after that owner could start nothing more."""

    starts: Sequence[Start] = ()
    refused: Sequence[RefusedPair] = ()


_TICK_SECONDS: Final = 0.001
"""Timers count in these, and one that is shorter does not wait."""

NOTHING: Past = Past()


class Pacer:
    """One number's limiters. Attempts are admitted in the order they ask."""

    def __init__(self, log: AdmissionLog, pairs: Pairs) -> None:
        self._log, self._pairs = log, pairs
        self._delays = delay_spread.start(log.policy.jitter_seconds)
        self._throttle = Throttle(limit=log.policy.limit)
        self._inbound = Inbound()
        self._line: deque[tuple[float, asyncio.Future[bool]]] = deque()
        """Attempts that wait for a token: until when each may be written, and what tells it."""
        self._next: asyncio.TimerHandle | None = None

    @classmethod
    def inherited(cls, policy: Throughput, pair_policy: PairPolicy, past: Past = NOTHING) -> Pacer:
        """The pacer of a new owner."""
        now = time.monotonic()
        log = limiter.inherit(policy, (start.age_seconds for start in past.starts), now=now)
        to_people = [(one.recipient, one.age_seconds, one.over_seconds) for one in past.starts if one.recipient is not None]
        pairs = pair_limit.inherit(pair_policy, to_people, now=now)
        for one in past.refused:
            pair_limit.hold(pairs, one.recipient, seconds=one.seconds, refusals=one.refusals, now=now)
        return cls(log, pairs)

    @property
    def limit(self) -> int:
        """Messages a second."""
        return self._log.policy.limit

    @property
    def pair_policy(self) -> PairPolicy:
        """How often one person may be written to."""
        return self._pairs.policy

    def change_limit(self, limit: int) -> None:
        """Take another limit from now on."""
        self._log = limiter.with_limit(self._log, limit, now=time.monotonic())
        throttle.with_limit(self._throttle, limit)

    def ready_in(self) -> float:
        """Seconds until one more attempt, started now, would be admitted."""
        now = time.monotonic()
        return self._wait(now) + len(self._line) * self._spacing(now)

    def batch(self, seconds: float) -> int:
        """How many attempts the number writes within some seconds; at least one."""
        return max(1, int(seconds / self._spacing(time.monotonic())))

    def pair_ready_in(self, recipient: str) -> float:
        """Seconds until one more message to this person may be started."""
        return pair_limit.wait_seconds(self._pairs, recipient, now=time.monotonic())

    def start(self, recipient: str | None) -> None:
        """An attempt is started: `written` or `give_up` follows."""
        if recipient is not None:
            pair_limit.start(self._pairs, recipient, now=time.monotonic())

    def give_up(self, recipient: str | None) -> None:
        """A started attempt will not be written."""
        if recipient is not None:
            pair_limit.given_up(self._pairs, recipient, now=time.monotonic())

    async def admit(self, started: float) -> bool:
        """Wait for this attempt's turn and for a token; False when `started` would be longer ago than allowed by then.

        `started` is a monotonic instant not later than the one the STARTED row carries. After True write at once and call
        `written`, or `not_written` if nothing was.
        """
        asked = time.monotonic()
        deadline = started + START_TO_WRITE_SECONDS
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.append((deadline, turn))
        if self._next is None:
            self._admit()
        try:
            is_admitted = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.not_written()
            raise
        now = time.monotonic()
        if is_admitted and now > deadline:
            self.not_written()
            is_admitted = False
        if is_admitted:
            metrics.RATE_LIMIT_WAIT_SECONDS.observe(now - asked)
        else:
            metrics.LATE_WRITES.inc()
        return is_admitted

    def written(self, recipient: str | None) -> float:
        """Charge the token now, after the bytes went out; the instant it is charged with, to be given to `answered`.

        A process that the machine stopped between the admission and the write would otherwise have charged an instant
        before the write, and the promise holds for charges that are not.
        """
        now = time.monotonic()
        self._log = limiter.written(self._log, now=now)
        throttle.written(self._throttle, now=now)
        if recipient is not None:
            pair_limit.written(self._pairs, recipient, now=now)
        self._go_on()
        return now

    def answered(self, charged_at: float, recipient: str | None) -> None:
        """The exchange of that write is over, well or badly."""
        now = time.monotonic()
        if recipient is not None:
            pair_limit.answered(self._pairs, recipient, sent_at=charged_at, now=now)
        self._log = limiter.answered(self._log, sent_at=charged_at, now=now)
        self._pairs.fastest = self._log.fastest
        if delay_spread.sample(self._delays, now - charged_at):
            metrics.JITTER_SECONDS.observe(self._delays.jitter_seconds)
            self._log = delay_spread.apply(self._delays, self._log)

    def taken(self, charged_at: float) -> None:
        """What Meta said to that write, if anything, was not about the number's rate."""
        throttle.taken(self._throttle, sent_at=charged_at, now=time.monotonic())

    def throttled(self, charged_at: float) -> None:
        """Meta refused that write for the number's rate."""
        unanswered = sum(count for at, count in self._log.unanswered.items() if charged_at - 1.0 < at < charged_at)
        throttle.refused(self._throttle, sent_at=charged_at, unanswered=unanswered, now=time.monotonic())

    def received(self, count: int) -> None:
        """The number has received so many messages."""
        now = time.monotonic()
        self._log = limiter.debit(self._log, now=now, count=inbound.charge(self._inbound, count=count, now=now))

    def pair_refused(self, recipient: str) -> float:
        """Meta refused this person's pair: seconds until another try."""
        return pair_limit.refused(self._pairs, recipient, now=time.monotonic())

    def pair_accepted(self, recipient: str) -> None:
        """Meta took a message to this person."""
        pair_limit.accepted(self._pairs, recipient)

    def not_written(self) -> None:
        """No byte left us, so no token was spent."""
        self._log = limiter.not_written(self._log)
        self._go_on()

    def _go_on(self) -> None:
        if self._next is None and self._line:
            self._admit()

    def _admit(self) -> None:
        """Give tokens to those in line, as many as there are now, and come back when there is one more."""
        self._next = None
        while self._line:
            deadline, turn = self._line[0]
            now = time.monotonic()
            wait = self._wait(now)
            if turn.done() or now + wait > deadline:
                self._line.popleft()
                if not turn.done():
                    turn.set_result(False)
            elif wait > 0.0:
                self._next = asyncio.get_running_loop().call_later(max(_TICK_SECONDS, wait), self._admit)
                return
            elif self._log.admitted and self._throttle.held is not None:
                return  # one at a time: what the rate is that is being found out is known after the write
            else:
                self._line.popleft()
                self._log, _ = limiter.take(self._log, now=now)
                turn.set_result(True)

    def _wait(self, now: float) -> float:
        return max(limiter.wait_seconds(self._log, now=now), throttle.wait_seconds(self._throttle, now=now))

    def _spacing(self, now: float) -> float:
        return max(self._log.policy.spacing_seconds, 1.0 / throttle.rate(self._throttle, now=now))
