"""Does a Kafka client of ours live through what uvloop and aiokafka do not tell each other, and end loudly where it cannot?"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from services.common.platform.kafka import NewRecord, Producer
from services.common.platform.lifecycle import EXIT_FATAL
from services.sandbox.providers import Kafka
from services.sandbox.topics import Topic, apply_topics
from tests.support.log import read
from tests.support.waiting import wait_for

DEAD_CLIENT = """
import asyncio
from types import SimpleNamespace
from services.common.platform.kafka import watch_metadata

async def metadata():
    raise RuntimeError("not a Kafka error")

async def main():
    watch_metadata(SimpleNamespace(_sync_task=asyncio.create_task(metadata())))
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def written_to_when_closed(bootstrap_servers: str) -> bool:
    """Whether a producer gets on whose connection uvloop has closed and not told of yet, as a reset leaves it."""
    producer = Producer(bootstrap_servers=bootstrap_servers, client_id="closed")
    assert await producer.start(asyncio.Event())
    try:
        client = producer._producer.client
        connection = await client._get_conn(client.get_random_node())
        reader, writer = connection._reader, connection._writer
        writer.transport.abort()
        await asyncio.wait({connection._read_task}, timeout=10.0)
        connection._reader, connection._writer = reader, writer
        with pytest.raises(KafkaConnectionError):
            connection.send(MetadataRequest([]))
        assert not connection.connected()
        async with asyncio.timeout(10.0):
            return bool(await client.force_metadata_update())
    finally:
        await producer.stop()


@pytest.mark.failure("R24")
def test_a_write_to_a_connection_just_closed_is_a_lost_connection(cluster: Kafka) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(written_to_when_closed(cluster.bootstrap_servers))


@pytest.mark.failure("R24")
def test_a_client_that_can_learn_nothing_any_more_ends_its_process() -> None:
    ended = subprocess.run([sys.executable, "-c", DEAD_CLIENT], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == EXIT_FATAL
    assert "kafka.client_dead" in ended.stdout + ended.stderr


@pytest.mark.failure("R24")
def test_an_append_waits_until_somebody_says_who_leads_its_topic(cluster: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    record = NewRecord("parley.not-there-yet", b"key", b"value", ())

    async def append_before_the_topic_is_there() -> None:
        producer = Producer(bootstrap_servers=cluster.bootstrap_servers, client_id="early")
        assert await producer.start(asyncio.Event())
        tasks = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await producer.append_all([record], {record.topic: 1})
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks, "what was given up goes on"
        append = asyncio.create_task(producer.append_all([record], {record.topic: 1}))
        try:
            waits = "kafka.append_waiting"
            await asyncio.to_thread(wait_for, lambda: waits in "".join(capsys.readouterr()), 30, "the client to lose patience")
            assert not append.done()
            await apply_topics(cluster.bootstrap_servers, [Topic(name=record.topic, partitions=1, replicas=1, config={})])
            async with asyncio.timeout(30):
                await append
        finally:
            append.cancel()
            await producer.stop()

    asyncio.run(append_before_the_topic_is_there())
    assert [one.value for one in read(cluster.bootstrap_servers, record.topic)] == [record.value]
