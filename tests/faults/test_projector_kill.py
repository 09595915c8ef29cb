"""Is every record applied exactly once when the projector is killed at each of its fault points, again and again?

The witness is not idempotent: a trigger writes down every advance of a position in the transaction that makes it. Advances that
overlap would be a record applied twice, a gap between them a record lost.
"""

from __future__ import annotations

import signal
from itertools import groupby, pairwise
from typing import Final

import psycopg
import pytest

from services.common.domain import topics
from services.sandbox.providers import Kafka
from tests.support.log import append, end_offsets
from tests.support.processes import ServiceProcess
from tests.support.read_models import corpus, reached, replayed, stored
from tests.support.waiting import wait_for

CYCLES: Final = 3
RECORDS: Final = 1_100
"""More than two batches: each cycle reaches the pass at which it is killed."""
_WITNESS: Final = """
CREATE TABLE public.advances (
    seq bigint GENERATED ALWAYS AS IDENTITY, topic text, partition integer, before bigint, after bigint
);
CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.advances (topic, partition, before, after)
    VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN NULL;
END
$$;
CREATE TRIGGER witness AFTER UPDATE ON projector.positions
    FOR EACH ROW WHEN (old.next_offset <> new.next_offset) EXECUTE FUNCTION public.witness();
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "point", ["projector.after_fetch", "projector.before_pg_commit", "projector.after_pg_commit_before_offset"]
)
def test_a_projector_killed_again_and_again_applies_every_record_once(point: str, cluster: Kafka, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(_WITNESS)
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
    assert _advances_without_gap_or_overlap(postgres) == records
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def _advances_without_gap_or_overlap(dsn: str) -> int:
    """The number of records all advances together cover, from offset 0 of every partition on."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT topic, partition, before, after FROM public.advances ORDER BY 1, 2, seq").fetchall()
    total = 0
    for place, group in groupby(rows, key=lambda row: row[:2]):
        steps = [(before, after) for _, _, before, after in group]
        assert steps[0][0] == 0, place
        assert all(earlier[1] == later[0] for earlier, later in pairwise(steps)), place
        total += sum(after - before for before, after in steps)
    return total
