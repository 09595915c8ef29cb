"""How does a command read a topic? All partitions, without a group, so that nobody's position moves."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaClient, AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from services.cli.problem import CommandError
from services.common.platform.kafka import LogRecord
from services.common.platform.kafka_access import Brokers, client_options

NO_KAFKA = "Is the stack running? `make up` starts it."
NOT_LET_IN = "Is it running, and do PARLEY_KAFKA_USER, PARLEY_KAFKA_PASSWORD and the certificates fit it?"
NO_RIGHT = "What each may do stands in deploy/kafka/users.yaml."


def kafka_failed(problem: Exception) -> CommandError:
    """What to tell of a KafkaError or a TimeoutError. aiokafka has one error for brokers that are away and that refuse us."""
    if isinstance(problem, TopicAuthorizationFailedError):
        return CommandError("Kafka does not let this principal do that.", hint=NO_RIGHT)
    return CommandError("Kafka does not answer.", hint=NOT_LET_IN if os.environ.get("PARLEY_KAFKA_USER") else NO_KAFKA)


def quiet_clients() -> None:
    """aiokafka tells each failed connection in its own words; the command has its own."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class Reader:
    """Reads from a place fixed on entry: what is appended after that is seen for sure."""

    def __init__(self, bootstrap_servers: Brokers, topic: str, *, from_beginning: bool) -> None:
        quiet_clients()
        self._servers = bootstrap_servers
        self._topic = topic
        self._from_beginning = from_beginning
        self._consumer = AIOKafkaConsumer(
            **client_options(bootstrap_servers), client_id="parley-cli", enable_auto_commit=False, auto_offset_reset="earliest"
        )
        self._ends: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._assign()
        except KafkaError as problem:
            await self._consumer.stop()
            raise kafka_failed(problem) from None
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def _assign(self) -> None:
        partitions = [TopicPartition(self._topic, one) for one in await _partitions(self._servers, self._topic)]
        if not partitions:
            raise CommandError(f"There is no topic {self._topic}.", hint="Is this the right Kafka? `make up` makes the topics.")
        self._consumer.assign(partitions)
        starts = await self._consumer.beginning_offsets(partitions)
        self._ends = await self._consumer.end_offsets(partitions)
        for place in partitions:
            self._consumer.seek(place, starts[place] if self._from_beginning else self._ends[place])

    async def records(self, *, until_end: bool) -> AsyncIterator[LogRecord]:
        """As they come; with `until_end` up to what was there on entry."""
        while not until_end or await self._is_behind():
            try:
                batches = await self._consumer.getmany(timeout_ms=200)
            except KafkaError as problem:
                raise kafka_failed(problem) from None
            found = [record for batch in batches.values() for record in batch]
            for record in sorted(found, key=lambda one: (one.timestamp, one.partition, one.offset)):
                if not until_end or record.offset < self._ends[TopicPartition(record.topic, record.partition)]:
                    yield LogRecord.of(record)

    async def _is_behind(self) -> bool:
        return any([await self._consumer.position(place) < end for place, end in self._ends.items()])


async def _partitions(bootstrap_servers: Brokers, topic: str) -> list[int]:
    """Asked by a client of its own: a consumer without a subscription is told of no partitions."""
    client = AIOKafkaClient(**client_options(bootstrap_servers), client_id="parley-cli")
    try:
        await client.bootstrap()
        await client.set_topics([topic])
        if topic in client.cluster.unauthorized_topics:
            raise TopicAuthorizationFailedError(topic)
        return sorted(client.cluster.partitions_for_topic(topic) or ())
    finally:
        await client.close()
