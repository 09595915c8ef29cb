"""Do commands of another client library, in JSON or Avro and under any key, end in the same lane records?"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from services.common.domain import topics
from services.common.domain.lanes import Lane
from services.common.domain.records import SendMessage
from services.common.platform.avro import Codec
from services.common.platform.envelope import dead_letter_origin
from services.common.platform.kafka import partition_of
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for

CODEC = Codec()
NUMBERS = ("106540352242922", "106540352242923")


def command(lane: Lane, number: str) -> SendMessage:
    return SendMessage(
        command_id=str(uuid.uuid4()), phone_number_id=number, to="+5511999990001", type="text", content='{"body":"Oi"}', lane=lane
    )


def as_json(command: SendMessage) -> bytes:
    return json.dumps({**vars(command), "content": json.loads(command.content)}).encode()


@pytest.fixture
def router(cluster: Kafka) -> Iterator[ServiceProcess]:
    with ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers}) as process:
        yield process.wait_ready()


@pytest.mark.usefixtures("router")
@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_any_key_form_and_compression_gives_the_same_lane_records(cluster: Kafka, compression: str) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "compression.type": compression})
    sent: dict[str, SendMessage] = {}
    for lane in Lane:
        for number in NUMBERS:
            for key in (None, b"", b"anything", number.encode(), b"\xff\x00"):
                for form in ("json", "avro"):
                    each = command(lane, number)
                    sent[each.command_id] = each
                    value = as_json(each) if form == "json" else CODEC.encode(each)
                    headers = [("content-type", b"application/json")] if form == "json" else []
                    producer.produce(topics.SEND_COMMANDS, value=value, key=key, headers=headers)
    assert producer.flush(20) == 0

    wait_for(lambda: log.end_offsets(cluster.bootstrap_servers, *topics.SENDER_SOURCES) >= len(sent), 20, "all commands")
    records = log.read(cluster.bootstrap_servers, *topics.SENDER_SOURCES)
    found = {}
    for record in records:
        decoded = CODEC.decode(record.value or b"")
        assert isinstance(decoded, SendMessage)
        assert record.topic == topics.SENDS[Lane(decoded.lane)]
        assert record.key == decoded.phone_number_id.encode()
        assert record.partition == partition_of(record.key, 24)
        found[decoded.command_id] = decoded
    assert found == sent
    assert len(records) == len(sent)


@pytest.mark.usefixtures("router")
def test_what_is_no_command_is_kept_with_its_bytes_and_a_reason(cluster: Kafka) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    bad = {b"{broken": "command_syntax", b"\x00\xff\xff\xff\xffzz": "unknown_schema", b'{"command_id":"x"}': "command_schema"}
    for value in bad:
        producer.produce(topics.SEND_COMMANDS, value=value, key=b"k", headers=[("tenant", b"blue")])
    assert producer.flush(20) == 0
    wait_for(lambda: log.end_offsets(cluster.bootstrap_servers, topics.ROUTER_DEAD_LETTERS) >= len(bad), 20, "dead letters")
    letters = log.read(cluster.bootstrap_servers, topics.ROUTER_DEAD_LETTERS)
    assert {letter.value: dead_letter_origin(letter)["reason"] for letter in letters} == bad
    for letter in letters:
        assert (letter.key, dict(letter.headers)["tenant"]) == (b"k", b"blue")
        assert dead_letter_origin(letter)["topic"] == topics.SEND_COMMANDS
