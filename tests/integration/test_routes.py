"""Do copies go to the topics that the rules name, and only those, and does a router without readable rules not start?"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from services.common.domain import topics
from services.common.domain.events import MessageReceived
from services.common.platform.avro import Codec
from services.common.platform.kafka import LogRecord
from services.sandbox.kafka_probe import complete
from services.sandbox.providers import Kafka
from services.sandbox.topics import Topic, apply_topics
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.webhooks import PHONE_NUMBER_ID, WABA_ID, body, message, raw_record

CODEC = Codec()
RULES = """
routes:
  - name: sales-bot
    topic: {topic}
    family: [MessageReceived]
    phone_number_id: ["{number}"]
    keyword: price
  - name: other-number
    topic: {topic}
    family: MessageReceived
    phone_number_id: "1"
"""
BROKEN = """
routes:
  - {name: Sales, topic: parley.inbound-messages.v1, family: [MessageReceived]}
  - {name: sales, topic: sales.v1, family: [Messagereceived], keyword: []}
"""


@pytest.fixture
def topic(cluster: Kafka) -> Iterator[str]:
    """A name that no other test has used, for only topics of Parley's own are made anew; deleted afterwards."""
    name = f"sales-{uuid.uuid4().hex}.v1"
    yield name
    complete(delete(cluster.bootstrap_servers, name))


async def delete(bootstrap_servers: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        await admin.delete_topics([topic])
    finally:
        await admin.close()


def create(kafka: Kafka, topic: str) -> None:
    complete(apply_topics(kafka.bootstrap_servers, [Topic(name=topic, partitions=3, replicas=1, config={})]))


@pytest.fixture
def router(cluster: Kafka, topic: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    file = tmp_path / "routes.yaml"
    file.write_text(RULES.format(topic=topic, number=PHONE_NUMBER_ID), "utf-8")
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_ROUTES_FILE": str(file)}
    with ServiceProcess("router", env) as process:
        yield process


def standby(wamid: str, text: str) -> bytes:
    """A message in a conversation that another app handles."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID},
        "standby": {"messages": [message(wamid, text={"body": text})]},
    }
    entry = {"id": WABA_ID, "changes": [{"field": "standby", "value": value}]}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})


def received(kafka: Kafka, topic: str) -> dict[str, LogRecord]:
    """The records of a topic, by wamid."""
    found = {}
    for record in log.read(kafka.bootstrap_servers, topic):
        event = CODEC.decode(record.value or b"")
        assert isinstance(event, MessageReceived)
        found[event.wamid] = record
    return found


def test_a_copy_goes_to_the_topic_of_its_rule_once_that_is_there(cluster: Kafka, router: ServiceProcess, topic: str) -> None:
    assert topic in router.wait_for_event("kafka.topics_missing")["topics"]
    assert router.get("/ready")[0] == 503
    create(cluster, topic)
    router.wait_ready()
    assert router.metric("parley_routed_copies_total") == 0
    assert 'parley_routed_copies_total{route="other-number"} 0.0' in router.get("/metrics")[1]

    both = [message("wamid.match", text={"body": "Price?"}), message("wamid.other", text={"body": "What is the price?"})]
    posts = [standby("wamid.standby", "price"), body(messages=both)]
    log.append(cluster.bootstrap_servers, [raw_record(post, key=b"one partition, in this order") for post in posts])
    router.wait_until(lambda: router.metric("parley_records_processed_total") == len(posts), 30, "route everything")

    own = received(cluster, topics.INBOUND_MESSAGES)
    assert set(own) == {"wamid.match", "wamid.other"}
    assert log.end_offsets(cluster.bootstrap_servers, topics.MESSAGE_COPIES) == 1
    (record,) = log.read(cluster.bootstrap_servers, topic)
    event = own["wamid.match"]
    assert (record.key, record.value) == (event.key, event.value)
    assert list(record.headers) == [*event.headers, ("parley-route", b"sales-bot")]
    assert router.metric("parley_routed_copies_total", route="sales-bot") == 1
    assert router.metric("parley_routed_copies_total") == 1


def test_a_kill_before_the_acknowledgement_repeats_equal_copies(cluster: Kafka, router: ServiceProcess, topic: str) -> None:
    router.kill()
    create(cluster, topic)
    log.append(cluster.bootstrap_servers, [raw_record(body(messages=[message("wamid.match", text={"body": "price"})]))])
    router.start(PARLEY_FAULT="router.after_emit_before_commit:1:kill")
    assert router.wait_exit(30) == -signal.SIGKILL
    router.start().wait_until(lambda: router.metric("parley_records_processed_total") == 1, 30, "route it again")
    first, again = log.read(cluster.bootstrap_servers, topic)
    assert (again.key, again.value, list(again.headers)) == (first.key, first.value, list(first.headers))


def test_a_router_with_a_broken_file_ends_with_78_and_names_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(BROKEN, "utf-8")
    with ServiceProcess("router", {"PARLEY_ROUTES_FILE": str(file), "PARLEY_OPS_PORT": "none"}) as router:
        assert router.wait_exit(30) == 78
        told = router.log.splitlines()
    assert [line.partition(":")[0] for line in told if line.startswith("PARLEY_")] == [
        "PARLEY_KAFKA_BOOTSTRAP_SERVERS",
        "PARLEY_OPS_PORT",
        "PARLEY_ROUTES_FILE",
    ]
    assert [line.strip() for line in told if line.startswith("  ")] == [
        "routes[0].name: must be lower-case words with dashes, at most 64 characters",
        "routes[0].topic: parley.inbound-messages.v1 is for Parley alone, as is every name that begins with parley.",
        "routes[1].family[0]: unknown record Messagereceived, perhaps MessageReceived",
        "routes[1].keyword: must not be empty",
    ]
