"""Is every record applied exactly once when two projectors are killed, or told to stop, in turn?"""

from __future__ import annotations

from typing import Final

import pytest

from services.common.domain import topics
from services.sandbox.providers import Kafka
from services.sandbox.witness import install
from tests.support.log import append, end_offsets
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT, corpus, reached, replayed, stored
from tests.support.waiting import wait_for
from tests.support.witness import advances_without_gap_or_overlap

CYCLES: Final = 3
RECORDS: Final = 1_100
"""More than two batches: whoever is killed has begun, and has more to do."""


@pytest.mark.timeout(240)
@pytest.mark.failure("R6", "R8", "R25")
def test_two_projectors_killed_in_turn_end_in_the_rows_of_a_shuffled_log(cluster: Kafka, postgres: str) -> None:
    """The log repeats and shuffles events; who dies has begun with what was appended, and the other goes on."""
    install(postgres)
    environment = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres, **ALL_OF_IT}
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
            if cycle < 2 * (CYCLES - 1):
                victim.kill()
            else:
                assert victim.terminate(10.0) == 0
            victim.start()
        records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
        wait_for(lambda: reached(postgres) == records, 90, f"the projection of {records} records")
    assert advances_without_gap_or_overlap(postgres) == records
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def _wait_until_past(dsn: str, records: int) -> None:
    wait_for(lambda: reached(dsn) > records, 60, "the first of the records")
