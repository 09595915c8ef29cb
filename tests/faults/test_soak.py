"""Do two routers and two projectors lose, double or distort anything when they are killed at random under traffic?

A few kills in every run of the tests; `PARLEY_SOAK_KILLS=200 PARLEY_SOAK_SEED=7 make test-faults ARGS="-k soak -s"` for a night.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Final

import pytest

from services.common.domain import topics
from services.sandbox.providers import Kafka
from services.sandbox.witness import install
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT, reached, replayed, stored
from tests.support.routed import POSTS, all_events_there, append_posts, assert_nothing_lost_or_distorted
from tests.support.waiting import wait_for
from tests.support.witness import advances_without_gap_or_overlap

KILLS: Final = int(os.environ.get("PARLEY_SOAK_KILLS", "6"))
SEED: Final = int(os.environ.get("PARLEY_SOAK_SEED", "1"))
POSTS_PER_SECOND: Final = 300


class _Traffic(threading.Thread):
    """Webhooks at a steady rate until told to stop."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(name="traffic", daemon=True)
        self._kafka = kafka
        self._enough = threading.Event()
        self.posts = 0

    def run(self) -> None:
        began = time.monotonic()
        for number in itertools.count():
            append_posts(self._kafka, f"soak.{number}")
            self.posts += POSTS
            if self._enough.wait(max(0.0, began + self.posts / POSTS_PER_SECOND - time.monotonic())):
                return

    def end(self) -> None:
        self._enough.set()
        self.join()


def _projectable(kafka: Kafka) -> int:
    return log.end_offsets(kafka.bootstrap_servers, *topics.PROJECTOR_SOURCES)


def _has_grown(kafka: Kafka, before: int) -> bool:
    return _projectable(kafka) > before


@pytest.mark.timeout(120 + 10 * KILLS)
def test_soak_with_kills_at_random(cluster: Kafka, postgres: str) -> None:
    chance = random.Random(SEED)
    install(postgres)
    environment = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres, **ALL_OF_IT}
    traffic = _Traffic(cluster)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(ServiceProcess(name, {**environment, "PARLEY_INSTANCE": instance}))
            for name in ("router", "projector")
            for instance in ("1", "2")
        ]
        for worker in workers:
            worker.wait_ready()
        traffic.start()
        for _ in range(KILLS):
            victim = chance.choice(workers)
            traffic.join(chance.uniform(0.2, 3.0))
            victim.kill()
            victim.start()
            wait_for(partial(_has_grown, cluster, _projectable(cluster)), 60, "progress after a kill")
        traffic.end()
        wait_for(lambda: all_events_there(cluster), 120, "route everything")
        records = _projectable(cluster)
        wait_for(lambda: reached(postgres) == records, 120, f"project {records} records")
        assert all(worker.alive for worker in workers), "a worker ended that nobody killed"
    print(f"seed {SEED}: {KILLS} kills, {traffic.posts} webhooks, {records} records projected")
    assert_nothing_lost_or_distorted(cluster)
    assert advances_without_gap_or_overlap(postgres) == records
    assert stored(postgres) == replayed(cluster.bootstrap_servers)
