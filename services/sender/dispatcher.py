"""Which command of a number goes next, and when? One loop a number: pick, judge, start, then let the calls run.

Crash thinking: a STARTED row is committed before a call exists. Whatever happens after it, the row tells the next owner that
Meta may have the message; without it Meta cannot have it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from services.common.domain import lane_shares, retry_budget
from services.common.domain.graph_codes import Scope
from services.common.domain.lanes import LANES, Lane
from services.common.domain.reasons import Reason
from services.common.domain.send_policy import READ
from services.common.platform import logging, metrics, postgres
from services.common.platform.clock import now_ms
from services.common.platform.faults import fault
from services.sender import judging, outcomes
from services.sender.catch_up import CatchUp
from services.sender.distrust import Distrust, judged
from services.sender.findings import Finding, finding_of
from services.sender.graph_client import GraphClient
from services.sender.headway import Headway, Turn
from services.sender.judging import Call
from services.sender.knowledge import Candidate, Knowledge
from services.sender.media.preparing import Preparing
from services.sender.numbers import FIRST_OF_ALL, Number, Numbers
from services.sender.outcomes import Attempt
from services.sender.recorder import Recorder
from services.sender.response import Proof, Result, late, repeated
from services.sender.stops import Stops
from services.sender.store import Batch, OwnerLost, Pick, Store
from services.sender.template_poller import TemplatePoller

log = logging.get(__name__)

_LEAD_SECONDS: Final = (0.006, 0.05)
"""How long before its token comes an attempt is started, at least and at most: what a transaction takes. A one-time code waits
for about as long."""
_BATCH_SECONDS: Final = 0.024
"""A fast number starts in one transaction what it writes in this time, or while two transactions run."""
_SMOOTHED: Final = 10
"""Transactions over which their duration is smoothed."""
_BATCH_ROWS: Final = 50
_IDLE_SECONDS: Final = 10.0
_CALM_SECONDS: Final = 0.05
_HELD_SECONDS: Final = 1.0
_AT_ONCE: Final = 4
"""Calls that begin in one turn of the event loop: each takes a fifth of a millisecond, in which nothing is written or read."""
_TOLD_ROWS: Final = 500
"""Of a number that is held, how many waiting commands are looked at in a round, whether their producers know."""


class Dispatcher:
    """Serves numbers until told to drain."""

    def __init__(
        self,
        *,
        store: Store,
        numbers: Numbers,
        stops: Stops,
        graph: GraphClient,
        recorder: Recorder,
        catch_up: CatchUp,
        distrust: Distrust,
        media: Preparing,
        templates: TemplatePoller,
        horizons: Mapping[Lane, float],
        inflight_seconds: float,
        calm: asyncio.Event,
        told: asyncio.Event,
        abandon: asyncio.Event,
        fail: asyncio.Future[None],
    ) -> None:
        """Nothing is started before `calm` is set: what dies meanwhile has not died of a send."""
        self._store, self._numbers, self._graph, self._recorder = store, numbers, graph, recorder
        self._stops, self._templates = stops, templates
        self._catch_up, self._distrust, self._media = catch_up, distrust, media
        self._horizons, self._inflight_seconds = horizons, inflight_seconds
        self._calm, self._told, self._abandon, self._fail = calm, told, abandon, fail
        self._loops: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._headway = Headway()
        self._draining = asyncio.Event()

    def serve(self, number: Number) -> None:
        """Start the number's loop on its shard, unless it runs."""
        place = (number.phone_number_id, number.shard)
        running = self._loops.get(place)
        if not self._draining.is_set() and (running is None or running.done()):
            self._loops[place] = self._watched(self._dispatch(number))

    async def drain(self, seconds: float) -> bool:
        """Start nothing more and wait for the calls under way; True when all of them are recorded."""
        self._draining.set()
        for phone_number_id, _ in self._loops:
            self._numbers.wake(phone_number_id)
        under_way = {*self._loops.values(), *self._calls}
        if under_way:
            _, left = await asyncio.wait(under_way, timeout=seconds)
            if left or self._calls:
                _, left = await asyncio.wait({*left, *self._calls}, timeout=0.5)
                log.warning("send.drain_incomplete", left=len(left))
                return not left
        self._loops.clear()
        return True

    def resume(self) -> None:
        """Serve again, after a drain."""
        self._draining.clear()

    @property
    def calls(self) -> int:
        """Calls under way."""
        return len(self._calls)

    async def _dispatch(self, number: Number) -> None:
        has_turn = False
        try:
            while not self._draining.is_set():
                if not self._calm.is_set():
                    number.wake.clear()
                    await _wake_or(number, _CALM_SECONDS)
                    continue
                if self._headway.room <= 0 or (self._headway.is_awaited and not has_turn):
                    await self._headway.wait(again=has_turn)
                    has_turn = True
                    continue
                has_turn = False
                number.wake.clear()
                pause = await self._round(number)
                if pause > 0.0 and not self._draining.is_set():
                    await _wake_or(number, pause)
        except OwnerLost:
            log.warning("send.owner_lost", shard=number.shard, epoch=number.epoch)

    async def _round(self, number: Number) -> float:
        """Start what may be started now; seconds until the next look."""
        await postgres.retrying(lambda: self._stops.claim(number), service="sender", stopping=self._draining)
        held = number.hold_seconds()
        room = self._numbers.inflight_cap(number, self._inflight_seconds) - number.inflight
        limit = _BATCH_ROWS
        if held == 0.0:
            if room <= 0:
                return _IDLE_SECONDS
            ready, lead = number.pacer.ready_in(), _lead(number)
            if ready > lead:
                return ready - lead
            limit = min(limit, room, self._headway.room, number.pacer.batch(max(_BATCH_SECONDS, 2 * number.start_seconds)))
        picked = await self._start(number, limit=limit, sending=held == 0.0)
        if picked is None:
            return _IDLE_SECONDS
        if picked >= limit:
            return 0.0
        if held > 0.0:
            await self._tell_held(number)
            return min(held, _HELD_SECONDS)
        return await self._until_due(number)

    async def _tell_held(self, number: Number) -> None:
        """Let the producers of some waiting commands know that the number is held; round after round all of them."""
        held = number.held()
        if held is None:
            return
        reason, seconds = held
        await postgres.retrying(lambda: self._tell_some(number, reason, seconds), service="sender", stopping=self._draining)

    async def _tell_some(self, number: Number, reason: Reason, seconds: float | None) -> None:
        waiting, last = await self._store.kept_back(
            number.phone_number_id, number.shard, reason, after=number.kept_back_after, limit=_TOLD_ROWS
        )
        waba_id, now = self._numbers.waba_id(number.phone_number_id), now_ms()
        told = [
            (attempt, outcome)
            for attempt in waiting
            if (outcome := outcomes.deferred(attempt, reason, at=now, wait_seconds=seconds, waba_id=waba_id)) is not None
        ]
        if told:
            metrics.SEND_OUTCOMES.labels("deferred", reason).inc(await self._store.defer(told))
            self._told.set()
        number.kept_back_after = last or FIRST_OF_ALL

    async def _until_due(self, number: Number) -> float:
        """Nothing more is due now; when will it be?"""
        if number.waiting <= 0:
            return _IDLE_SECONDS
        due = await postgres.retrying(
            lambda: self._store.next_due(number.phone_number_id, number.shard), service="sender", stopping=self._draining
        )
        return _IDLE_SECONDS if due is None else min(_IDLE_SECONDS, max(0.001, due))

    async def _start(self, number: Number, *, limit: int, sending: bool) -> int | None:
        """One transaction; how many commands it picked, or `limit` where more may be due.

        None when told to drain before Postgres answered.
        """
        calls: list[Call] = []
        begun = 0.0
        picked = 0
        pick = Pick(limit=limit, sending=sending, orders=lane_shares.orders(number.shares, limit), pairs=number.pacer.pair_policy)

        def judge(candidates: Sequence[Candidate], known: Knowledge) -> Batch:
            nonlocal picked
            picked = len(candidates)
            waba_id = self._numbers.waba_id(number.phone_number_id)
            # Ours may be behind that of Postgres, by which of a held number only what expired was picked.
            now = max([now_ms(), *(one.picked_at for one in candidates)])
            batch, calls[:] = judging.judge(
                candidates,
                known,
                now=now,
                has_token=self._numbers.token(number.phone_number_id) is not None,
                waba_id=waba_id,
                caught_up_at=self._catch_up.caught_up_at,
                failures=self._media.failures,
                standing=number.standing,
                may_try=time.monotonic() >= number.try_after,
                pair_ready_in=number.pacer.pair_ready_in,
                retries_left=retry_budget.left(number.retries, limit=number.pacer.limit, now=time.monotonic()),
            )
            number.wanted = batch.wanted
            self._ask_for_news(batch, waba_id)
            return batch

        async def transaction() -> Batch:
            nonlocal begun
            await self._take_back(number, calls)
            # Not later than the row's own started_at: the limiter's hand-over counts on it.
            begun = time.monotonic()
            return await self._store.start(number.phone_number_id, number.shard, number.epoch, pick=pick, judge=judge)

        batch = await postgres.retrying(transaction, service="sender", stopping=self._draining)
        if batch is None:
            return None
        if number.standing.probing:
            tried = any(call.probes for call in calls)
            await postgres.retrying(lambda: self._stops.end_claim(number, tried=tried), service="sender", stopping=self._draining)
        metrics.STARTED_SECONDS.observe(time.monotonic() - begun)
        number.shares = lane_shares.served(number.shares, Counter(LANES[attempt.lane] for attempt in batch.start))
        again = sum(attempt.attempt_no > 1 for attempt in batch.start)
        first = len(batch.start) - again
        number.retries = retry_budget.tried(
            number.retries, first=first, again=again, limit=number.pacer.limit, now=time.monotonic()
        )
        number.waiting = max(0, number.waiting - len(batch.start) - len(batch.give_up))
        await self._media.want(
            [(want, park.attempt.command_id) for park in batch.park for want in park.wants]
            + [(want, None) for call in calls for want in call.media.stale]
        )
        if batch.give_up or batch.defer:
            self._told.set()
            _count(batch)
        if calls:
            metrics.SEND_DECISIONS.labels("allowed", "").inc(len(calls))
            fault("sender.after_started")
        for few in _few(calls):
            for call in few:
                number.inflight += 1
                turn = Turn(number.pacer, self._headway, judging.pair_of(call.attempt))
                self._calls.add(self._watched(self._call(number, call, begun, turn)))
            # They stand in line before anybody asks how long it is, and those before them are written meanwhile.
            await asyncio.sleep(0)
        number.start_seconds += (time.monotonic() - begun - number.start_seconds) / _SMOOTHED
        # What a stop holds from now on keeps nothing else of its recipient waiting: that may be picked at once.
        return limit if any(one.is_stopped for one in batch.park) else picked

    async def _take_back(self, number: Number, calls: Sequence[Call]) -> None:
        """Calls of a try whose answer was lost: if it was committed all the same, nobody has written them, and that is known."""
        if not calls:
            return
        begun = await self._store.begun([call.attempt for call in calls], number.epoch)
        findings = [self._finding(call.attempt, late()) for call in calls if call.attempt.command_id in begun]
        if findings:
            await self._recorder.write(findings)
            log.warning("send.taken_back", count=len(findings))

    def _finding(self, attempt: Attempt, result: Result) -> Finding:
        """What a result comes to, as of now."""
        return finding_of(
            attempt,
            result,
            at=now_ms(),
            waba_id=self._numbers.waba_id(attempt.phone_number_id),
            horizon_seconds=self._horizons[LANES[attempt.lane]],
        )

    def _ask_for_news(self, batch: Batch, waba_id: str | None) -> None:
        """What commands wait for is to be brought up to date."""
        if waba_id is not None and any(one.is_for_list for one in batch.park):
            self._templates.want(waba_id)
        if any(one.is_for_read_models for one in batch.park):
            self._catch_up.want()

    async def _call(self, number: Number, call: Call, begun: float, turn: Turn) -> None:
        """One attempt from its STARTED row to its recorded outcome."""
        attempt, started_at = call.attempt, now_ms()
        token = self._numbers.token(number.phone_number_id) or ""
        try:
            result, written_at = await self._graph.post(
                number.phone_number_id,
                token=token,
                edge=call.edge,
                body=call.body,
                attempt_no=attempt.attempt_no,
                pacer=turn,
                started=begun,
                is_message=attempt.message_type != READ,
            )
            turn.close()
            turn.heard(throttled=result.scope is Scope.THROUGHPUT)
            if written_at is not None:
                self._numbers.heard(number, result, time.monotonic() - written_at, self._inflight_seconds)
                waited = now_ms() / 1000 - (time.monotonic() - written_at) - call.appended_at / 1000
                metrics.SEND_LATENCY_SECONDS.observe(max(0.0, waited))
            if result.reason in (Reason.THROTTLED, Reason.PAIR_LIMIT):
                metrics.THROTTLED.labels(result.scope).inc()
            self._numbers.heed(number, result)
            heeding = partial(self._stops.heed, number, call, result, begun=started_at, token=token)
            await postgres.retrying(heeding, service="sender", stopping=self._abandon)
            result = _of_pair(number, attempt, judged(result, self._distrust.codes))
            result = await self._media.heed(attempt.phone_number_id, call.media.media_ids, result)
            if attempt.message_type == READ:
                result = repeated(result, attempt_no=attempt.attempt_no)
            await self._recorder.record(self._finding(attempt, result))
            if result.proof in (Proof.RETRY, Proof.NOT_SENT):
                number.waiting += 1
        finally:
            turn.close()
            number.inflight -= 1
            if number.waiting > 0:
                number.wake.set()

    def _watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that broke ends the process: what it held is in Postgres, what it knew is not."""
        self._calls.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not self._fail.done():
            self._fail.set_exception(problem)


def _few(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    return (calls[first : first + _AT_ONCE] for first in range(0, len(calls), _AT_ONCE))


def _lead(number: Number) -> float:
    least, most = _LEAD_SECONDS
    return min(most, max(least, number.start_seconds))


def _of_pair(number: Number, attempt: Attempt, result: Result) -> Result:
    """What a result says about its recipient: a refusal of the pair waits longer each time, and no other pair does."""
    pair = judging.pair_of(attempt)
    if pair is None:
        return result
    if result.proof is Proof.ACCEPTED:
        number.pacer.pair_accepted(pair)
    elif result.proof is Proof.RETRY and result.scope is Scope.PAIR:
        return dataclasses.replace(result, wait_seconds=number.pacer.pair_refused(pair))
    return result


def _count(batch: Batch) -> None:
    """A command of one tenant for the number of another is a mistake somebody has to hear of."""
    for attempt, outcome in batch.give_up:
        metrics.SEND_DECISIONS.labels(outcome.kind, outcome.reason).inc()
        metrics.SEND_OUTCOMES.labels(outcome.kind, outcome.reason).inc()
        if outcome.reason == Reason.TENANT_MISMATCH:
            log.error("send.tenant_mismatch", command_id=attempt.command_id, phone_number_id=attempt.phone_number_id)
    for _, outcome in batch.defer:
        metrics.SEND_OUTCOMES.labels(outcome.kind, outcome.reason).inc()


async def _wake_or(number: Number, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await number.wake.wait()
    except TimeoutError:
        return
