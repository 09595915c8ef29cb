"""Do the read models know everything that was in the log when a command came? Asked only before a refusal.

A reply may follow its inbound message within milliseconds; then the command overtakes the message's projection. The rule: at an
instant T the ends of the topics that windows and consents are made of are read; once the projector's positions have passed
these ends, every fact that was in the log at T is in the tables. A command that was taken in before such a T is judged by them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.domain.topics import CONSENT_RECORDS, CONTACT_EVENTS, INBOUND_MESSAGES
from services.common.platform import logging, postgres
from services.common.platform.kafka import bounded
from services.common.platform.lifecycle import sleep_unless
from services.sender.store import Store, now_ms

log = logging.get(__name__)

_TOPICS: Final = (INBOUND_MESSAGES, CONTACT_EVENTS, CONSENT_RECORDS)
_POLL_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0


class CatchUp:
    """`caught_up_at`: the read models know everything that was in the log at this instant (milliseconds)."""

    def __init__(self, store: Store, *, new_consumer: Callable[[], AIOKafkaConsumer], partitions: Mapping[str, int]) -> None:
        self._store, self._new_consumer = store, new_consumer
        self._partitions = [TopicPartition(topic, number) for topic in _TOPICS for number in range(partitions[topic])]
        self._consumer: AIOKafkaConsumer | None = None
        self._wanted = asyncio.Event()
        self.caught_up_at = 0

    def want(self) -> None:
        """Somebody is about to be refused: find out how far the read models are."""
        self._wanted.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Answer when asked, until asked to stop."""
        while not stopping.is_set():
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._pass(stopping)
            except (KafkaError, OSError) as problem:
                log.warning("catch_up.log_away", error=type(problem).__name__)
                await self.stop()
                await sleep_unless(stopping, _POLL_SECONDS)

    async def stop(self) -> None:
        """Close the connection; never hangs."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await bounded(consumer.stop(), _CLOSE_SECONDS)

    async def _pass(self, stopping: asyncio.Event) -> None:
        asked_at = now_ms()
        async with asyncio.timeout(_LONGEST_SECONDS):
            ends = await (await self._connected()).end_offsets(self._partitions)
            wanted = {(tp.topic, tp.partition): end for tp, end in ends.items() if end > 0}
            while not stopping.is_set():
                positions = await postgres.retrying(lambda: self._store.positions(_TOPICS), service="sender", stopping=stopping)
                if positions is not None and all(positions.get(place, 0) >= end for place, end in wanted.items()):
                    self.caught_up_at = asked_at
                    return
                await sleep_unless(stopping, _POLL_SECONDS)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._new_consumer()
            await consumer.start()
            consumer.assign(self._partitions)
            consumer.pause(*self._partitions)
            self._consumer = consumer
        return self._consumer
