"""Does each reader of the log tell how old its oldest unprocessed record is: growing while it is stuck, 0 while nothing waits?"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil
import psycopg
from aiokafka import AIOKafkaProducer
from psycopg.sql import SQL, Identifier

from services.common.domain import sublanes, topics
from services.common.domain.lanes import Lane
from services.common.platform.kafka import NewRecord, partition_of
from services.sandbox.providers import Kafka
from tests.support.processes import ServiceProcess
from tests.support.read_models import in_log
from tests.support.routed import post
from tests.support.sending import CODEC, scene, text
from tests.support.told import received
from tests.support.webhooks import raw_record

HOUR: Final = 3_600.0
SENDS: Final = topics.SENDS[Lane.TRANSACTIONAL]
OLDEST: Final = "parley_oldest_unprocessed_seconds"


@contextmanager
def writes_wait(dsn: str, schema: str, table: str) -> Iterator[None]:
    """Who reads the table may; who writes to it waits."""
    with psycopg.connect(dsn) as connection:
        connection.execute(SQL("LOCK TABLE {} IN SHARE MODE").format(Identifier(schema, table)))
        yield


def append_an_hour_old(cluster: Kafka, record: NewRecord) -> None:
    """As a record that was appended an hour ago stands in the log, where our own producers would have put it."""
    asyncio.run(_append(cluster.bootstrap_servers, record, at=int((time.time() - HOUR) * 1_000)))


async def _append(bootstrap_servers: str, record: NewRecord, *, at: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        partition = partition_of(record.key, len(await producer.partitions_for(record.topic)))
        topic, key, value, headers = record
        await producer.send_and_wait(topic, value, key, partition=partition, timestamp_ms=at, headers=list(headers))
    finally:
        await producer.stop()


def assert_age_grows(process: ServiceProcess, group: str, topic: str) -> None:
    """While it is stuck. Of its other topics nothing waits."""
    process.wait_until(lambda: process.metric(OLDEST, group=group, topic=topic) >= HOUR, 20, "tell the age")
    seen = process.metric(OLDEST, group=group, topic=topic)
    process.wait_until(lambda: process.metric(OLDEST, group=group, topic=topic) >= seen + 2, 10, "grow older")
    assert process.metric(OLDEST, group=group) < 2 * HOUR, "one topic alone"
    assert process.metric("parley_consumer_lag_records", group=group) == 1


def assert_nothing_left(process: ServiceProcess, group: str, topic: str) -> None:
    def is_done() -> bool:
        told = [process.metric(name, group=group) for name in (OLDEST, "parley_consumer_lag_records")]
        return told == [0, 0] and process.metric("parley_records_processed_total", group=group, topic=topic) > 0

    process.wait_until(is_done, 60, "have nothing left")


def test_a_projector_that_waits_for_a_table(cluster: Kafka, postgres: str) -> None:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    with ServiceProcess("projector", env) as projector:
        projector.wait_ready()
        with writes_wait(postgres, "projector", "messages"):
            append_an_hour_old(cluster, in_log(received("1")))
            assert_age_grows(projector, "parley.projector", topics.INBOUND_MESSAGES)
        assert_nothing_left(projector, "parley.projector", topics.INBOUND_MESSAGES)
        assert projector.metric("parley_kafka_answers") == projector.metric("parley_ready") == 1
        assert projector.metric("parley_room_until_seconds") > time.time() + 45 * 86_400


def test_a_router_that_waits_for_its_broker_with_the_first_record_of_a_partition(cluster: Kafka) -> None:
    """No position of it was ever committed: what is left is known from what is in hand."""
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_FAULT": "router.after_fetch:2:stop"}
    with ServiceProcess("router", env) as router:
        append_an_hour_old(cluster, raw_record(post("passes", 0), key=b"1"))
        assert_nothing_left(router, "parley.router", topics.WEBHOOKS)
        append_an_hour_old(cluster, raw_record(post("stuck", 0), key=b"2"))
        router.wait_until(lambda: psutil.Process(router.pid).status() == psutil.STATUS_STOPPED, 30, "have the record in hand")
        cluster.kill()
        router.signal(signal.SIGCONT)
        assert_age_grows(router, "parley.router", topics.WEBHOOKS)
        router.wait_until(lambda: router.metric("parley_kafka_answers") == 0, 20, "miss the broker")
        cluster.restart()
        assert_nothing_left(router, "parley.router", topics.WEBHOOKS)
        router.wait_until(lambda: router.metric("parley_kafka_answers") == 1, 20, "find the broker")


def test_a_sender_that_waits_for_a_table(cluster: Kafka, postgres: str) -> None:
    with scene(cluster, postgres) as made:
        made.register()
        with made.sender() as sender:
            sender.wait_ready()
            command = text()
            with writes_wait(postgres, "sender", "send_commands"):
                append_an_hour_old(cluster, NewRecord(SENDS, sublanes.key_of(command, {}), CODEC.encode(command), ()))
                assert_age_grows(sender, "parley.sender", SENDS)
            assert_nothing_left(sender, "parley.sender", SENDS)
            assert sender.metric("parley_room_until_seconds") > time.time() + 9 * 86_400
