"""Which Kafka and Postgres are the benchmarks run against? One of each for the whole run, Postgres with fsync on."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import OffsetAndMetadata

from benchmarks.machine import pin
from benchmarks.processes import BenchmarkError
from services.common.platform.kafka import wait_for_topics
from services.common.platform.migrations import migrate
from services.sandbox.postgres_dsn import make_database, with_database
from services.sandbox.problems import ProviderError
from services.sandbox.providers import (
    KAFKA_VARIABLE,
    POSTGRES_VARIABLE,
    Kafka,
    Postgres,
    kafka_providers,
    postgres_providers,
    start_first,
)
from services.sandbox.topics import apply_topics, read_topics

_CLEAN_SECONDS: Final = 30.0
_HEAP: Final = "1g"


class Servers:
    """Kafka and Postgres. Native ones are preferred: the CPU clocks of a container are not ours to read."""

    def __init__(self, folder: Path) -> None:
        self._kafka = _start_kafka(folder / "kafka")
        try:
            self._postgres = _start_postgres(folder / "postgres")
        except ProviderError:
            self._kafka.stop()
            raise
        self._database = 0

    @property
    def kafka(self) -> str:
        """host:port."""
        return self._kafka.bootstrap_servers

    @property
    def descriptions(self) -> tuple[str, str]:
        return self._kafka.description, self._postgres.description

    @property
    def pids(self) -> dict[str, int]:
        """Of the servers whose clocks can be read."""
        known = {"Kafka": self._kafka.pid, "Postgres": self._postgres.pid}
        return {name: pid for name, pid in known.items() if pid is not None}

    def pin(self, *cores: int) -> None:
        """Both on these cores."""
        for pid in self.pids.values():
            pin(pid, *cores)

    def fresh(self) -> str:
        """Empty topics, groups at their start, and the superuser's DSN of an empty, migrated database. Nothing may consume."""
        asyncio.run(_fresh_topics(self.kafka))
        self._database += 1
        dsn = with_database(self._postgres.dsn, f"parley_bench_{os.getpid()}_{self._database}")
        make_database(dsn)
        migrate(dsn)
        return dsn

    def ends(self, topics: tuple[str, ...]) -> dict[tuple[str, int], int]:
        """The end of each partition."""
        return asyncio.run(_ends(self.kafka, topics))

    def stop(self) -> None:
        """Both."""
        self._kafka.stop()
        self._postgres.stop()


def lag(bootstrap_servers: str, group: str, topics: tuple[str, ...]) -> int:
    """Records of the topics that the group has not committed."""
    return asyncio.run(_lag(bootstrap_servers, group, topics))


async def _lag(bootstrap_servers: str, group: str, topics: tuple[str, ...]) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        await consumer.start()
        described = await admin.describe_topics(list(topics))
        places = [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]
        ends = await consumer.end_offsets(places)
        committed = await _committed(admin, group)
        return sum(ends[place] - (max(0, committed[place].offset) if place in committed else 0) for place in places)
    finally:
        await consumer.stop()
        await admin.close()


async def _ends(bootstrap_servers: str, topics: tuple[str, ...]) -> dict[tuple[str, int], int]:
    partitions = await wait_for_topics(bootstrap_servers, topics, asyncio.Event())
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for topic, count in partitions.items() for partition in range(count)]
        return {(place.topic, place.partition): offset for place, offset in (await consumer.end_offsets(places)).items()}
    finally:
        await consumer.stop()


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    deadline = time.monotonic() + _CLEAN_SECONDS
    while True:
        try:
            return dict(await admin.list_consumer_group_offsets(group))
        except GroupCoordinatorNotAvailableError:  # the first group makes the broker create its offsets topic
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def _start_kafka(folder: Path) -> Kafka:
    if os.environ.get(KAFKA_VARIABLE):
        return start_first("Kafka", kafka_providers(folder, heap=_HEAP))
    native = kafka_providers(folder, wish="native", heap=_HEAP)
    return start_first("Kafka", [*native, *kafka_providers(folder, wish="docker", heap=_HEAP)])


def _start_postgres(folder: Path) -> Postgres:
    if os.environ.get(POSTGRES_VARIABLE):
        return start_first("Postgres", postgres_providers(folder, durable=True))
    native = postgres_providers(folder, wish="native", durable=True)
    return start_first("Postgres", [*native, *postgres_providers(folder, wish="docker", durable=True)])


async def _fresh_topics(bootstrap_servers: str) -> None:
    """Deleted and made anew: the broker forgets what groups had committed for a topic that is deleted."""
    names = {topic.name for topic in read_topics()}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        old = names & set(await admin.list_topics())
        if old:
            await admin.delete_topics(sorted(old))
        deadline = time.monotonic() + _CLEAN_SECONDS
        while names & set(await admin.list_topics()):
            if time.monotonic() > deadline:
                raise BenchmarkError("the broker still has topics that were deleted")
            await asyncio.sleep(0.05)
        await apply_topics(bootstrap_servers)
        while not await _all_led(admin, names):
            if time.monotonic() > deadline:
                raise BenchmarkError("new partitions have no leader")
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def _all_led(admin: AIOKafkaAdminClient, names: set[str]) -> bool:
    described = await admin.describe_topics(sorted(names))
    return all(part["leader"] >= 0 for topic in described for part in topic["partitions"])
