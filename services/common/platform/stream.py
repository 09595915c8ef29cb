"""How does a Faust worker read the log without losing a record? The one recipe, used by router and projector alike.

Left to its documented idioms Faust acknowledges an event whose agent raised, commits past events still in flight, stalls after a
decode error and never comes back from a long pause. What holds instead, and why each line is here (docs/adr/0001):

* raw bytes topics, decoded by us: an undecodable record is a dead letter, not a dead stream;
* one agent, concurrency 1, that takes batches from its channel itself and acknowledges in order after the effect: the committed
  offset never runs ahead. Faust's own iteration goes once around the event loop for each record, and `noack_take` has a timer
  that makes a lone record wait and cuts a backlog into small batches;
* the next batches are prepared while one is being made durable, and wait for it: one effect at a time, in order;
* any exception ends the process at once (`os._exit`), so nothing else can acknowledge; the supervisor starts it again. What no
  restart mends (a position outside the log, a hole in it, ...) is shown for a while first; meanwhile nothing goes on;
* positions may come from the reader's own store (`Positions`), by overriding `seek_to_committed`: the only hook Faust does not
  overwrite;
* static membership: a killed worker's partitions move again as soon as its slot is restarted;
* `broker_max_poll_interval` practically infinite with a watchdog of our own: Faust's idle workers otherwise leave for ever;
* a pump of our own from fetch to channel: Faust makes four tasks a record to wait for two things of which one is never pending in
  normal flow, and that was half of all the work.

Crash thinking: the effect is done when `commit` returns; the acknowledgement comes after; dying between repeats the batch. Before
the first batch of a partition in each life a mark is written beside the group's offset; it goes with the next commit. What a life
finds of the marks of those before says how it begins (domain/strikes.py): nearly always as if there were none.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Generic, Protocol, TypeVar

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ack_lock
from mode.supervisors import CrashingSupervisor
from mode.utils.futures import notify

from services.common.domain.arrears import Arrears
from services.common.domain.failure import Unprocessable
from services.common.domain.loud_stops import LoudStop, check_hole, check_log_range
from services.common.domain.strikes import Strikes
from services.common.platform import logging, metrics
from services.common.platform.clock import now_ms
from services.common.platform.faults import fault
from services.common.platform.kafka import (
    FETCH_BYTES,
    HEARTBEAT_SECONDS,
    SESSION_SECONDS,
    TURN,
    LogRecord,
    careful,
    committed_with_marks,
    struck_out,
    watch_membership,
)
from services.common.platform.kafka_access import Brokers, client_options
from services.common.platform.lifecycle import EXIT_FATAL, EXIT_STALLED, exit_now, stop_loudly

log = logging.get(__name__)

Prepared = TypeVar("Prepared")
"""What a batch comes to, before anything has happened."""

BATCH: Final = 1_000
_READY: Final = 1
"""Prepared batches that may wait for their turn, besides the one being prepared: an effect has its own pauses."""
_RECORD_OVERHEAD: Final = 1_024
"""What Faust's objects around a record take."""
_FEW: Final = 100
"""Records that a pause is worth while for."""
STALLED_SECONDS: Final = 120.0
_PATIENCE_SECONDS: Final = 5.0
"""A record that kills does it sooner. What takes longer waits for something else."""
_WITHDRAW_SECONDS: Final = 2.0
_NOT_THE_RECORDS: Final = (KafkaError, OSError, LoudStop)
"""What ends a process whatever record is in hand."""


