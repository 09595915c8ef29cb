"""Do rebuilt read models equal the live ones, and does everybody go on after the swap?"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.common.domain import topics
from services.projector.rebuild import NEARLY_THERE, RebuildRefused, RebuildReport, Wish, drop_old, rebuild
from services.sandbox.providers import Kafka, Postgres
from tests.support.command_line import parley
from tests.support.log import append, end_offsets, forget, read
from tests.support.processes import ServiceProcess
from tests.support.read_models import ALL_OF_IT, corpus, reached, replayed, stored
from tests.support.waiting import wait_for


@pytest.mark.failure("R23")
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
        assert _tables(postgres, "projector_old") == _tables(postgres, "projector"), "every table was rebuilt"

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


@pytest.mark.failure("R23")
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


def test_several_processes_build_the_same_and_what_one_leaves_undone_is_done_by_the_next_run(
    cluster: Kafka, postgres: str, tmp_path: Path
) -> None:
    append(cluster.bootstrap_servers, corpus(seed=32, size=3_000))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
    rows, records = stored(postgres), reached(postgres)
    stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
    done = parley(tmp_path, "rebuild", "--processes", "2", "--json", **stack)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["records"], report["differences"]) == (records, [])
    assert stored(postgres) == rows

    killed = parley(tmp_path, "rebuild", "--processes", "2", **stack, PARLEY_FAULT="projector.after_rebuild_batch:1:kill")
    assert (killed.returncode, killed.stdout) == (1, "")
    assert "one of its processes ended; begin again, it goes on from here" in killed.stderr
    again = _rebuild(cluster, postgres)
    assert (again.resumed, again.differences) == (True, ())
    assert again.records < records
    assert stored(postgres) == rows


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

    assert begins_anew(lambda: None, is_fresh=True)
    assert begins_anew(lambda: _execute(postgres, "CREATE INDEX contacts_by_name ON projector.contacts (profile_name)"))
    assert begins_anew(lambda: _execute(postgres, "ALTER TABLE projector.contacts ADD COLUMN note text"))
    assert begins_anew(postgres_server.restart_immediate), "a crash empties what is unlogged"


def test_one_projection_is_rebuilt_and_the_others_stay_as_they_are(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    append(cluster.bootstrap_servers, corpus(seed=27, size=300))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
        whole, shape = stored(postgres), _shape(postgres)
        _execute(
            postgres, "DELETE FROM projector.contacts", "DELETE FROM projector.contact_aliases", "DELETE FROM projector.calls"
        )
        stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
        done = parley(tmp_path, "rebuild", "--projection", "contacts", "--projection", "templates", "--json", **stack)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads(done.stdout)
        tables = {"contacts", "contact_aliases", "contact_moves", "templates"}
        assert {one["table"] for one in report["tables"]} == tables
        assert {one["table"] for one in report["differences"]} == {"contacts", "contact_aliases"}
        assert stored(postgres) == {**whole, "calls": []}
        assert _tables(postgres, "projector_old") == tables
        assert _shape(postgres) == shape

        append(cluster.bootstrap_servers, corpus(seed=28, size=100))
        _wait_until_projected(cluster, postgres)
        assert _rebuild(cluster, postgres, projections=("calls",)).records < reached(postgres), "only topics that tell of calls"
        assert stored(postgres) == replayed(cluster.bootstrap_servers)
    dropped = parley(tmp_path, "rebuild", "--drop-old", **stack)
    assert (dropped.returncode, dropped.stdout) == (0, "The tables of before the last rebuild are dropped.\n")
    assert _schemas(postgres) == {"projector"}


def test_from_a_time_mends_what_is_missing_since_and_takes_nothing_away(cluster: Kafka, postgres: str) -> None:
    append(cluster.bootstrap_servers, corpus(seed=29, size=200))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
        first = stored(postgres)["messages"][0][0]
        since = max(record.appended_at for record in read(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)) + 1
        wait_for(lambda: time.time() * 1000 > since, 5, "a later millisecond than that of the last record")
        append(cluster.bootstrap_servers, corpus(seed=30, size=200))
        _wait_until_projected(cluster, postgres)
        whole = replayed(cluster.bootstrap_servers)
        rewritten = next(row[0] for row in whole["messages"] if ".30." in row[0])
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute("DELETE FROM projector.messages WHERE wamid = ANY(%s)", ([first, rewritten],))
            connection.execute("INSERT INTO projector.contact_moves VALUES ('1', '2', now())")
        report = _rebuild(cluster, postgres, since=since)
        assert 0 < report.records < reached(postgres)
        assert {one.table: (one.only_live, one.only_rebuilt) for one in report.differences} == {"messages": (0, 1)}
        after = stored(postgres)
        assert [row for row in whole["messages"] if row not in after["messages"]] == [
            row for row in whole["messages"] if row[0] == first
        ], "what is missing since before"
        assert len(after["contact_moves"]) == len(whole["contact_moves"]) + 1
        append(cluster.bootstrap_servers, corpus(seed=31, size=100))
        _wait_until_projected(cluster, postgres)
        assert _rebuild(cluster, postgres).swapped
        assert stored(postgres) == replayed(cluster.bootstrap_servers)


def test_dead_letters_may_be_deleted_from_the_log_and_what_makes_rows_may_not_unless_it_is_kept_in_them(
    cluster: Kafka, postgres: str
) -> None:
    append(cluster.bootstrap_servers, corpus(seed=33, size=300))
    with _projector(cluster, postgres) as process:
        process.wait_ready()
        _wait_until_projected(cluster, postgres)
    rows = stored(postgres)
    forget(cluster.bootstrap_servers, topics.ROUTER_DEAD_LETTERS)
    report = _rebuild(cluster, postgres)
    assert report.records < reached(postgres)
    assert report.differences == ()
    assert stored(postgres) == rows

    forget(cluster.bootstrap_servers, topics.CONTACT_EVENTS)
    with pytest.raises(RebuildRefused, match=topics.CONTACT_EVENTS):
        _rebuild(cluster, postgres)
    assert _schemas(postgres) == {"projector", "projector_old"}
    assert _rebuild(cluster, postgres, projections=("message_statuses",)).differences == (), "it needs none of these"
    assert _rebuild(cluster, postgres, since=1).differences == ()
    assert stored(postgres) == rows


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--projection", "message"), "there is no projection message; there are"),
        (("--from", "noon"), "no instant"),
        (("--drop-old", "--fresh"), "--drop-old stands alone"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused_with_what_can(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    nowhere = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "PARLEY_POSTGRES_DSN": "postgresql://127.0.0.1:1/none"}
    refused = parley(tmp_path, "rebuild", *options, **nowhere)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert says in " ".join(refused.stderr.split())


def test_there_is_one_rebuild_at_a_time(cluster: Kafka, postgres: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('parley rebuild', 0))")
        stack = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": postgres}
        for options in ((), ("--drop-old",)):
            refused = parley(tmp_path, "rebuild", *options, **stack)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr == "Nothing was changed: another parley rebuild is at work in this database.\n"


def _projector(cluster: Kafka, dsn: str) -> ServiceProcess:
    env = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": dsn}
    return ServiceProcess("projector", {**env, **ALL_OF_IT})


def _rebuild(cluster: Kafka, dsn: str, **wish: Any) -> RebuildReport:
    return asyncio.run(rebuild(Wish(**wish), bootstrap_servers=cluster.bootstrap_servers, dsn=dsn))


def _wait_until_projected(cluster: Kafka, dsn: str) -> None:
    records = end_offsets(cluster.bootstrap_servers, *topics.PROJECTOR_SOURCES)
    wait_for(lambda: reached(dsn) == records, 60, f"the projection of {records} records")


def _execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _tables(dsn: str, schema: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        return {name for (name,) in found}


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
