"""Is a full disk at Postgres waited for, and shown, and nothing lost or done twice by it?

What a full disk is to a client is SQLSTATE 53100 of the statement that needs room; here a trigger says it. A small file
system of its own would need the rights to mount one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest

from services.common.domain import topics
from services.sandbox.providers import Kafka
from tests.support import log
from tests.support.processes import ServiceProcess
from tests.support.read_models import corpus, reached, replayed, stored
from tests.support.sending import Scene, scene, text
from tests.support.waiting import wait_for


@contextmanager
def full_disk(dsn: str, table: str) -> Iterator[None]:
    """No row more in that table."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION pg_temp.no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION pg_temp.no_room()".encode())
        try:
            yield
        finally:
            connection.execute(f"DROP TRIGGER no_room ON {table}".encode())


def shows_it(process: ServiceProcess, event: str) -> None:
    """For as long as it lasts, and alive."""
    process.wait_until(lambda: process.metric("parley_postgres_disk_full") == 1, 30, "show that the disk is full")
    told = next(line for line in process.events(event) if line["sqlstate"] == "53100")
    assert (told["level"], told["hint"].partition(":")[0]) == ("error", "Postgres' disk is full")


@pytest.mark.failure("R11")
def test_the_projector_waits_for_room(cluster: Kafka, postgres: str) -> None:
    environment = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    with ServiceProcess("projector", environment) as process:
        process.wait_ready()
        with full_disk(postgres, "projector.messages"):
            log.append(cluster.bootstrap_servers, corpus(seed=7, size=300))
            shows_it(process, "batch.retry")
        records = log.end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
        wait_for(lambda: reached(postgres) == records, 60, f"the projection of {records} records")
        process.wait_until(lambda: process.metric("parley_postgres_disk_full") == 0, 10, "show that there is room again")
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def all_sent(stage: Scene, count: int) -> bool:
    return len(stage.accepted()) == count and set(stage.states().values()) == {"accepted"}


@pytest.fixture
def stage(cluster: Kafka, postgres: str) -> Iterator[Scene]:
    with scene(cluster, postgres) as made:
        made.register()
        made.open_window()
        yield made


@pytest.mark.failure("S10")
def test_the_sender_waits_for_room_and_sends_each_once(stage: Scene) -> None:
    """Before commands are rows, and before attempts are."""
    with stage.sender() as process:
        process.wait_ready()
        for nth, table in enumerate(["sender.send_commands", "sender.send_attempts"]):
            with full_disk(stage.dsn, table):
                stage.put(*[text() for _ in range(5)])
                shows_it(process, "postgres.retry")
                assert len(stage.arrivals()) == 5 * nth
            wait_for(partial(all_sent, stage, 5 * (nth + 1)), 60, "every command to be sent")
            process.wait_until(lambda: process.metric("parley_postgres_disk_full") == 0, 10, "show that there is room again")
    assert len(stage.arrivals()) == 10
