"""Do real projectors on real Kafka and Postgres end in the rows that a canonical replay of the log gives?"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from psycopg.sql import SQL, Identifier

from services.common.domain import topics
from services.common.platform.envelope import dead_letter_origin
from services.projector.fold import TABLES, Event, fold
from services.sandbox.providers import Kafka, Postgres
from tests.support.events import regrouped
from tests.support.log import append, end_offsets, read
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT, comparable, corpus, in_log, poison, project, reached, replayed, stored
from tests.support.told import NUMBER, sent, status
from tests.support.waiting import wait_for


@contextmanager
def running(cluster: Kafka, dsn: str, instance: str = "1") -> Iterator[ServiceProcess]:
    """A projector that is in its group."""
    with projector(cluster, dsn, instance) as process:
        yield process.wait_ready()


def projector(cluster: Kafka, dsn: str, instance: str = "1", **more: str) -> ServiceProcess:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": dsn, "PARLEY_INSTANCE": instance}
    env |= ALL_OF_IT
    return ServiceProcess("projector", {**env, **more})


def wait_until_projected(cluster: Kafka, dsn: str, seconds: float = 60.0) -> None:
    records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
    wait_for(lambda: reached(dsn) == records, seconds, f"the projection of {records} records")


@pytest.fixture
def as_projector(postgres: str) -> str:
    """The database, where everybody who logs in without asking otherwise is parley_projector."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        connection.execute(f"ALTER DATABASE {row[0]} SET role = 'parley_projector'")
    return postgres


@pytest.mark.failure("R13")
def test_a_log_with_everything_in_it_ends_in_its_rows_and_a_redelivery_changes_nothing(cluster: Kafka, as_projector: str) -> None:
    records = corpus(seed=1, size=1_500)
    append(cluster.bootstrap_servers, records)
    with running(cluster, as_projector) as process:
        wait_until_projected(cluster, as_projector)
        before = stored(as_projector)
        assert before == replayed(cluster.bootstrap_servers)
        assert process.terminate() == 0

        usable = [record for record in records if record not in poison(record.key or b"")]
        random.Random(2).shuffle(usable)
        append(cluster.bootstrap_servers, usable)
        process.start()
        wait_until_projected(cluster, as_projector)
        assert stored(as_projector) == before


@pytest.mark.failure("R6")
def test_two_workers_share_the_log_and_end_in_the_same_rows(cluster: Kafka, postgres: str) -> None:
    with running(cluster, postgres, "1"), running(cluster, postgres, "2"):
        append(cluster.bootstrap_servers, corpus(seed=3, size=1_500))
        wait_until_projected(cluster, postgres)
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


@pytest.mark.failure("R3", "R12")
def test_what_nobody_can_read_is_set_aside_with_its_bytes_and_its_reason(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, poison())
    with running(cluster, postgres):
        wait_until_projected(cluster, postgres)
        letters = read(cluster.bootstrap_servers, topics.PROJECTOR_DEAD_LETTERS)
    sources = {record[:3]: record for record in read(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)}
    found = {}
    for letter in letters:
        origin = dead_letter_origin(letter)
        source = sources[origin["topic"], int(origin["partition"]), int(origin["offset"])]
        assert (letter.key, letter.value, list(letter.headers)[: len(source.headers)]) == (
            source.key,
            source.value,
            list(source.headers),
        )
        found[source[:3]] = origin["reason"]
    assert sorted(found.values()) == ["avro_syntax", "json_syntax", "text_nul", "tombstone", "value_range"]
    rows = stored(postgres)["dead_letters"]
    assert {row[:3]: row[6] for row in rows} == found
    assert {row[:3]: (row[8], row[9]) for row in rows} == {
        place: (source.key, source.value) for place, source in sources.items() if place in found
    }


@pytest.mark.failure("R12")
def test_a_value_that_only_postgres_refuses_is_set_aside_alone(cluster: Kafka, postgres: str) -> None:
    records = corpus(seed=4, size=400)
    append(cluster.bootstrap_servers, records)
    wamids = sorted(row[0] for row in replayed(cluster.bootstrap_servers)["messages"] if row[1] == "inbound")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE projector.messages ADD CHECK (wamid NOT IN ('{wamids[3]}', '{wamids[9]}'))")
    with running(cluster, postgres):
        wait_until_projected(cluster, postgres)
    rows = stored(postgres)
    assert [row[0] for row in rows["messages"] if row[1] == "inbound"] == [w for w in wamids if w not in (wamids[3], wamids[9])]
    refused = [row for row in rows["dead_letters"] if row[6] == "value_range" and "refused" in row[7]]
    assert len(refused) >= 2
    assert {row[0] for row in refused} == {topics.INBOUND_MESSAGES}


@pytest.mark.failure("R7")
def test_offsets_that_kafka_committed_too_far_are_healed(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, corpus(seed=5, size=600))
    asyncio.run(_commit_everything(cluster.bootstrap_servers))
    with running(cluster, postgres):
        wait_until_projected(cluster, postgres)
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def test_a_projector_is_not_ready_before_its_tables_are_and_stops_in_time_without_them(
    cluster: Kafka, postgres_server: Postgres
) -> None:
    nowhere = psycopg.conninfo.make_conninfo(postgres_server.dsn, dbname="not_there")
    with projector(cluster, nowhere) as process:
        process.wait_for_event("postgres.unreachable")
        assert process.get("/ready")[0] == 503
        assert process.terminate(10.0) == 0


