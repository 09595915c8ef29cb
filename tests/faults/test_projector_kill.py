"""Is every record applied exactly once when the projector is killed at each of its fault points, again and again?"""

from __future__ import annotations

import signal
from typing import Final

import pytest

from services.common.domain import topics
from services.sandbox.providers import Kafka
from services.sandbox.witness import install
from tests.support.log import append, end_offsets
from tests.support.processes import ServiceProcess
from tests.support.read_models import corpus, reached, replayed, stored
from tests.support.waiting import wait_for
from tests.support.witness import advances_without_gap_or_overlap

CYCLES: Final = 3
RECORDS: Final = 1_100
"""More than two batches: each cycle reaches the pass at which it is killed."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "point", ["projector.after_fetch", "projector.before_pg_commit", "projector.after_pg_commit_before_offset"]
)
def test_a_projector_killed_again_and_again_applies_every_record_once(point: str, cluster: Kafka, postgres: str) -> None:
    install(postgres)
    environment = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    with ServiceProcess("projector", environment) as process:
        process.kill()
        for cycle in range(CYCLES):
            append(cluster.bootstrap_servers, corpus(seed=40 + cycle, size=RECORDS))
            process.start(PARLEY_FAULT=f"{point}:{cycle + 1}:kill")
            assert process.wait_exit(60.0) == -signal.SIGKILL
        process.start()
        records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
        wait_for(lambda: reached(postgres) == records, 60, f"the projection of {records} records")
    assert advances_without_gap_or_overlap(postgres) == records
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


@pytest.mark.timeout(240)
def test_two_projectors_killed_in_turn_end_in_the_rows_of_a_shuffled_log(cluster: Kafka, postgres: str) -> None:
    """The log repeats and shuffles events; who is killed has begun with what was appended, and the other goes on."""
    install(postgres)
    environment = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    with (
        ServiceProcess("projector", {**environment, "PARLEY_INSTANCE": "1"}) as one,
        ServiceProcess("projector", {**environment, "PARLEY_INSTANCE": "2"}) as two,
    ):
        for process in (one, two):
            process.wait_ready()
        for cycle in range(2 * CYCLES):
            before = reached(postgres)
            append(cluster.bootstrap_servers, corpus(seed=60 + cycle, size=RECORDS))
            _wait_until_past(postgres, before)
            victim = (one, two)[cycle % 2]
            victim.kill()
            victim.start()
        records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
        wait_for(lambda: reached(postgres) == records, 90, f"the projection of {records} records")
    assert advances_without_gap_or_overlap(postgres) == records
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def _wait_until_past(dsn: str, records: int) -> None:
    wait_for(lambda: reached(dsn) > records, 60, "the first of the records")
