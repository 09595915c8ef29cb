"""Does a reader stop and say so, each time in the same words, where going on would lose records or spoil them?"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import confluent_kafka
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.platform.kafka import MAX_RECORD_BYTES, NewRecord
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.sending import CODEC, NUMBER, TOKEN_KEY, put_records, text
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message, raw_record

LANE: Final = topics.SENDS[Lane.TRANSACTIONAL]
NEWER: Final = b"\0\0\0\1\0later than ours"
"""A frame with an id that will be given one day."""
AS_LONG_AS_ONE_MAY_BE: Final = b"no record of ours".ljust(MAX_RECORD_BYTES - 200)
"""With its key and what Kafka writes around it: a dead letter of it is longer than any other record."""
GROUPS: Final = {"router": "parley.router", "sender": "parley.sender"}
SOURCES: Final = {"router": topics.WEBHOOKS, "sender": LANE, "projector": topics.INBOUND_MESSAGES}


@pytest.fixture
def environment(cluster: Kafka, postgres: str) -> dict[str, str]:
    """What any of the readers needs."""
    return {
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
        "PARLEY_POSTGRES_DSN": postgres,
        "PARLEY_GRAPH_URL": "http://127.0.0.1:9",
        "PARLEY_TOKEN_KEY": TOKEN_KEY,
        "PARLEY_STOP_SHOWN_SECONDS": "3",
    }


def stopped(processes: Mapping[str, ServiceProcess], reason: str, code: int) -> dict[str, str]:
    """Each shows the reason in metric, readiness and log, and ends with the code; what each said in detail."""
    details = {service: shown(process, reason, code) for service, process in processes.items()}
    assert {process.wait_exit(30.0) for process in processes.values()} == {code}
    return details


def shown(process: ServiceProcess, reason: str, code: int) -> str:
    event = process.wait_for_event("process.stopped_for_good", 60.0)
    assert (event["reason"], event["exit_code"], event["level"]) == (reason, code, "critical")
    assert event["hint"]
    assert process.metric("parley_stopped", reason=reason) == 1
    assert process.get("/ready") == (503, f"stopped for good: {reason}\n")
    detail: str = event["detail"]
    return detail


def append(cluster: Kafka, service: str, *values: bytes) -> None:
    """Records that the service reads, all in one partition, where our own writers would have put them."""
    keys = {"router": b"one", "sender": NUMBER.encode(), "projector": b"one"}
    put_records(cluster.bootstrap_servers, [NewRecord(SOURCES[service], keys[service], value, ()) for value in values])


def some(service: str, count: int) -> list[bytes]:
    """Good ones. What the projector is given is a dead letter, one of few."""
    if service == "router":
        return [raw_record(body(messages=[message(f"wamid.{number}")])).value or b"" for number in range(count)]
    return [CODEC.encode(text()) if service == "sender" else b"no event" for _ in range(count)]


def wait_processed(process: ServiceProcess, topic: str, count: int) -> None:
    process.wait_until(lambda: process.metric("parley_records_processed_total", topic=topic) == count, 60, f"process {count}")


def are_there(cluster: Kafka, topic: str, count: int) -> bool:
    return log.end_offsets(cluster.bootstrap_servers, topic) >= count


def place(cluster: Kafka, service: str) -> TopicPartition:
    return next(
        TopicPartition(record.topic, record.partition) for record in log.read(cluster.bootstrap_servers, SOURCES[service])
    )


async def _commit(cluster: Kafka, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


async def committed(cluster: Kafka, group: str, where: TopicPartition) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([where])
        offset: int | None = await consumer.committed(where)
        return offset
    finally:
        await consumer.stop()


def move_to(cluster: Kafka, dsn: str, service: str, where: TopicPartition, offset: int) -> None:
    """The service, which does not run, would go on from there."""
    if service in GROUPS:
        asyncio.run(_commit(cluster, GROUPS[service], {where: offset}))
        return
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO projector.positions (projection, topic, partition, next_offset) VALUES ('parley.projector', %s, %s, %s)"
            " ON CONFLICT (projection, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
            (where.topic, where.partition, offset),
        )


@contextmanager
def running(environment: Mapping[str, str], *services: str) -> Iterator[dict[str, ServiceProcess]]:
    """All of them at once: each reads topics of its own."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(ServiceProcess(name, environment)) for name in services}


@pytest.mark.failure("R20", "S20")
def test_records_deleted_before_they_were_read_stop_a_reader(cluster: Kafka, postgres: str, environment: dict[str, str]) -> None:
    places = {}
    for service in SOURCES:
        append(cluster, service, *some(service, 5))
        places[service] = place(cluster, service)
        move_to(cluster, postgres, service, places[service], 3)
    log.forget(cluster.bootstrap_servers, *SOURCES.values())
    with running(environment, *SOURCES) as processes:
        assert stopped(processes, "log_deleted", 80) == {
            service: f"{where.topic}/{where.partition}: records 3 to 4 were deleted before they were read"
            for service, where in places.items()
        }
        # Of the others Kafka would move nothing: their members may still be alive.
        projector, where = processes["projector"], places["projector"]
        move_to(cluster, postgres, "projector", where, 5)
        append(cluster, "projector", *some("projector", 2))
        projector.start()
        wait_processed(projector, where.topic, 2)


