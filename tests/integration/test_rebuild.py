"""Do rebuilt read models equal the live ones, and does everybody go on after the swap?"""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from services.common.domain import topics
from services.projector.rebuild import RebuildRefused, RebuildReport, rebuild
from services.sandbox.providers import Kafka
from tests.support.log import append, end_offsets, read
from tests.support.processes import ServiceProcess
from tests.support.read_models import corpus, reached, replayed, stored
from tests.support.waiting import wait_for


def test_a_rebuild_equals_the_live_tables_and_takes_their_place_under_traffic(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, corpus(seed=21, size=1_000))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
        letters = len(read(cluster.bootstrap_servers, topics.PROJECTOR_DEAD_LETTERS))

        compared = _rebuild(cluster, postgres, compare_only=True)
        assert (compared.swapped, compared.differences) == (False, ())
        assert compared.records == reached(postgres)
        assert _schemas(postgres) == {"projector"}

        shape = _shape(postgres)
        append(cluster.bootstrap_servers, corpus(seed=22, size=1_000))
        assert _rebuild(cluster, postgres).swapped
        assert _shape(postgres) == shape
        assert _schemas(postgres) == {"projector", "projector_old"}

        append(cluster.bootstrap_servers, corpus(seed=23, size=300))
        _wait_until_projected(cluster, postgres)
        assert process.alive
        after = stored(postgres)
        assert after == replayed(cluster.bootstrap_servers)
        assert stored(postgres, "projector_old") != after
        with psycopg.connect(postgres) as connection:
            row = connection.execute("SELECT count(*) FROM analytics.fct_message").fetchone()
            assert row == (len(after["messages"]),)
        sent = read(cluster.bootstrap_servers, topics.PROJECTOR_DEAD_LETTERS)
        live_only = [row for row in after["dead_letters"] if row[5] == "parley.projector"]
        assert letters < len(sent) == len(live_only)

        assert _rebuild(cluster, postgres, drop_old=True).swapped
        assert _schemas(postgres) == {"projector"}
        assert stored(postgres) == after


def test_what_was_dropped_for_its_age_is_missed_by_no_rebuild(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, corpus(seed=25, size=300))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("SELECT projector.keep_months(3)")
        rows = stored(postgres)
        assert rows["messages"]
        assert not rows["message_statuses"]
        assert _rebuild(cluster, postgres, compare_only=True).differences == ()
        assert _rebuild(cluster, postgres).swapped
    assert stored(postgres) == rows


def test_a_comparison_names_every_table_that_was_tampered_with(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, corpus(seed=24, size=200))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(
                "UPDATE projector.conversations SET last_inbound_at = now() "
                "WHERE contact = (SELECT min(contact) FROM projector.conversations)"
            )
            connection.execute("DELETE FROM projector.contacts")
        report = _rebuild(cluster, postgres, compare_only=True)
    found = {difference.table: (difference.only_live, difference.only_rebuilt) for difference in report.differences}
    assert set(found) == {"contacts", "conversations"}
    assert found["contacts"][0] == 0 < found["contacts"][1]
    assert found["conversations"][0] == found["conversations"][1] > 0


def test_a_rebuild_from_a_log_that_lacks_records_is_refused_and_changes_nothing(cluster: Kafka, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("INSERT INTO projector.positions VALUES ('parley.projector', %s, 0, 5)", (topics.MESSAGE_STATUSES,))
    with pytest.raises(RebuildRefused, match="right Kafka"):
        asyncio.run(
            rebuild(bootstrap_servers=cluster.bootstrap_servers, dsn=postgres, stalled_seconds=1.0),
        )
    assert _schemas(postgres) == {"projector"}
    assert reached(postgres) == 5


def _projector(cluster: Kafka, dsn: str) -> ServiceProcess:
    return ServiceProcess("projector", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": dsn})


def _rebuild(cluster: Kafka, dsn: str, *, compare_only: bool = False, drop_old: bool = False) -> RebuildReport:
    return asyncio.run(
        rebuild(bootstrap_servers=cluster.bootstrap_servers, dsn=dsn, compare_only=compare_only, drop_old=drop_old)
    )


def _wait_until_projected(cluster: Kafka, dsn: str) -> None:
    records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
    wait_for(lambda: reached(dsn) == records, 60, f"the projection of {records} records")


def _schemas(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {n for (n,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'projector%'")}


def _shape(dsn: str) -> list[tuple[object, ...]]:
    """Everything about the live tables and the views that is not rows."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            """
            SELECT c.relname, c.relkind::text, c.reloptions::text, c.relacl::text, pg_get_userbyid(c.relowner),
                obj_description(c.oid, 'pg_class'),
                CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
                CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, pg_get_expr(c.relpartbound, c.oid),
                (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    a.attcollation, col_description(c.oid, a.attnum)), ', ' ORDER BY a.attnum)
                    FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
                (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' ORDER BY k.conname)
                    FROM pg_constraint AS k WHERE k.conrelid = c.oid)
            FROM pg_class AS c
            WHERE c.relnamespace IN ('projector'::regnamespace, 'analytics'::regnamespace)
                AND c.relkind IN ('r', 'p', 'i', 'I', 'v')
            ORDER BY c.relkind, c.relname
            """
        ).fetchall()