class Positions(Protocol):
    """Where a reader that keeps its own positions wants to read on."""

    async def next_offsets(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Next offset of each partition that has been read before; others are absent. Retries until it knows."""


class _Inflight:
    """What was handed to the stream and is not yet acknowledged. Bytes are bounded: record counts cannot give that."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._room = asyncio.Event()
        self._room.set()
        self.waiting = 0
        """Records that no batch has taken yet."""
        self.arrears = Arrears()

    @property
    def is_full(self) -> bool:
        return self._bytes >= self._limit

    async def room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def hand_over(self, run: _Run) -> None:
        self._bytes += run.bytes
        self.waiting += len(run.records)
        self.arrears.took(run.tp, offset=run.offset, appended_at=run.records[0].appended_at)

    def release(self, batch: Sequence[_Run]) -> None:
        self._bytes = max(0, self._bytes - sum(run.bytes for run in batch))
        if self._bytes < self._limit:
            self._room.set()
        for run in batch:
            self.arrears.finished(run.tp, offset=run.offset, appended_at=run.records[-1].appended_at)

    def clear(self) -> None:
        """After a rebalance: what Faust dropped unprocessed will never be acknowledged."""
        self._bytes = self.waiting = 0
        self._room.set()
        self.arrears.forget()


class _Run:
    """Consecutive records of a partition on their way, and what Faust's consumer asks of its own `Message` until they are done.

    One object for up to TURN of them: to queue, track and acknowledge each record alone cost a tenth of a worker's time.
    """

    __slots__ = ("__weakref__", "acked", "bytes", "generation_id", "offset", "records", "topic", "tp")
    refcount = 1  # shown in the log of a stop or rebalance that waits

    def __init__(self, tp: TP, records: Sequence[LogRecord], generation_id: int) -> None:
        self.tp, self.records, self.generation_id = tp, records, generation_id
        self.topic, self.offset = tp.topic, records[0].offset
        self.bytes = sum([len(record.value or b"") for record in records]) + _RECORD_OVERHEAD * len(records)
        self.acked = False

    def __repr__(self) -> str:
        return f"{self.topic}/{self.tp.partition}/{self.offset}+{len(self.records)}"


class _Thread(driver.AIOKafkaConsumerThread):
    logger = driver.logger

    async def on_start(self) -> None:
        await super().on_start()
        app: _App = self.app
        watch_membership(self._consumer, group=app.conf.id, instance=app.instance)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fetch nothing before the seek: what that asks a broker would stand behind an empty fetch, for up to 1.5 s each time."""
        self._ensure_consumer().pause(*map(driver.ensure_aiokafka_TP, assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    async def _seek_wait(self, consumer: AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        await super()._seek_wait(consumer, partitions)
        consumer.resume(*map(driver.ensure_aiokafka_TP, partitions))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own watchdog only logs, and wants the monitor that we leave out."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """As Faust's own, but what stands beside an offset stays there."""
        strikes = self.app.strikes
        try:
            await self._write({tp: (offset, strikes.beside(tp, offset)) for tp, offset in offsets.items()})
        except CommitFailedError as problem:
            if "already rebalanced" not in str(problem):
                await self.crash(problem)
            return False
        except Exception as problem:  # noqa: BLE001 - Faust's own boundary
            await self.crash(problem)
            return False
        return True

    async def _write(self, marks: Mapping[TP, tuple[int, str]]) -> None:
        assigned = self.assignment()
        beside = {driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(*mark) for tp, mark in marks.items() if tp in assigned}
        if beside:
            await self._ensure_consumer().commit(beside)

    async def mark(self, marks: Mapping[TP, tuple[int, str]]) -> None:
        """Commit offsets with what is to stand beside them. A rebalance may prevent that: then nothing is counted."""
        try:
            await self.call_thread(self._write, marks)
        except (KafkaError, IllegalStateError) as problem:
            log.info("stream.not_marked", error=type(problem).__name__)

    async def committed_with_marks(self, tps: Iterable[TP]) -> Mapping[TP, tuple[int, str]]:
        """The group's offsets and what stands beside them; a partition without is absent."""
        places = [driver.ensure_aiokafka_TP(tp) for tp in tps]
        found = await self.call_thread(committed_with_marks, self._ensure_consumer(), places)
        return {TP(place.topic, place.partition): told for place, told in found.items()}


class _Consumer(driver.Consumer):
    logger = driver.logger

    app: _App
    _thread: _Thread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._progressed: set[TP] = set()
        """Partitions of this assignment of which something was done."""

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """From fetch to queue, in place of Faust's way through four tasks, two locks and a sensor for each record.

        What keeps a rebalance safe: whenever this has waited it asks whether flow and generation are still those of the fetch. If
        not, the rest is left out and no read offset is set, for the seek that belongs to the new assignment has set it.
        """
        queue = await self.app.queue
        while not (self.should_stop or fetcher.should_stop):
            records, active = await self._wait_next_records(timeout=1.0)
            await asyncio.sleep(0)
            if not records or self.should_stop:
                continue
            if not self.flow_active:
                with contextlib.suppress(IllegalStateError):  # partitions go meanwhile: those that come are sought when given
                    await self.perform_seek()
                continue
            generation = self.app.consumer_generation_id
            for tp, fetched in records.items():
                if active is None or tp in active:
                    await self._hand_over(queue, tp, fetched, generation)

    async def _hand_over(self, queue: Any, tp: TP, fetched: Sequence[Any], generation: int) -> None:
        inflight, strikes = self.app.inflight, self.app.strikes
        end = 0
        while end < len(fetched):
            start, end = end, end + (1 if strikes.is_single(tp, fetched[end].offset) else TURN)
            expected = self._read_offset[tp]  # the next one, as a seek sets it
            fresh = [record for record in fetched[start:end] if expected is None or record.offset >= expected]
            if not fresh:
                await self._look_at_range(tp, expected or 0)
                continue
            first = fresh[0].offset if expected is None else expected
            if fresh[-1].offset - first >= len(fresh):
                await self._look_at_gaps(tp, [first - 1, *(record.offset for record in fresh)])
            while inflight.is_full:
                await inflight.room()
            await asyncio.sleep(0)
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            run = _Run(tp, [LogRecord.of(record) for record in fresh], generation)
            inflight.hand_over(run)
            queue.put_nowait(run)
            self._read_offset[tp] = fresh[-1].offset + 1

    async def mark(self, marks: Mapping[TP, tuple[int, str]]) -> None:
        """See the thread's."""
        await self._thread.mark(marks)

    async def wait_empty(self) -> None:
        """As Faust's own, then commit what was done: where partitions go, Faust forgets first what is to be committed.

        Else the next reader does up to a second's work again, and takes the marks of this one for a death.
        """
        await super().wait_empty()
        if self.app.rebalancing:  # not at a stop, which gives back nothing
            fault(self.app.on_revoke)
        await self.mark({tp: (self.app.next_offsets[tp], "") for tp in self._progressed})

    def ack_run(self, run: _Run) -> None:
        """What Faust's `ack` does for each record, once for all of a run: its offsets may be committed, nobody waits for it."""
        self.app.next_offsets[run.tp] = run.records[-1].offset + 1
        self._progressed.add(run.tp)
        with ack_lock:
            run.acked = True
            self._unacked_messages.discard(run)
            committed = self._committed_offset[run.tp]
            known = self._acked_index[run.tp]
            offsets = [record.offset for record in run.records]
            fresh = [offset for offset in offsets if offset not in known and (committed is None or offset >= committed)]
            known.update(fresh)
            self._acked[run.tp] += fresh
            self._n_acked += len(fresh)
            notify(self._waiting_for_ack)

    async def _look_at_range(self, tp: TP, expected: int) -> None:
        """aiokafka reads on from the beginning, silently, where the position is no longer in the log."""
        starts, ends = await self.earliest_offsets(tp), await self.highwaters(tp)
        check_log_range(tp.topic, tp.partition, expected, start=starts[tp], end=ends[tp])

    async def _look_at_gaps(self, tp: TP, offsets: Sequence[int]) -> None:
        """Where a transaction's marker stands there is no record: the committed offset may pass it. Other gaps are losses."""
        await self._look_at_range(tp, offsets[0] + 1)
        if tp.topic not in self.app.with_gaps:
            for before, offset in pairwise(offsets):
                check_hole(tp.topic, tp.partition, before + 1, offset)
        if self.app.topics.acks_enabled_for(tp.topic):
            for before, offset in pairwise(offsets):
                if offset - before > 1:
                    await self._add_gap(tp, before + 1, offset - 1)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Also where nothing was ever committed: aiokafka leaves the position there, behind what was fetched and left out."""
        committed = dict(await super().seek_to_committed())
        self.app.inflight.clear()
        self._progressed.clear()
        positions = self.app.positions
        assigned = [tp for tp in self.assignment() if tp.topic in self.app.sources]
        known = {tp: offset for tp, offset in committed.items() if tp in assigned and offset is not None}
        self.app.next_offsets = known
        if not assigned:
            return committed
        stored = {} if positions is None else await positions.next_offsets([(tp.topic, tp.partition) for tp in assigned])
        starts = await self.earliest_offsets(*assigned)
        ends = await self.highwaters(*assigned)
        had = (
            known
            if positions is None
            else {tp: stored[place] for tp in assigned if (place := (tp.topic, tp.partition)) in stored}
        )
        for tp, offset in had.items():
            check_log_range(tp.topic, tp.partition, offset, start=starts[tp], end=ends[tp])
        want = {tp: had.get(tp, starts[tp]) for tp in assigned}
        if self.app.strikes.is_on:
            marks = await self._thread.committed_with_marks(assigned)
            # A mark before our own position is of what was done since; one behind it stands beyond a gap.
            fresh = {tp: mark for tp, mark in marks.items() if mark[0] >= want[tp]}
            for tp, strikes in self.app.strikes.assigned(fresh, ends).items():
                careful(tp.topic, tp.partition, fresh[tp][0], strikes, group=self.app.conf.id)
        await self.seek_wait(want)
        self.app.next_offsets, self.app.ends = dict(want), dict(ends)
        return {**committed, **want}


class _Transport(driver.Transport):
    Consumer = _Consumer


class _Tables(TableManager):
    """There are none. Faust's own manager waits a second at every start for agents that might still register one."""

    app: _App

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """What makes Faust seek and let the flow go on: before it nothing of the new assignment is read."""
        fault(self.app.on_assign)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)


