"""Does this Kafka answer? Asked by a client's own protocol, because an open port is not yet a broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.sandbox.ports import answers

T = TypeVar("T")
PAUSE_SECONDS = 0.1


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, whether or not the caller's thread has an event loop of its own."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        return beside.submit(asyncio.run, work).result()


async def broker_count(bootstrap_servers: str) -> int:
    """How many brokers the cluster has now; KafkaError if it cannot be asked."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5_000)
    try:
        await admin.start()
        return len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


def serves(bootstrap_servers: str) -> bool:
    """Whether at least one broker of the cluster can be asked. The plain connection comes first: it fails without noise."""
    host, _, port = bootstrap_servers.split(",", maxsplit=1)[0].strip().rpartition(":")
    if not answers(host.strip("[]"), int(port)):
        return False
    try:
        return complete(broker_count(bootstrap_servers)) > 0
    except (KafkaError, OSError, TimeoutError):
        return False


def wait_until_serving(bootstrap_servers: str, within_seconds: float, ended: Callable[[], bool]) -> bool:
    """True as soon as Kafka serves; False when `ended()` says that it never will, or the time is over."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline and not ended():
        if serves(bootstrap_servers):
            return True
        time.sleep(PAUSE_SECONDS)
    return False
