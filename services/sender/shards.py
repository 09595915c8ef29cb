"""Which shards may this process send for? Kafka says who should, an epoch in Postgres says who may.

Shard n is partition n of every lane's topic; with the range assignor and equal counts one member gets all three. On assignment
the epoch is bumped: after that commit an earlier owner, alive or not, starts nothing more. What it started is adopted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener

from services.common.domain.topics import SENDER_SOURCES
from services.common.platform import logging, metrics, postgres
from services.common.platform.faults import fault
from services.sender.dispatcher import Dispatcher
from services.sender.numbers import Numbers
from services.sender.stops import Stops
from services.sender.store import Store

log = logging.get(__name__)

DRAIN_SECONDS: Final = 12.0
"""How long a rebalance waits for calls under way: longer than one of them can last."""


class Shards(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Takes shards over and gives them back, as the group is rebalanced.

    `remembered_seconds`: what the last owner started longer ago counts for no limit any more.
    """

    def __init__(
        self,
        *,
        store: Store,
        numbers: Numbers,
        stops: Stops,
        dispatcher: Dispatcher,
        adopt: Callable[[Sequence[int]], Awaitable[None]],
        instance: str,
        remembered_seconds: float,
        told: asyncio.Event,
        stopping: asyncio.Event,
        commit: Callable[[], Awaitable[None]],
        begin: Callable[[], None],
        fail: asyncio.Future[None],
    ) -> None:
        self._store, self._numbers, self._dispatcher, self._adopt = store, numbers, dispatcher, adopt
        self._stops = stops
        self._instance, self._told, self._stopping = instance, told, stopping
        self._remembered_seconds = remembered_seconds
        self._commit, self._begin, self._fail = commit, begin, fail
        self._epochs: dict[int, int] = {}
        self._early: set[tuple[str, int]] = set()
        self._taking: asyncio.Task[None] | None = None
        self.is_assigned = False

    def owned(self) -> Sequence[int]:
        """Shards this process may send for."""
        return tuple(self._epochs)

    @property
    def is_settled(self) -> bool:
        """True when every assigned shard has been taken over."""
        return self.is_assigned and (self._taking is None or self._taking.done())

    def notify(self, phone_number_id: str, shard: int, count: int) -> None:
        """`count` new commands of the number are in Postgres."""
        epoch = self._epochs.get(shard)
        if epoch is None:  # not taken over yet: these rows may be younger than the backlog that was read for it
            self._early.add((phone_number_id, shard))
            return
        number = self._numbers.serve(phone_number_id, shard=shard, epoch=epoch)
        number.waiting += count
        number.wake.set()
        self._dispatcher.serve(number)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Start nothing more, let the calls under way end, and forget what another owner will know better."""
        with self._failing():
            fault("sender.on_revoke")
            self.is_assigned = False
            if self._taking is not None:
                self._taking.cancel()
                await asyncio.wait({self._taking})
                self._taking = None
            if self._epochs:
                await self._dispatcher.drain(DRAIN_SECONDS)
            await self._commit()
            self._epochs.clear()
            self._early.clear()
            self._numbers.forget()
            metrics.SHARDS_OWNED.set(0)
            log.info("shards.revoked", partitions=len(list(revoked)))

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Take over beside the group's own work: Postgres may be away, and the group must not wait for it."""
        with self._failing():
            fault("sender.on_assign")
            partitions = list(assigned)
            shards = whole_shards(partitions)
            if len(shards) * len(SENDER_SOURCES) != len(partitions):
                log.error("shards.split", partitions=len(partitions), shards=len(shards))
            self.is_assigned = True
            self._begin()
            self._taking = asyncio.create_task(self._take_over(shards))
            self._taking.add_done_callback(self._taken)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """aiokafka logs what a listener raises and goes on, with shards half given back or never taken: here it ends us."""
        try:
            yield
        except Exception as problem:
            self._failed(problem)
            raise

    async def _take_over(self, shards: Sequence[int]) -> None:
        if shards:
            await postgres.retrying(lambda: self._take_over_once(shards), service="sender", stopping=self._stopping)

    async def _take_over_once(self, shards: Sequence[int]) -> None:
        await self._numbers.reload()
        await self._stops.load()
        epochs = await self._store.take_over(shards, self._instance)
        past = await self._store.past(shards, self._remembered_seconds)
        for (phone_number_id, shard), left in past.items():
            self._numbers.serve(phone_number_id, shard=shard, epoch=epochs[shard], past=left)
        await self._adopt(shards)
        backlog = await self._store.backlog(shards)
        self._epochs = epochs
        self._dispatcher.resume()
        for (phone_number_id, shard), count in backlog.items():
            self.notify(phone_number_id, shard, count)
        early, self._early = self._early, set()
        for phone_number_id, shard in early:
            self.notify(phone_number_id, shard, 0)
        self._told.set()
        metrics.SHARDS_OWNED.set(len(epochs))
        log.info("shards.taken_over", shards=len(epochs), numbers=len(backlog))

    def _taken(self, task: asyncio.Task[None]) -> None:
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self._failed(problem)

    def _failed(self, problem: BaseException) -> None:
        if not self._fail.done():
            self._fail.set_exception(problem)


def whole_shards(partitions: Iterable[Any]) -> list[int]:
    """The shards of which every lane's partition is among these."""
    topics: dict[int, set[str]] = {}
    for tp in partitions:
        topics.setdefault(tp.partition, set()).add(tp.topic)
    return sorted(shard for shard, found in topics.items() if found >= set(SENDER_SOURCES))
