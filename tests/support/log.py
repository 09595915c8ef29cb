"""How does a test write to the log and read all of it, independently of our own services?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from services.common.platform.kafka import FETCH_BYTES, LogRecord, NewRecord, wait_for_topics


def append(bootstrap_servers: str, records: Iterable[NewRecord]) -> None:
    """Append all and return when all are acknowledged."""
    asyncio.run(_append(bootstrap_servers, list(records)))


def read(bootstrap_servers: str, *topics: str) -> list[LogRecord]:
    """Every record of these topics from the beginning to what is the end now, by partition and offset."""
    return asyncio.run(_read(bootstrap_servers, topics))


def end_offsets(bootstrap_servers: str, *topics: str) -> int:
    """How many records these topics have got so far."""
    return asyncio.run(_end(bootstrap_servers, topics))


def forget(bootstrap_servers: str, *topics: str) -> None:
    """Delete all records of these topics, as retention does."""
    asyncio.run(_forget(bootstrap_servers, topics))


async def _append(bootstrap_servers: str, records: Sequence[NewRecord]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=FETCH_BYTES)
    await producer.start()
    try:
        sent = [await producer.send(r.topic, r.value, r.key, headers=list(r.headers)) for r in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _partitions(bootstrap_servers: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Waits for a broker that has just come back: until it is let in again it knows of no partitions."""
    async with asyncio.timeout(20.0):
        found = await wait_for_topics(bootstrap_servers, topics, asyncio.Event())
    return [TopicPartition(topic, p) for topic, partitions in found.items() for p in range(partitions)]


async def _end(bootstrap_servers: str, topics: Sequence[str]) -> int:
    partitions = await _partitions(bootstrap_servers, topics)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        return sum((await consumer.end_offsets(partitions)).values())
    finally:
        await consumer.stop()


async def _read(bootstrap_servers: str, topics: Sequence[str]) -> list[LogRecord]:
    partitions = await _partitions(bootstrap_servers, topics)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, max_partition_fetch_bytes=FETCH_BYTES, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[LogRecord] = []
        while True:
            for batch in (await consumer.getmany(timeout_ms=100)).values():
                records.extend(LogRecord.of(record) for record in batch)
            if all([await consumer.position(partition) >= ends[partition] for partition in partitions]):
                return sorted(records, key=lambda r: (r.topic, r.partition, r.offset))
    finally:
        await consumer.stop()


async def _forget(bootstrap_servers: str, topics: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        # An offset of -1 is the end.
        await admin.delete_records({place: RecordsToDelete(-1) for place in await _partitions(bootstrap_servers, topics)})
    finally:
        await admin.close()
