"""Do rebuilt read models equal the live ones, and does everybody go on after the swap?"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.common.domain import topics
from services.projector.rebuild import NEARLY_THERE, RebuildRefused, RebuildReport, Wish, drop_old, rebuild
from services.sandbox.providers import Kafka, Postgres
from tests.support.command_line import parley
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

        assert asyncio.run(drop_old(postgres))
        assert not asyncio.run(drop_old(postgres))
        assert _schemas(postgres) == {"projector"}
        assert stored(postgres) == after


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
    sides = {one.table: (one.live_rows, one.rebuilt_rows, one.live_checksum == one.rebuilt_checksum) for one in report.tables}
    rows = {name: len(table) for name, table in stored(postgres).items()}
    assert sides.pop("contacts") == (0, found["contacts"][1], False)
    assert sides.pop("conversations") == (rows["conversations"], rows["conversations"], False)
    assert sides == {name: (rows[name], rows[name], True) for name in set(rows) - {"contacts", "conversations"}}


def test_a_rebuild_from_a_log_that_lacks_records_is_refused_and_changes_nothing(cluster: Kafka, postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("INSERT INTO projector.positions VALUES ('parley.projector', %s, 0, 5)", (topics.MESSAGE_STATUSES,))
    with pytest.raises(RebuildRefused, match="right Kafka"):
        asyncio.run(
            rebuild(Wish(), bootstrap_servers=cluster.bootstrap_servers, dsn=postgres, stalled_seconds=1.0),
        )
    assert _schemas(postgres) == {"projector"}
    assert reached(postgres) == 5


def test_a_killed_rebuild_goes_on_where_it_was(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    append(cluster.bootstrap_servers, corpus(seed=25, size=4_000))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
    rows, records = stored(postgres), reached(postgres)
    stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    killed = parley(tmp_path, "rebuild", **stack, PARLEY_FAULT="projector.after_rebuild_batch:2:kill")
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    built = reached(postgres, "projector_rebuild")
    assert 0 < built < records

    done = parley(tmp_path, "rebuild", "--json", **stack)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["resumed"], report["records"], report["differences"]) == (True, records - built, [])
    assert stored(postgres) == rows == replayed(cluster.bootstrap_servers)
    assert _schemas(postgres) == {"projector", "projector_old"}


def test_a_rebuild_begins_anew_where_what_is_there_is_of_no_use(
    cluster: Kafka, postgres: str, postgres_server: Postgres, tmp_path: Path
) -> None:
    append(cluster.bootstrap_servers, corpus(seed=26, size=NEARLY_THERE + 500))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
    rows, records = stored(postgres), reached(postgres)
    stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}

    def begins_anew(change: Callable[[], object], **wish: Any) -> bool:
        killed = parley(tmp_path, "rebuild", **stack, PARLEY_FAULT="projector.after_rebuild_batch:1:kill")
        assert killed.returncode == -signal.SIGKILL
        assert reached(postgres, "projector_rebuild")
        change()
        report = _rebuild(cluster, postgres, **wish)
        assert stored(postgres) == rows
        return (report.resumed, report.records) == (False, records)

    def executed(statement: str) -> None:
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(statement)

    assert begins_anew(lambda: None, is_fresh=True)
    assert begins_anew(lambda: executed("CREATE INDEX contacts_by_name ON projector.contacts (profile_name)"))
    assert begins_anew(lambda: executed("ALTER TABLE projector.contacts ADD COLUMN note text"))
    assert begins_anew(postgres_server.restart_immediate), "a crash empties what is unlogged"


def test_there_is_one_rebuild_at_a_time(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('parley rebuild', 0))")
        stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
        for options in ((), ("--drop-old",)):
            refused = parley(tmp_path, "rebuild", *options, **stack)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr == "Nothing was changed: another parley rebuild is at work in this database.\n"


def _projector(cluster: Kafka, dsn: str) -> ServiceProcess:
    return ServiceProcess("projector", {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": dsn})


def _rebuild(cluster: Kafka, dsn: str, **wish: Any) -> RebuildReport:
    return asyncio.run(rebuild(Wish(**wish), bootstrap_servers=cluster.bootstrap_servers, dsn=dsn))


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
                CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
                (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                    a.attcollation, col_description(c.oid, a.attnum)), ', ' ORDER BY a.attnum)
                    FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
                (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid), ', ' ORDER BY k.conname)
                    FROM pg_constraint AS k WHERE k.conrelid = c.oid)
            FROM pg_class AS c
            WHERE c.relnamespace IN ('projector'::regnamespace, 'analytics'::regnamespace) AND c.relkind IN ('r', 'i', 'v')
            ORDER BY c.relkind, c.relname
            """
        ).fetchall()
