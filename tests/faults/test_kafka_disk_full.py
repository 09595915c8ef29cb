"""Is no 200 false while Kafka's disk is full, and does everything go on by itself once there is room?

What a full disk is to a broker is an append that the system refuses. Here the refusal is of files longer than so much: the same
error to it, and no rights to mount anything are needed. A broker with one disk ends by that.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from services.common.domain import topics
from services.sandbox.kafka_native import NativeKafka
from tests.integration.test_ingest import SECRET, environment, port_of
from tests.support import log
from tests.support.clean_broker import fresh_topics
from tests.support.http import exchange, post
from tests.support.processes import ServiceProcess
from tests.support.waiting import wait_for
from tests.support.webhooks import body, message

ROOM_BYTES: Final = 300_000
TEXT: Final = "x" * 50_000


class Meta:
    """Posts webhooks, all to one partition, and remembers which were answered 200."""

    def __init__(self, port: int) -> None:
        self._port, self._sent = port, 0
        self.taken: list[bytes] = []

    def post(self) -> int:
        self._sent += 1
        one = body(messages=[message(f"wamid.{self._sent}", text={"body": TEXT})])
        status = exchange(self._port, post(one, secret=SECRET)).status
        if status == 200:
            self.taken.append(one)
        return status

    def until(self, status: int, seconds: float) -> None:
        wait_for(lambda: self.post() == status, seconds, f"an answer {status}")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NativeKafka]:
    """One of its own: whoever runs the others may not let us set limits to it."""
    made = NativeKafka(tmp_path / "kafka", heap="256m")
    made.start()
    try:
        fresh_topics(made.bootstrap_servers)
        yield made
    finally:
        made.kill()


def has_ended(broker: NativeKafka) -> bool:
    return broker.pid is None


@pytest.mark.failure("I13")
def test_ingest_refuses_while_there_is_no_room_and_goes_on_when_there_is(broker: NativeKafka) -> None:
    assert broker.pid is not None
    with (
        ServiceProcess("ingest", environment(broker.bootstrap_servers, PARLEY_INGEST_DEADLINE_SECONDS="0.5")) as ingest,
        ServiceProcess("router", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}) as router,
    ):
        meta = Meta(port_of(ingest.wait_ready()))
        router.wait_ready()
        meta.until(200, 30)
        _, most = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, most))
        meta.until(503, 30)
        before = len(meta.taken)
        ingest.wait_until(lambda: meta.post() == 503 and ingest.metric("parley_breaker_open") == 1, 30, "refuse at once")
        assert "room on their disks" in ingest.wait_for_event("breaker.opened")["hint"]
        assert [meta.post() for _ in range(3)] == [503] * 3
        assert len(meta.taken) == before > 1
        wait_for(partial(has_ended, broker), 30, "the broker to end")
        broker.start()
        meta.until(200, 30)
        there = [record.value for record in log.read(broker.bootstrap_servers, topics.WEBHOOKS)]
        assert set(meta.taken) <= set(there)
        wait_for(lambda: all_routed(broker), 60, "the router to go on")


def all_routed(broker: NativeKafka) -> bool:
    posted, routed = (log.end_offsets(broker.bootstrap_servers, topic) for topic in (topics.WEBHOOKS, topics.INBOUND_MESSAGES))
    return routed >= posted
