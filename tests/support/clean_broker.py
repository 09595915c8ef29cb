"""How does a test get a broker without anybody's past? Topic names are fixed in the code, so they are deleted and made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

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
    """Delete every `parley.*` topic and every consumer group, then make the topics of topics.yaml, empty and led.

    Members that died without leaving are put out of their groups first, else a group would stay until their sessions end.
    A process that still consumes joins again: AssertionError names its group. `partitions` overrides the number for all topics.
    """
    complete(_fresh_topics(bootstrap_servers, partitions))


async def _fresh_topics(bootstrap_servers: str, partitions: int | None) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        old = await _ours(admin)
        if old:
            await admin.delete_topics(sorted(old))
        await _until(lambda: _none_of_ours(admin), "the broker still has topics that were deleted")
        await _until(lambda: _no_groups(admin), "a process still consumes, its group cannot be deleted")
        wanted = [replace(topic, partitions=partitions or topic.partitions) for topic in read_topics()]
        await apply_topics(bootstrap_servers, wanted)
        await _until(lambda: _all_led(admin, sum(topic.partitions for topic in wanted)), "new partitions have no leader")
    finally:
        await admin.close()


async def _ours(admin: AIOKafkaAdminClient) -> set[str]:
    return {name for name in await admin.list_topics() if name.startswith(OURS)}


async def _none_of_ours(admin: AIOKafkaAdminClient) -> bool:
    return not await _ours(admin)


async def _all_led(admin: AIOKafkaAdminClient, expected: int) -> bool:
    topics = [topic for topic in await admin.describe_topics() if topic["topic"].startswith(OURS)]
    led = [part for topic in topics for part in topic["partitions"] if part["leader"] >= 0]
    return len(led) == expected


async def _no_groups(admin: AIOKafkaAdminClient) -> bool:
    try:
        groups = sorted(name for name, *_ in await admin.list_consumer_groups())
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):  # a broker that has just been started again
        return False
    for group in groups:
        coordinator = await admin.find_coordinator(group)
        for answer in await admin.describe_consumer_groups([group], group_coordinator_id=coordinator):
            for member_id in [member[0] for described in answer.groups for member in described[5]]:
                await admin._send_request(LeaveGroupRequest(group, member_id), coordinator)
        await admin._send_request(DeleteGroupsRequest([group]), coordinator)
    return not await admin.list_consumer_groups()


async def _until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + CLEAN_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(PAUSE_SECONDS)
