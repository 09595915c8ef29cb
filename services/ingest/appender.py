"""How do bytes get into the log? In rounds: what came while a broker was busy goes to it together, one batch a partition.

A round pays for itself and for each partition in it, whatever it carries, so the next one waits a moment: those just answered
ask again, and go along. While few wait it is a longer moment, for all that read the log do less for webhooks that come together.
A lone webhook finds no round and waits for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any, Final

from aiokafka.errors import KafkaError, KafkaTimeoutError

from services.common.domain.reasons import Reason
from services.common.platform import logging, metrics
from services.common.platform.kafka import Headers, Producer, partition_of
from services.ingest.breaker import Breaker
from services.ingest.budget import Budget

log = logging.get(__name__)

SWEEP_SECONDS: Final = 0.05
"""A deadline is noticed this much late at most."""
BETWEEN_ROUNDS_SECONDS: Final = 0.0015
"""From the end of a round to a broker until the next: with 64 callers a third more get through, with 256 a tenth."""
_FEW: Final = 16
_FEW_SECONDS: Final = 0.01
"""And as long while fewer than that wait."""
_RECORD_OVERHEAD: Final = 512
_OPENED: Final = (
    "the log acknowledges nothing: see whether the brokers run, have their replicas in sync and room on their disks; "
    "this process then goes on by itself"
)


class _Append:
    """One record on its way. `done` gets None, or the reason why the request must be refused."""

    __slots__ = ("at", "done", "due", "headers", "key", "size", "value")

    def __init__(
        self,
        key: bytes | None,
        value: bytes,
        headers: Headers,
        *,
        at: int,
        due: float,
        done: asyncio.Future[Reason | None],
    ) -> None:
        self.key, self.value, self.headers = key, value, headers
        self.at, self.due, self.done = at, due, done
        self.size = len(value) + _RECORD_OVERHEAD

    def settle(self, refusal: Reason | None) -> None:
        if not self.done.done():
            self.done.set_result(refusal)


class _Batch:
    """Records of one partition that the producer takes, and loses or keeps, together."""

    __slots__ = ("appends", "builder", "partition", "size")

    def __init__(self, partition: int, builder: Any) -> None:
        self.partition = partition
        self.builder = builder
        self.appends: list[_Append] = []
        self.size = 0

    def fill(self, queue: deque[_Append]) -> None:
        """Move over what fits. A single record always fits, however large it is."""
        add = self.builder.append
        while queue:
            append = queue[0]
            if add(timestamp=append.at, key=append.key, value=append.value, headers=append.headers) is None:
                return
            self.appends.append(queue.popleft())
            self.size += append.size
            append.value = b""


class Appender:
    """Appends with a deadline, a byte budget and a breaker.

    A record that missed its deadline is forgotten if no batch has it yet. Once a batch has it, it may still be appended later,
    and its bytes count against the budget until the producer lets go of them: memory is bounded however long Kafka is away.
    """

    def __init__(
        self,
        *,
        producer: Producer,
        topic: str,
        budget: Budget,
        breaker: Breaker,
        deadline_seconds: float,
        fatal: asyncio.Event,
    ) -> None:
        self._producer, self._topic = producer, topic
        self._budget, self._breaker = budget, breaker
        self._deadline_seconds = deadline_seconds
        self._fatal = fatal
        self._queues: list[deque[_Append]] = []
        self._next_queue = 0
        self._filled: set[int] = set()
        self._sending: set[int] = set()
        self._busy: set[int | None] = set()
        self._rounds: set[asyncio.Task[None]] = set()
        self._flushing: asyncio.Handle | None = None
        self._waiting: deque[_Append] = deque()
        self._queued = 0
        self._many = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        metrics.WEBHOOK_INFLIGHT_BYTES.set_function(lambda: float(budget.used))
        metrics.BREAKER_OPEN.set_function(lambda: float(breaker.is_open))

    def start(self, partitions: int) -> None:
        """Take records from now on; the producer is connected and the topic has this many partitions."""
        self._queues = [deque() for _ in range(partitions)]

    def not_ready(self) -> str | None:
        """Why an append would be refused now. An open breaker that wants a probe is ready, or it would never get one."""
        if not self._queues:
            return "kafka or its topic is not there"
        if self._breaker.is_open and (self._budget.used or not self._breaker.wants_probe(self._loop.time())):
            return "the log does not acknowledge"
        return None

    async def append(self, key: bytes | None, value: bytes, headers: Headers, *, at: int) -> Reason | None:
        """None once the brokers acknowledged it; otherwise why not, after the deadline at the latest."""
        if not self._queues:
            return Reason.LOG_UNAVAILABLE
        now = self._loop.time()
        size = len(value) + _RECORD_OVERHEAD
        if not self._budget.take(size):
            return Reason.OVERLOADED
        if not self._breaker.admits(now):
            self._budget.release(size)
            return Reason.LOG_UNAVAILABLE
        append = _Append(key, value, headers, at=at, due=now + self._deadline_seconds, done=self._loop.create_future())
        del value
        partition = self._partition_of(key)
        self._queues[partition].append(append)
        self._note_queued(1)
        self._filled.add(partition)
        self._waiting.append(append)
        if self._flushing is None and self._producer.leader_of(self._topic, partition) not in self._busy:
            self._flushing = self._loop.call_soon(self._flush)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        return await append.done

    async def stop(self) -> None:
        """Take no more and answer all that wait. What the producer has is the producer's to flush."""
        self._queues = []
        self._filled.clear()
        for handle in (self._sweeper, self._flushing):
            if handle is not None:
                handle.cancel()
        for task in self._rounds:
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        for append in self._waiting:
            append.settle(Reason.DRAINING)

    def _partition_of(self, key: bytes | None) -> int:
        if key is not None:
            return partition_of(key, len(self._queues))
        self._next_queue = (self._next_queue + 1) % len(self._queues)
        return self._next_queue

    def _flush(self) -> None:
        """Begin a round to every broker that has none and for which something waits."""
        self._flushing = None
        rounds: dict[int | None, list[int]] = {}
        for partition in self._filled - self._sending:
            leader = self._producer.leader_of(self._topic, partition)
            if leader not in self._busy:
                rounds.setdefault(leader, []).append(partition)
        for leader, partitions in rounds.items():
            self._busy.add(leader)
            self._sending.update(partitions)
            task = self._loop.create_task(self._round(leader, partitions))
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)

    async def _round(self, leader: int | None, partitions: list[int]) -> None:
        """One batch for each partition, until all are acknowledged, as long as the broker's one produce request takes."""
        try:
            batches = [batch for batch in map(self._batch, partitions) if batch.appends]
            futures = [await self._submitted(batch) for batch in batches]
            if futures:
                await asyncio.wait(futures)
                await self._moment()
        except Exception as problem:  # the task's boundary
            # The producer's own task has ended and sends no more, or what this round took is nowhere: only a new process helps.
            self._fatal.set()
            log.critical("kafka.producer_failed", error=type(problem).__name__, exc_info=problem)
        finally:
            self._busy.discard(leader)
            self._sending.difference_update(partitions)
            if self._filled and self._flushing is None:
                self._flush()

    async def _moment(self) -> None:
        """Between two rounds."""
        await asyncio.sleep(BETWEEN_ROUNDS_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FEW_SECONDS - BETWEEN_ROUNDS_SECONDS):
                await self._many.wait()

    def _note_queued(self, more: int) -> None:
        self._queued += more
        if self._queued < _FEW:
            self._many.clear()
        else:
            self._many.set()

    def _batch(self, partition: int) -> _Batch:
        batch = _Batch(partition, self._producer.new_batch())
        queue = self._queues[partition]
        batch.fill(queue)
        self._note_queued(-len(batch.appends))
        if not queue:
            self._filled.discard(partition)
        return batch

    async def _submitted(self, batch: _Batch) -> asyncio.Future[Any]:
        while True:
            try:
                future = await self._producer.submit(batch.builder, self._topic, batch.partition)
            except KafkaError as problem:
                if not (problem.retriable or isinstance(problem, KafkaTimeoutError)):
                    self._settle(batch, problem)
                    raise
                await asyncio.sleep(SWEEP_SECONDS)
            else:
                future.add_done_callback(lambda done: self._settle(batch, _problem_of(done)))
                return future

    def _settle(self, batch: _Batch, problem: BaseException | None) -> None:
        self._budget.release(batch.size)
        if problem is None:
            if self._breaker.is_open:
                log.info("breaker.closed")
            self._breaker.acknowledged()
        else:
            log.error("kafka.append_failed", error=type(problem).__name__, records=len(batch.appends))
            self._miss()
        refusal = None if problem is None else Reason.LOG_UNAVAILABLE
        for append in batch.appends:
            append.settle(refusal)

    def _sweep(self) -> None:
        """Refuse every request whose deadline has passed. All deadlines are equally long, so the oldest stands first."""
        now = self._loop.time()
        waiting = self._waiting
        expired = 0
        while waiting and (waiting[0].done.done() or waiting[0].due <= now):
            append = waiting.popleft()
            if not append.done.done():
                append.settle(Reason.LOG_UNAVAILABLE)
                self._miss()
                expired += 1
        if expired:
            self._forget_expired(now)
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep) if waiting else None

    def _miss(self) -> None:
        was_open = self._breaker.is_open
        self._breaker.missed(self._loop.time())
        if self._breaker.is_open and not was_open:
            log.warning("breaker.opened", hint=_OPENED)

    def _forget_expired(self, now: float) -> None:
        for queue in self._queues:
            while queue and queue[0].due <= now:
                self._budget.release(queue.popleft().size)
                self._note_queued(-1)


def _problem_of(future: asyncio.Future[Any]) -> BaseException | None:
    return asyncio.CancelledError() if future.cancelled() else future.exception()
