"""Does a command of a later schema wait, as its producer wrote it, until a router knows the schema?"""

from __future__ import annotations

import json
import signal
import struct
import uuid
from collections.abc import Iterator

import pytest

from services.common.domain import topics
from services.common.domain.failure import Unprocessable
from services.common.domain.lanes import Lane
from services.common.domain.reasons import Reason
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec, schema_text
from services.common.platform.envelope import dead_letter_headers, dead_letter_origin
from services.common.platform.kafka import LogRecord, NewRecord
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for

CODEC = Codec()
NEWEST = max(int(number) for number in json.loads(schema_text("ids.lock.json")))
KEY, HEADERS = b"a key of the producer's", [("traceparent", b"00-1-2-01")]
LANE = topics.SENDS[Lane.TRANSACTIONAL]


@pytest.fixture
def router(cluster: Kafka) -> Iterator[ServiceProcess]:
    with ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}) as process:
        process.kill()
        yield process


def command() -> SendMessage:
    return SendMessage(
        command_id=str(uuid.uuid4()), phone_number_id="106", type="text", content='{"body":"a"}', to="+491700000001"
    )


def of_later_schema(known: SendMessage) -> bytes:
    return struct.pack(">bI", 0, NEWEST + 1) + CODEC.encode(known)[5:]


def parked(value: bytes) -> NewRecord:
    """As an earlier router set it aside."""
    original = LogRecord(topics.SEND_COMMANDS, 3, 7, 1_800_000_000_000, KEY, value, HEADERS)
    headers = dead_letter_headers(original, Unprocessable(Reason.VERSION), group="parley.router")
    return NewRecord(topics.PARKED_COMMANDS, KEY, value, headers)


def in_lane(cluster: Kafka) -> list[str]:
    records = [CODEC.decode(record.value or b"") for record in log.read(cluster.bootstrap_servers, LANE)]
    return [record.command_id for record in records if isinstance(record, SendMessage)]


def in_topic(cluster: Kafka, topic: str) -> list[LogRecord]:
    return log.read(cluster.bootstrap_servers, topic)


@pytest.mark.failure("R17")
def test_a_later_schema_is_parked_with_key_and_headers_and_everything_else_goes_on(
    cluster: Kafka, router: ServiceProcess
) -> None:
    later, known = of_later_schema(command()), command()
    garbage = b"\0\xff\xff\xff\xff garbage"
    values = [later, garbage, CODEC.encode(known)]
    log.append(cluster.bootstrap_servers, [NewRecord(topics.SEND_COMMANDS, KEY, value, HEADERS) for value in values])
    router.start().wait_until(lambda: in_lane(cluster) == [known.command_id], 30, "route what it knows")
    aside = in_topic(cluster, topics.PARKED_COMMANDS)
    assert aside
    for record in aside:  # twice where the look at what is parked, with which a router starts, came after it
        assert (record.key, record.value) == (KEY, later)
        assert set(HEADERS) <= set(record.headers)
        origin = dead_letter_origin(record)
        assert (origin["reason"], origin["topic"]) == ("version", topics.SEND_COMMANDS)
    [dead] = in_topic(cluster, topics.ROUTER_DEAD_LETTERS)
    assert (dead.value, dead_letter_origin(dead)["reason"]) == (garbage, "unknown_schema")
    assert router.metric("parley_parked_commands_total") == 1


def test_a_router_that_knows_the_schema_puts_commands_back_and_keeps_the_rest(cluster: Kafka, router: ServiceProcess) -> None:
    known, later = [command() for _ in range(20)], [of_later_schema(command()) for _ in range(5)]
    log.append(cluster.bootstrap_servers, [parked(value) for value in [*map(CODEC.encode, known), *later]])
    ids = sorted(one.command_id for one in known)
    router.start().wait_until(lambda: sorted(in_lane(cluster)) == ids, 30, "put back what it knows")
    back = in_topic(cluster, topics.SEND_COMMANDS)
    assert {(record.key, tuple(record.headers)) for record in back} == {(KEY, tuple(HEADERS))}
    wait_for(lambda: len(in_topic(cluster, topics.PARKED_COMMANDS)) == 30, 10.0, "what is too new parked again")
    again = [record.value for record in in_topic(cluster, topics.PARKED_COMMANDS)]
    assert sorted(value for value in again if value in later) == sorted([*later, *later])
    assert {dead_letter_origin(record)["topic"] for record in in_topic(cluster, topics.PARKED_COMMANDS)} == {topics.SEND_COMMANDS}
    # The next start reads only what this one parked again.
    router.wait_until(lambda: router.metric("parley_reopened_commands_total", outcome="parked") == 5, 10, "count it")
    assert router.terminate() == 0
    router.start().wait_until(lambda: len(in_topic(cluster, topics.PARKED_COMMANDS)) == 35, 30, "read the rest anew")
    assert sorted(in_lane(cluster)) == ids


def test_a_kill_between_putting_back_and_commit_loses_no_command(cluster: Kafka, router: ServiceProcess) -> None:
    known = [command() for _ in range(20)]
    log.append(cluster.bootstrap_servers, [parked(CODEC.encode(one)) for one in known])
    router.start(PARLEY_FAULT="router.after_reopen_before_commit:1:kill")
    assert router.wait_exit(30) == -signal.SIGKILL
    ids = {one.command_id for one in known}
    router.start().wait_until(lambda: set(in_lane(cluster)) == ids, 40, "put everything back")


def test_routers_that_start_together_share_what_is_parked(cluster: Kafka, router: ServiceProcess) -> None:
    known = [command() for _ in range(50)]
    records = [parked(CODEC.encode(one))._replace(key=one.command_id.encode()) for one in known]
    log.append(cluster.bootstrap_servers, records)
    ids = {one.command_id for one in known}
    with ServiceProcess("router", {**router.env, "PARLEY_INSTANCE": "2"}) as second:
        router.start()
        second.wait_until(lambda: set(in_lane(cluster)) == ids, 40, "put everything back, with the other")
        assert second.alive
