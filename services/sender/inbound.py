"""How many messages does each number receive? Meta counts them against the number's limit, so the limiter has to know.

The events' keys say it all (`phone_number_id/contact`): values are not looked at. Every sender reads the whole topic from where
it ends now, without a group, for the numbers it sends for. What is missed while Kafka is away was received and is over; nothing
that sends ever waits for this.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.domain.topics import INBOUND_MESSAGES
from services.common.platform import logging, metrics
from services.common.platform.kafka import bounded
from services.common.platform.lifecycle import sleep_unless

log = logging.get(__name__)

_POLL_MS: Final = 250
_RECORDS: Final = 2_000
_AGAIN_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 1.0


class InboundTail:
    """Tells `debit` how many messages a number has received since it was told last."""

    def __init__(
        self,
        *,
        new_consumer: Callable[[], AIOKafkaConsumer],
        partitions: Mapping[str, int],
        debit: Callable[[str, int], None],
    ) -> None:
        """`new_consumer` makes one without a group that commits nothing."""
        self._new_consumer, self._debit = new_consumer, debit
        self._partitions = [TopicPartition(INBOUND_MESSAGES, number) for number in range(partitions[INBOUND_MESSAGES])]
        self._consumer: AIOKafkaConsumer | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Count until asked to stop."""
        while not stopping.is_set():
            try:
                consumer = await self._connected()
                while not stopping.is_set():
                    fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS)
                    for phone_number_id, count in counted(record.key for batch in fetched.values() for record in batch).items():
                        metrics.INBOUND_DEBITED.inc(count)
                        self._debit(phone_number_id, count)
            except (KafkaError, OSError) as problem:
                log.warning("inbound.log_away", error=type(problem).__name__)
                await self.stop()
                await sleep_unless(stopping, _AGAIN_SECONDS)

    async def stop(self) -> None:
        """Close the connection; never hangs."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await bounded(consumer.stop(), _CLOSE_SECONDS)

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._consumer = self._new_consumer()
            await consumer.start()
            consumer.assign(self._partitions)
            await consumer.seek_to_end(*self._partitions)
        return self._consumer


def counted(keys: Iterable[bytes | None]) -> Counter[str]:
    """How many of these keys are of each number; what has no number in its key is nobody's."""
    numbers = (key.partition(b"/")[0] for key in keys if key)
    return Counter(number.decode("utf-8", "replace") for number in numbers if number)
