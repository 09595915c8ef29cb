"""How is the log read again, from one place in each partition to another, into tables that nobody else writes?

No consumer group, and nothing is ever produced. The next batches are read and folded while Postgres works on the one before them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition

from services.common.platform.faults import fault
from services.common.platform.kafka import LogRecord
from services.projector.batch import Partition
from services.projector.store import Folded
from services.projector.worker import Worker

BATCH: Final = 2_000
READY: Final = 2
"""Folded batches that may wait for their turn: now one side has a pause, now the other."""
STALLED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is being done, and how far it is; without a `total` nobody knows."""

    text: str
    done: int = 0
    total: int = 0


Told = Callable[[Step], None]


class ReplayStalled(Exception):  # noqa: N818 - what happened
    """The log did not give what it should have."""


class Replay:
    """Applies every record from `begin` to a target, and none after; the target may move on."""

    def __init__(
        self,
        consumer: Any,
        worker: Worker,
        *,
        begin: Mapping[Partition, int],
        told: Told,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        """`consumer` is started and has no group. `begin` names every partition that is read, and where."""
        self._consumer, self._worker, self._told = consumer, worker, told
        self._stalled_seconds = stalled_seconds
        self._read = dict(begin)
        self._durable = dict(begin)
        self.records = 0
        self.seconds = 0.0
        """Time spent with reading and applying."""
        consumer.assign([TopicPartition(*place) for place in begin])
        for place, offset in begin.items():
            consumer.seek(TopicPartition(*place), offset)

    def missing(self, target: Mapping[Partition, int]) -> int:
        """Offsets between what is durable and there."""
        return between(self._durable, target)

    async def until(self, target: Mapping[Partition, int]) -> None:
        """Return when every record before the target is durable; ReplayStalled when the log gives none of them for too long."""
        began = progress_at = time.monotonic()
        committing: deque[asyncio.Task[None]] = deque()
        try:
            while between(self._read, target):
                due = await self._fetch(target)
                prepared = await self._worker.prepare(due) if due else None
                while len(committing) > (READY if due else 0):
                    await committing.popleft()
                    progress_at = time.monotonic()
                if prepared is not None:
                    after = committing[-1] if committing else None
                    committing.append(asyncio.create_task(self._commit(prepared, target, after)))
                elif not await self._pass_markers() and time.monotonic() - progress_at > self._stalled_seconds:
                    raise ReplayStalled
            while committing:
                await committing.popleft()
        finally:
            for task in committing:
                task.cancel()
            await asyncio.gather(*committing, return_exceptions=True)
            self.seconds += time.monotonic() - began

    async def _fetch(self, target: Mapping[Partition, int]) -> list[LogRecord]:
        """What comes next and is due; partitions that are there already rest."""
        for place, offset in self._read.items():
            flow = self._consumer.resume if offset < target.get(place, 0) else self._consumer.pause
            flow(TopicPartition(*place))
        fetched = await self._consumer.getmany(timeout_ms=500, max_records=BATCH)
        due: list[LogRecord] = []
        for tp, records in fetched.items():
            place = (tp.topic, tp.partition)
            end = target.get(place, 0)
            taken = records if records[-1].offset < end else [record for record in records if record.offset < end]
            due += map(LogRecord.of, taken)
            if taken:
                self._read[place] = taken[-1].offset + 1
            if len(taken) < len(records):
                self._consumer.seek(tp, self._read[place])
        return due

    async def _commit(self, prepared: Folded, target: Mapping[Partition, int], after: asyncio.Task[None] | None) -> None:
        """In their order; what follows one that failed is not applied."""
        if after is not None:
            await after
        await self._worker.commit(prepared)
        self._note(prepared.batch)
        fault("projector.after_rebuild_batch")
        left = self.missing(target)
        self._told(Step(text="Reading the log", done=self.records, total=self.records + left))

    def _note(self, batch: Sequence[Any]) -> None:
        self.records += len(batch)
        for read in batch:
            self._durable[read.record.topic, read.record.partition] = read.record.offset + 1

    async def _pass_markers(self) -> bool:
        """At the end of a partition there may be a transaction's marker instead of a record. True when one was passed."""
        is_passed = False
        for place, offset in self._read.items():
            position = await self._consumer.position(TopicPartition(*place))
            if position > offset:
                self._read[place] = self._durable[place] = position
                is_passed = True
        return is_passed


def between(reached: Mapping[Partition, int], target: Mapping[Partition, int]) -> int:
    """Offsets from one to the other."""
    return sum([max(0, offset - reached.get(place, 0)) for place, offset in target.items()])