def test_a_position_beyond_the_end_of_the_log_stops_a_reader(cluster: Kafka, postgres: str, environment: dict[str, str]) -> None:
    places = {}
    for service in SOURCES:
        append(cluster, service, *some(service, 2))
        places[service] = place(cluster, service)
        move_to(cluster, postgres, service, places[service], 7)
    with running(environment, *SOURCES) as processes:
        assert stopped(processes, "log_truncated", 81) == {
            service: f"{where.topic}/{where.partition}: position 7 is beyond the log's end 2" for service, where in places.items()
        }


def test_records_deleted_while_a_reader_is_held_up_stop_it(cluster: Kafka, environment: dict[str, str]) -> None:
    """aiokafka would go on from what is left, without a word."""
    with running(environment, *GROUPS) as processes:
        for service, process in processes.items():
            process.wait_ready()
            append(cluster, service, *some(service, 3))
            topic = SOURCES[service]
            wait_processed(process, topic, 3)
            process.signal(signal.SIGSTOP)
            append(cluster, service, *some(service, 1))  # the answer to the fetch that it waits for
            append(cluster, service, *some(service, 4))
            log.forget(cluster.bootstrap_servers, topic)
            append(cluster, service, *some(service, 1))
            process.signal(signal.SIGCONT)
            [told] = stopped({service: process}, "log_deleted", 80).values()
            assert told.endswith(": records 4 to 7 were deleted before they were read")


def in_transaction(cluster: Kafka, topic: str, values: list[bytes]) -> None:
    """Each committed alone: a marker stands behind each."""
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap_servers, "transactional.id": "foreign"})
    producer.init_transactions(30)
    for value in values:
        producer.begin_transaction()
        producer.produce(topic, value, key=b"one", partition=0)
        producer.commit_transaction(30)


@pytest.mark.failure("R7")
def test_a_hole_in_a_topic_of_ours_stops_a_reader_and_a_gap_between_producers_transactions_does_not(
    cluster: Kafka, environment: dict[str, str]
) -> None:
    in_transaction(cluster, topics.SEND_COMMANDS, [CODEC.encode(text()) for _ in range(3)])
    for service in ("sender", "projector"):
        in_transaction(cluster, SOURCES[service], some(service, 2))
    with running(environment, *SOURCES) as processes:
        router = processes.pop("router")
        assert stopped(processes, "log_hole", 82) == {
            service: f"{SOURCES[service]}/0: expected offset 1, got 2" for service in processes
        }
        wait_processed(router, topics.SEND_COMMANDS, 3)
        in_transaction(cluster, topics.WEBHOOKS, some("router", 2))
        assert stopped({"router": router}, "log_hole", 82) == {"router": f"{topics.WEBHOOKS}/0: expected offset 1, got 2"}
    assert asyncio.run(committed(cluster, GROUPS["router"], TopicPartition(topics.SEND_COMMANDS, 0))) == 5


def test_a_schema_of_a_later_version_stops_a_reader(cluster: Kafka, environment: dict[str, str]) -> None:
    for service in ("sender", "projector"):
        append(cluster, service, NEWER)
    with running(environment, "sender", "projector") as processes:
        assert stopped(processes, "schema_unknown", 83) == {
            service: f"{SOURCES[service]}: schema id 256" for service in processes
        }
    assert log.read(cluster.bootstrap_servers, *topics.DEAD_LETTERS) == []


@pytest.mark.failure("R5")
def test_a_flood_of_dead_letters_stops_a_reader_unless_it_is_wanted(cluster: Kafka, environment: dict[str, str]) -> None:
    letters = {service: f"parley.{service}.dead-letters.v1" for service in SOURCES}
    for service in SOURCES:
        append(cluster, service, *[b"no record of ours"] * 59, AS_LONG_AS_ONE_MAY_BE)
    with running(environment, *SOURCES) as processes:
        assert stopped(processes, "dead_letter_flood", 84) == dict.fromkeys(SOURCES, "51 dead letters in a row")
        for service, process in processes.items():
            assert log.end_offsets(cluster.bootstrap_servers, letters[service]) <= 50
            process.start(PARLEY_DEAD_LETTER_LIMIT="false")
        for topic in letters.values():
            wait_for(partial(are_there, cluster, topic, 60), 60, "a deliberate drain")
    for topic in letters.values():
        assert AS_LONG_AS_ONE_MAY_BE in [letter.value for letter in log.read(cluster.bootstrap_servers, topic)]