@pytest.mark.failure("R9")
def test_postgres_crashing_under_load_costs_nothing(cluster: Kafka, postgres: str, postgres_server: Postgres) -> None:
    with running(cluster, postgres) as process:
        append(cluster.bootstrap_servers, corpus(seed=6, size=800))
        wait_for(lambda: reached(postgres) > 0, 30, "the first rows")
        postgres_server.restart_immediate()
        append(cluster.bootstrap_servers, corpus(seed=7, size=800))
        wait_until_projected(cluster, postgres)
        assert process.alive
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


@pytest.mark.failure("R25")
def test_a_projector_stops_in_time_while_postgres_is_away(cluster: Kafka, postgres: str, postgres_server: Postgres) -> None:
    with running(cluster, postgres) as process:
        postgres_server.stop_immediate()
        append(cluster.bootstrap_servers, corpus(seed=8, size=50))
        process.wait_for_event("batch.retry")
        assert process.terminate(10.0) == 0
        postgres_server.start()
        process.start()
        wait_until_projected(cluster, postgres)
    assert stored(postgres) == replayed(cluster.bootstrap_servers)


def test_metrics_tell_of_silent_messages_and_stopped_webhooks_and_never_hold_up_the_projection(
    cluster: Kafka, as_projector: str
) -> None:
    """Until Postgres lets it look, the projector goes on and says once that it cannot."""
    accepted = sent("1", at=int(time.time() - 1_200) * 1_000, lane="otp")
    with psycopg.connect(as_projector, autocommit=True, options="-c role=none") as operator:
        operator.execute(
            "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token) VALUES (%s, '1', '')", (NUMBER,)
        )
        operator.execute("REVOKE SELECT ON analytics.ops_number FROM parley_projector")
        append(cluster.bootstrap_servers, [in_log(accepted)])
        with projector(cluster, as_projector, PARLEY_PROJECTOR_SILENCE_SECONDS="0.05") as process:
            process.wait_for_event("look.failed")
            wait_until_projected(cluster, as_projector)
            operator.execute("GRANT SELECT ON analytics.ops_number TO parley_projector")
            process.wait_until(lambda: process.metric("parley_silent_messages", phone_number_id=NUMBER) == 1, 10, "count it")
            process.wait_until(lambda: process.metric("parley_webhooks_stopped", phone_number_id=NUMBER) == 1, 10, "miss it")
            assert len(process.events("look.failed")) == 1

            append(cluster.bootstrap_servers, [in_log(status("1", "delivered", at=int(time.time()) * 1_000))])
            process.wait_until(lambda: NUMBER not in _series(process), 10, "hear it")
            assert process.terminate() == 0


def test_metrics_tell_of_stopped_templates_and_of_messages_without_a_rate(cluster: Kafka, as_projector: str) -> None:
    at = int(time.time() - 60) * 1_000
    with psycopg.connect(as_projector, autocommit=True, options="-c role=none") as operator:
        operator.execute(
            "INSERT INTO projector.templates (waba_id, name, language, template_id, template_id_at, status, status_at) VALUES"
            " ('1', 'offer', 'de', '7', now(), 'PAUSED', now()), ('1', 'order', 'de', '8', now(), 'APPROVED', now()),"
            " ('1', 'gone', 'de', '9', now(), 'DISABLED', now() - interval '2 days')"
        )
        append(cluster.bootstrap_servers, [in_log(sent("1", at=at)), in_log(status("1", "delivered", at=at + 1_000))])
        with projector(cluster, as_projector, PARLEY_PROJECTOR_SILENCE_SECONDS="0.05") as process:
            process.wait_until(
                lambda: process.metric("parley_unpriced_messages", country="BR", category="marketing") == 1, 20, "miss it"
            )
            assert process.metric("parley_templates_stopped", waba_id="1", template="offer", status="PAUSED") == 1
            assert process.metric("parley_templates_stopped") == 1
            operator.execute(
                "INSERT INTO registry.rates (country, category, valid_from, price, currency)"
                " VALUES ('BR', 'marketing', '2020-01-01', 1, 'USD')"
            )
            operator.execute("UPDATE projector.templates SET status = 'APPROVED' WHERE status = 'PAUSED'")
            process.wait_until(
                lambda: process.metric("parley_unpriced_messages") == process.metric("parley_templates_stopped") == 0,
                10,
                "see it",
            )
            assert not process.events("look.failed")


def _series(process: ServiceProcess) -> set[str]:
    """The numbers that the metrics name."""
    return set(re.findall(r'phone_number_id="(\w+)"', process.get("/metrics")[1]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(regrouped())
@pytest.mark.failure("R14")
def test_what_postgres_merges_is_what_the_code_merges(postgres: str, case: tuple[list[Event], list[list[Event]]]) -> None:
    events, batches = case
    _empty(postgres)
    project(postgres, *batches)
    assert stored(postgres) == comparable(fold(events))


def _empty(dsn: str) -> None:
    names = ["positions", *(table.name for table in TABLES)]
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=projector") as connection:
        connection.execute(SQL("TRUNCATE {}").format(SQL(", ").join(map(Identifier, names))))


async def _commit_everything(bootstrap_servers: str) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id="parley.projector", enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client.set_topics(topics.PROJECTOR_SOURCES)
        places = [TopicPartition(t, p) for t in topics.PROJECTOR_SOURCES for p in consumer.partitions_for_topic(t)]
        consumer.assign(places)
        await consumer.commit({place: end for place, end in (await consumer.end_offsets(places)).items() if end})
    finally:
        await consumer.stop()
