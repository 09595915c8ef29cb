"""How does a test get a broker without anybody's past? Topics that were used are made anew: their names are fixed in the code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from services.sandbox.kafka_probe import complete
from services.sandbox.topics import apply_topics, read_topics

OURS = "parley."
CLEAN_SECONDS = 20.0
PAUSE_SECONDS = 0.02


def fresh_topics(bootstrap_servers: str, *, partitions: int | None = None) -> None:
    """Delete every `parley.*` topic that was used and every consumer group, then make those of topics.yaml that are not there.

    A topic without a record ever is as good as a new one: making hundreds of partitions anew is most of a test's preparation.

    Members that died without leaving are put out of their groups first, else a group would stay until their sessions end.
    A process that still consumes joins again: AssertionError names its group. `partitions` overrides the number for all topics.
    """
    complete(_fresh_topics(bootstrap_servers, partitions))


async def _fresh_topics(bootstrap_servers: str, partitions: int | None) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        wanted = [replace(topic, partitions=partitions or topic.partitions) for topic in read_topics()]
        old = await _used(bootstrap_servers, admin, {topic.name: topic.partitions for topic in wanted})
        if old:
            await admin.delete_topics(sorted(old))
        await _until(lambda: _none_left(admin, old), "the broker still has topics that were deleted")
        await _until(lambda: _no_groups(admin), "a process still consumes, its group cannot be deleted")
        await apply_topics(bootstrap_servers, wanted)
        await _until(lambda: _all_led(admin, sum(topic.partitions for topic in wanted)), "new partitions have no leader")
    finally:
        await admin.close()


async def _used(bootstrap_servers: str, admin: AIOKafkaAdminClient, wanted: Mapping[str, int]) -> set[str]:
    """Those of our topics that have or had records, or another number of partitions than is wanted."""
    counts = {topic["topic"]: len(topic["partitions"]) for topic in await _ours(admin)}
    await _until(lambda: _all_led(admin, sum(counts.values())), "partitions of the test before have no leader")
    as_made = {name for name, count in counts.items() if wanted.get(name) == count}
    places = [TopicPartition(name, partition) for name in as_made for partition in range(counts[name])]
    ends = await _ends(bootstrap_servers, places) if places else {}
    return (counts.keys() - as_made) | {place.topic for place, end in ends.items() if end}


async def _ends(bootstrap_servers: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()


async def _ours(admin: AIOKafkaAdminClient) -> list[dict[str, Any]]:
    return [topic for topic in await admin.describe_topics() if topic["topic"].startswith(OURS)]


async def _none_left(admin: AIOKafkaAdminClient, deleted: set[str]) -> bool:
    return deleted.isdisjoint(topic["topic"] for topic in await _ours(admin))


async def _all_led(admin: AIOKafkaAdminClient, expected: int) -> bool:
    led = [part for topic in await _ours(admin) for part in topic["partitions"] if part["leader"] >= 0]
    return len(led) == expected


async def _no_groups(admin: AIOKafkaAdminClient) -> bool:
    try:
        groups = sorted(name for name, *_ in await admin.list_consumer_groups())
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):  # a broker that has just been started again
        return False
    for group in groups:
        coordinator = await dismiss(admin, group)
        await admin._send_request(DeleteGroupsRequest([group]), coordinator)
    return not await admin.list_consumer_groups()


async def dismiss(admin: AIOKafkaAdminClient, group: str) -> Any:
    """Put every member out of a group, as the end of their sessions would; the group's coordinator."""
    coordinator = await admin.find_coordinator(group)
    for answer in await admin.describe_consumer_groups([group], group_coordinator_id=coordinator):
        for member_id in [member[0] for described in answer.groups for member in described[5]]:
            await admin._send_request(LeaveGroupRequest(group, member_id), coordinator)
    return coordinator


async def _until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + CLEAN_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(PAUSE_SECONDS)
