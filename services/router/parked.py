"""Can this router read what an earlier one had to park? Once a start, from where the last one got to as far as the log goes then.

A command of a later schema is no dead letter: its producer was upgraded first. It is kept under its own key and headers until a
router knows the schema; that one puts it back among the commands. What is still too new goes to the end of the topic.

Crash thinking: the effect is the appended records, the commit is the group's offset, which comes after the brokers have all of
them. Dying in between puts the same commands back again under the same command_id, and the sender answers them once. The offset
never passes the end as of the start, so that what was parked again waits for the next start.

No static membership here: a member that is done leaves at once, and what it had goes to those that still read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.common.domain.topics import PARKED_COMMANDS, SEND_COMMANDS
from services.common.platform import logging, metrics
from services.common.platform.avro import Codec
from services.common.platform.envelope import without_origin
from services.common.platform.faults import fault
from services.common.platform.kafka import LogRecord, NewRecord, Producer, bounded
from services.common.platform.lifecycle import sleep_unless

log = logging.get(__name__)

GROUP: Final = "parley.router.parked"
_BATCH: Final = 500
_POLL_MS: Final = 250
_STOP_SECONDS: Final = 2.0


def again(record: LogRecord, codec: Codec) -> NewRecord:
    """Back among the commands, as its producer wrote it; or, if it is still too new, parked again as it stands.

    Its headers go on saying where its producer appended it, not where it was parked before.
    """
    if record.value is not None and codec.is_newer(record.value):
        return NewRecord(PARKED_COMMANDS, record.key, record.value, record.headers)
    return NewRecord(SEND_COMMANDS, record.key, record.value, without_origin(record.headers))


class Parked:
    """The topic of parked commands, for one pass."""

    def __init__(
        self,
        *,
        new_consumer: Callable[[], AIOKafkaConsumer],
        producer: Producer,
        codec: Codec,
        partitions: Mapping[str, int],
    ) -> None:
        """`new_consumer` gives a member of GROUP that is not started and commits nothing by itself."""
        self._new_consumer = new_consumer
        self._producer, self._codec, self._partitions = producer, codec, partitions

    async def reopen(self, stopping: asyncio.Event) -> None:
        """Return when all that was parked before is read, or when asked to stop. Tries again while Kafka is away."""
        while not stopping.is_set():
            consumer = self._new_consumer()
            try:
                if await self._started(consumer, stopping):
                    await self._read(consumer, stopping)
                    return
            except (KafkaError, OSError) as problem:
                log.warning("parked.interrupted", error=type(problem).__name__)
                await sleep_unless(stopping, 1.0)
            finally:
                await bounded(consumer.stop(), _STOP_SECONDS)

    async def _started(self, consumer: AIOKafkaConsumer, stopping: asyncio.Event) -> bool:
        """True once it is a member; False when asked to stop before that."""
        starting = asyncio.create_task(consumer.start())
        asked = asyncio.create_task(stopping.wait())
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return False
        starting.result()
        return True

    async def _read(self, consumer: AIOKafkaConsumer, stopping: asyncio.Event) -> None:
        places = [TopicPartition(PARKED_COMMANDS, partition) for partition in range(self._partitions[PARKED_COMMANDS])]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        while not stopping.is_set() and await _is_before(consumer, ends):
            fetched: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            for place, batch in fetched.items():
                records = [LogRecord.of(record) for record in batch if record.offset < ends[place]]
                if records:
                    await self._put_back(records)
                    fault("router.after_reopen_before_commit")
                    await consumer.commit({place: records[-1].offset + 1})

    async def _put_back(self, records: Sequence[LogRecord]) -> None:
        found = [again(record, self._codec) for record in records]
        await self._producer.append_all(found, self._partitions)
        for topic, outcome in ((SEND_COMMANDS, "back"), (PARKED_COMMANDS, "parked")):
            count = sum(record.topic == topic for record in found)
            metrics.REOPENED_COMMANDS.labels(outcome).inc(count)
            if count:
                log.info("parked.read_anew", outcome=outcome, count=count)


async def _is_before(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    """Whether any partition that is ours now has something left from before the start."""
    return any([await consumer.position(place) < ends[place] for place in consumer.assignment()])
