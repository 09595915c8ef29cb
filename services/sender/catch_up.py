"""Do the read models know everything that was in the log when a command came? Asked only before a refusal.

A reply may follow its inbound message within milliseconds; then the command overtakes the message's projection. The rule: at an
instant T the ends of the topics that windows, consents and templates are made of are read; once the projector's positions have
passed these ends, every fact that was in the log at T is in the tables. A command that was taken in before such a T is judged by
them. While one T is waited for the next ones are taken already: a command waits for what was there when it came, and for no more.

A command that names its cause needs none of this: the gate looks for that record's position itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.domain.topics import ACCOUNT_EVENTS
from services.common.platform import logging, postgres
from services.common.platform.clock import now_ms
from services.common.platform.kafka import bounded
from services.common.platform.lifecycle import sleep_unless
from services.sender.knowledge import CAUSES
from services.sender.store import Store

log = logging.get(__name__)

_TOPICS: Final = (*CAUSES, ACCOUNT_EVENTS)
_POLL_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 10.0
"""Kafka has this long for an answer, and the read models to pass one: nobody waits longer."""
_CLOSE_SECONDS: Final = 1.0


class _Ends(NamedTuple):
    """(topic, partition) -> where it ended at an instant."""

    asked_at: int
    wanted: Mapping[tuple[str, int], int]


class CatchUp:
    """`caught_up_at`: the read models know everything that was in the log at this instant (milliseconds)."""

    def __init__(self, store: Store, *, new_consumer: Callable[[], AIOKafkaConsumer], partitions: Mapping[str, int]) -> None:
        self._store, self._new_consumer = store, new_consumer
        self._partitions = [TopicPartition(topic, number) for topic in _TOPICS for number in range(partitions[topic])]
        self._consumer: AIOKafkaConsumer | None = None
        self._wanted = asyncio.Event()
        self._ahead: deque[_Ends] = deque()
        self.caught_up_at = 0

    def want(self) -> None:
        """Somebody is about to be refused: find out how far the read models are."""
        self._wanted.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Answer when asked, until asked to stop."""
        while not stopping.is_set():
            if not self._ahead:
                await self._wanted.wait()
            try:
                if self._wanted.is_set():
                    self._wanted.clear()
                    await self._look()
            except (KafkaError, OSError) as problem:
                log.warning("catch_up.log_away", error=type(problem).__name__)
                self._wanted.set()
                await self.stop()
            await self._pass(stopping)
            await sleep_unless(stopping, _POLL_SECONDS)

    async def stop(self) -> None:
        """Close the connection; never hangs."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await bounded(consumer.stop(), _CLOSE_SECONDS)

    async def _look(self) -> None:
        """Where the log ends now."""
        asked_at = now_ms()
        async with asyncio.timeout(_LONGEST_SECONDS):
            ends = await (await self._connected()).end_offsets(self._partitions)
        self._ahead.append(_Ends(asked_at, {(tp.topic, tp.partition): end for tp, end in ends.items() if end > 0}))

    async def _pass(self, stopping: asyncio.Event) -> None:
        """Which of the ends the read models have passed; they pass them in the order of asking."""
        if not self._ahead:
            return
        positions = await postgres.retrying(lambda: self._store.positions(_TOPICS), service="sender", stopping=stopping)
        oldest = now_ms() - _LONGEST_SECONDS * 1000
        while self._ahead and positions is not None:
            ends = self._ahead[0]
            if all(positions.get(place, 0) >= end for place, end in ends.wanted.items()):
                self.caught_up_at = ends.asked_at
            elif ends.asked_at > oldest:
                return
            self._ahead.popleft()

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._new_consumer()
            await consumer.start()
            consumer.assign(self._partitions)
            consumer.pause(*self._partitions)
            self._consumer = consumer
        return self._consumer