class _App(faust.App):
    positions: Positions | None
    sources: frozenset[str]
    with_gaps: frozenset[str]
    inflight: _Inflight
    strikes: Strikes[TP]
    instance: str
    on_revoke: str
    on_assign: str
    queue: asyncio.Future[Any]
    next_offsets: dict[TP, int]
    ends: dict[TP, int]
    """Where the logs of the partitions ended as these were given."""

    def on_init_dependencies(self) -> Any:
        dependencies = super().on_init_dependencies()
        self.sensors.remove(self.monitor)  # statistics of each record that nobody reads; ours are in `metrics`
        return dependencies

    def _create_directories(self) -> None:
        """None: they are for tables and the web, which we do not have."""

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)


class Stream(Generic[Prepared]):
    """One consumer group of one service, reading `topics` in batches.

    `prepare` says what a batch comes to and changes nothing; `commit` makes that durable before it returns, one batch at a time
    and in the order of `prepare`. Records of a partition are in order; partitions are mixed. `before_ack` names the fault point
    between the effect and its acknowledgement, `on_revoke` the one where partitions go, between what was done and its commit,
    `on_assign` the one where they are given, before their first record.

    While few records wait, a batch begins `pause_seconds` after the end of the one before: at a steady trickle a batch costs its
    reader, and all behind it, more than the few records in it. A record that comes after a longer silence waits for nothing.

    `refuse` says what a record comes to that is set aside because it has killed the process three times, as `prepare` does; that
    happens only with `strike_out`.

    Offsets of `topics` have no gaps but in `with_gaps`, which producers may write in transactions. `shown_seconds`: how long a
    stop that no restart mends is shown.
    """

    def __init__(
        self,
        *,
        group: str,
        topics: Sequence[str],
        bootstrap_servers: Brokers,
        instance: str,
        prepare: Callable[[Sequence[LogRecord]], Awaitable[Prepared]],
        commit: Callable[[Prepared], Awaitable[None]],
        refuse: Callable[[LogRecord, Unprocessable], Prepared],
        before_ack: str,
        on_revoke: str,
        on_assign: str,
        buffer_bytes: int,
        shown_seconds: float,
        strike_out: bool,
        with_gaps: Sequence[str] = (),
        positions: Positions | None = None,
        pause_seconds: float = 0.0,
    ) -> None:
        self.group, self._before_ack = group, before_ack
        self._topics, self._prepare, self._commit, self._refuse = tuple(topics), prepare, commit, refuse
        self._app = self._new_app(bootstrap_servers, instance, buffer_bytes)
        self._app.positions, self._app.sources, self._app.with_gaps = positions, frozenset(topics), frozenset(with_gaps)
        self._app.on_revoke, self._app.on_assign = on_revoke, on_assign
        self._shown_seconds = shown_seconds
        self._stop: LoudStop | None = None
        self._app.instance = instance
        self._app.inflight = _Inflight(buffer_bytes)
        self._app.next_offsets, self._app.ends = {}, {}
        self._app.strikes = Strikes(life=uuid.uuid4().hex, reach=BATCH + TURN, is_on=strike_out)
        self._held: _Run | None = None
        self._progress_at = time.monotonic()
        self._pause_seconds, self._done_at = pause_seconds, 0.0
        self._ready: asyncio.Queue[tuple[Sequence[_Run], Prepared, bool]] = asyncio.Queue(_READY)
        self._is_committing = False
        self._joined = False
        self._stopping: asyncio.Event | None = None
        self._define_agent()

    def _new_app(self, bootstrap_servers: Brokers, instance: str, buffer_bytes: int) -> _App:
        return _App(
            self.group,
            **_broker_options(bootstrap_servers),
            broker_client_id=f"{self.group}-{instance}",
            consumer_group_instance_id=f"{self.group}-{instance}",
            processing_guarantee="at_least_once",
            agent_supervisor=CrashingSupervisor,
            stream_wait_empty=True,
            # More than the bytes allow: at its own bound Faust pauses partitions and fetches anew, ours lets the fetcher wait.
            stream_buffer_maxsize=2 * (buffer_bytes // _RECORD_OVERHEAD),
            broker_max_poll_interval=1e8,
            broker_max_poll_records=2_000,
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=HEARTBEAT_SECONDS,
            broker_rebalance_timeout=60.0,
            broker_request_timeout=40.0,
            broker_commit_interval=1.0,
            consumer_max_fetch_size=FETCH_BYTES,
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            producer_request_timeout=30.0,
            table_standby_replicas=0,
            TableManager=_Tables,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            key_serializer="raw",
            value_serializer="raw",
            cython_optimizations=False,
        )

    def _define_agent(self) -> None:
        async def read(stream: Any) -> None:
            self._app.queue.set_result(stream.channel.queue)
            try:
                while True:
                    batch = await self._take(stream.channel.queue)
                    is_apart = await self._begin(batch)
                    await self._ready.put((batch, await self._prepared(batch), is_apart))
                    if is_apart:
                        await self._ready.join()
            except StopAsyncIteration as end:  # how Faust ends a channel when the app stops, after all that was taken is done
                if not self._app.should_stop:
                    self._die(end)
            except Exception as problem:  # noqa: BLE001 - the loop's boundary: nothing may acknowledge after a failed effect
                if isinstance(problem, _NOT_THE_RECORDS):
                    await self.withdraw()
                self._die(problem)
                await asyncio.Event().wait()

        self._app.agent(self._app.topic(*self._topics), name=f"{self.group}.read", concurrency=1)(read)

    async def _take(self, queue: Any) -> list[_Run]:
        """The records that are at hand, at least one: a lone record goes at once, a backlog in full batches.

        Less than a full batch waits until those before are durable, and for the pause, and grows meanwhile.
        As in Faust's own iteration, what an earlier assignment brought is left out (it is fetched again by whoever has the
        partition now), and what is taken is tracked: a rebalance and a stop wait until it is acknowledged.
        """
        app = self._app
        taken: list[_Run] = []
        while not taken:
            if app.inflight.waiting < BATCH:
                await self._ready.join()
                if app.inflight.waiting < _FEW and (pause := self._done_at + self._pause_seconds - time.monotonic()) > 0:
                    await asyncio.sleep(pause)
            found = [await queue.get() if self._held is None else self._held]
            self._held = None
            count = len(found[0].records)
            is_single = app.strikes.is_single(found[0].tp, found[0].offset)
            while count < BATCH and not is_single and not queue.empty():
                run: _Run = queue.get_nowait()
                if app.strikes.is_single(run.tp, run.offset):
                    self._held = run
                    break
                found.append(run)
                count += len(run.records)
            app.inflight.waiting = max(0, app.inflight.waiting - count)
            if app.flow_control.is_active():
                taken = [run for run in found if run.generation_id == app.consumer_generation_id]
        for run in taken:
            app.consumer.track_message(run)
        return taken

    async def _begin(self, batch: Sequence[_Run]) -> bool:
        """Write the marks that must stand before the batch begins; True when it is to be the only one in hand."""
        strikes = self._app.strikes
        firsts: dict[TP, int] = {}
        for run in batch:
            firsts.setdefault(run.tp, run.offset)
        is_apart = strikes.are_apart(firsts)
        if is_apart:
            await self._ready.join()
        if marks := strikes.begin(firsts):
            await self._app.consumer.mark(marks)
        return is_apart

    async def _prepared(self, batch: Sequence[_Run]) -> Prepared:
        first = batch[0].records[0]
        if self._app.strikes.is_out(batch[0].tp, first.offset):  # then it is all of the batch
            return self._refuse(first, struck_out(first, group=self.group))
        return await self._prepare([record for run in batch for record in run.records])

    async def withdraw(self) -> None:
        """From now on dying is not the doing of the records in hand: the process ends, or waits for something else."""
        if marks := self._app.strikes.withdraw():
            writing = asyncio.create_task(self._app.consumer.mark(marks))
            await asyncio.wait({writing}, timeout=_WITHDRAW_SECONDS)

    async def _make_durable(self) -> None:
        """The one place where effects happen: batch after batch, each acknowledged before the next begins."""
        strikes = self._app.strikes
        while True:
            batch, prepared, is_apart = await self._ready.get()
            self._is_committing = True
            try:
                effect = self._commit(prepared)
                await (self._patiently(effect) if is_apart else effect)
            except _NOT_THE_RECORDS:
                await self.withdraw()
                raise
            fault(self._before_ack)
            strikes.done([run.tp for run in batch])
            for run in batch:
                self._app.consumer.ack_run(run)
            if is_apart:  # what comes next is not to stand beside its position
                await self._app.consumer.mark({run.tp: (run.records[-1].offset + 1, "") for run in batch})
            self._is_committing = False
            self._app.inflight.release(batch)
            self._count(batch)
            self._done_at = time.monotonic()
            self._ready.task_done()
            del batch, prepared, effect  # not until the next one comes, which may be much later

    async def _patiently(self, effect: Awaitable[None]) -> None:
        """Let it take as long as it takes, but no longer at the records' cost."""
        work = asyncio.ensure_future(effect)
        done, _ = await asyncio.wait({work}, timeout=_PATIENCE_SECONDS)
        if not done:
            await self.withdraw()
        await work

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task's exception would wait until somebody asks."""
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._die(problem)

    def _count(self, batch: Sequence[_Run]) -> None:
        self._progress_at = time.monotonic()
        for run in batch:
            metrics.RECORDS_PROCESSED.labels(self.group, run.topic).inc(len(run.records))
        metrics.RECORD_AGE_SECONDS.labels(self.group).observe(max(0.0, now_ms() - batch[0].records[0].appended_at) / 1000)

    def why_not_ready(self) -> str | None:
        """None when this worker is in the group and may be given partitions; a spare without any is ready."""
        app = self._app
        if self._stop is not None:
            return f"stopped for good: {self._stop.reason}"
        if app.crashed:
            return "crashed"
        if not self._joined or app.rebalancing:
            return "joining the group"
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        """Read until asked to stop; finish the batch in hand, commit, leave. A crash ends the process."""
        self._app.finalize()
        self._app.queue = asyncio.get_running_loop().create_future()
        self._stopping = stopping
        committing = asyncio.create_task(self._make_durable())
        committing.add_done_callback(self._ended)
        try:
            await self._app.start()
        except (KafkaError, OSError, LoudStop) as problem:
            await self._end(problem)
        self._joined = True
        log.info("stream.started", group=self.group)
        watchdog = asyncio.create_task(self._watch(stopping))
        stopped = asyncio.create_task(stopping.wait())
        ended = asyncio.create_task(self._app.wait_until_stopped())
        await asyncio.wait({stopped, ended, watchdog}, return_when=asyncio.FIRST_COMPLETED)
        if self._stop is not None or not stopping.is_set():
            await self._end(self._app.crash_reason or RuntimeError("the stream ended by itself"))
        watchdog.cancel()
        await self.withdraw()
        await self._app.stop()
        await self._ready.join()
        committing.cancel()
        ended.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ended

    async def _watch(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await asyncio.sleep(1.0)
            lag = self._measure()
            if lag == 0 or self._is_committing:
                # A batch in hand is either at work or in a retry that logs by itself.
                self._progress_at = time.monotonic()
            elif time.monotonic() - self._progress_at > STALLED_SECONDS:
                log.critical("stream.stalled", group=self.group, lag=lag)
                exit_now(EXIT_STALLED)

    def _measure(self) -> int:
        """How many records are not yet processed; told in metrics, with the age of the oldest."""
        consumer = self._app.consumer
        assigned = consumer.assignment()  # made anew by each call, and there are hundreds of partitions
        left: dict[tuple[str, int], int | None] = {}
        for tp, offset in self._app.next_offsets.items():
            if tp in assigned:
                highwater = consumer.highwater(tp)
                behind = (self._app.ends.get(tp, 0) if highwater is None else highwater) - offset
                left[tp] = None if highwater is None and behind <= 0 else max(0, behind)
        lag = sum([count or 0 for count in left.values()])
        metrics.CONSUMER_LAG.labels(self.group).set(lag)
        for topic, seconds in self._app.inflight.arrears.ages(self._topics, left, now=now_ms()).items():
            metrics.OLDEST_UNPROCESSED_SECONDS.labels(self.group, topic).set(seconds)
        return lag

    async def _end(self, problem: BaseException) -> None:
        """Never returns; who is asked to stop while it shows why it has stopped ends with the code of that."""
        self._die(problem)
        if self._stop is not None and self._stopping is not None:
            await self._stopping.wait()
            exit_now(self._stop.exit_code)

    def _die(self, problem: BaseException) -> None:
        """Returns only when it is shown for a while what no restart mends."""
        if self._stop is not None:
            return
        if self._stopping is not None and self._stopping.is_set():
            # Asked to stop while Kafka is away: what was not made durable is read again, so ending hard is a clean end.
            log.warning("stream.stopped_hard", group=self.group, error=type(problem).__name__)
            exit_now(0)
        if isinstance(problem, LoudStop):
            self._stop = problem
            stop_loudly(problem, group=self.group, shown_seconds=self._shown_seconds)
            return
        log.critical("stream.fatal", group=self.group, error=type(problem).__name__, exc_info=problem)
        exit_now(EXIT_FATAL)


def _broker_options(bootstrap_servers: Brokers) -> dict[str, Any]:
    """What clients are told, in Faust's words."""
    told = client_options(bootstrap_servers)
    options: dict[str, Any] = {"broker": [f"kafka://{server.strip()}" for server in told["bootstrap_servers"].split(",")]}
    trust = told.get("ssl_context")
    if "sasl_mechanism" in told:
        options["broker_credentials"] = faust.SASLCredentials(
            username=told["sasl_plain_username"],
            password=told["sasl_plain_password"],
            mechanism=told["sasl_mechanism"],
            ssl_context=trust,
        )
    elif trust is not None:
        options["broker_credentials"] = faust.SSLCredentials(context=trust)
    return options
