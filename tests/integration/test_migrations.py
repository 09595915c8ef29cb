"""Does a database get each migration once, each phase in its time, and do all of them make what the repository shows?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
import yoyo

from services.common.platform import migrations
from services.common.platform.migrations import Migrated, Phase, PrePendingError, migrate
from services.sandbox.postgres_dsn import drop_database, make_database, with_database
from services.sandbox.providers import Postgres
from tests.support.command_line import parley
from tests.support.waiting import wait_for
from tools import catalog, entities_page, schema
from tools.contract import ROOT


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[str]:
    """The DSN of a database without anything in it."""
    dsn = with_database(postgres_server.dsn, f"parley_empty_{uuid4().hex[:12]}")
    make_database(dsn)
    try:
        yield dsn
    finally:
        drop_database(dsn)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A history of two releases: each has something to add and something to take away."""
    write(tmp_path, "0001_first", "CREATE TABLE notes (old text, dead text);")
    write(tmp_path, "0002_new.pre", "ALTER TABLE notes ADD COLUMN new text;")
    write(tmp_path, "0003_old.post", "ALTER TABLE notes DROP COLUMN old;")
    write(tmp_path, "0004_newer.pre", "ALTER TABLE notes ADD COLUMN newer text;")
    write(tmp_path, "0005_dead.post", "ALTER TABLE notes DROP COLUMN dead;")
    return tmp_path


def write(folder: Path, name: str, statements: str) -> None:
    (folder / f"{name}.sql").write_text(f"-- A change.\n{statements}\n")


def ask(dsn: str, statement: LiteralString) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [row[0] for row in connection.execute(statement).fetchall()]


def columns(dsn: str) -> set[str]:
    return set(ask(dsn, "SELECT column_name FROM information_schema.columns WHERE table_name = 'notes'"))


def applied(dsn: str) -> list[str]:
    return ask(dsn, "SELECT migration_id FROM _yoyo_migration ORDER BY applied_at_utc")


def plainly_by_yoyo(dsn: str, folder: Path) -> None:
    """As it was done before there were phases."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    backend = yoyo.get_backend(f"postgresql+psycopg://{parts['user']}@{parts['host']}:{parts['port']}/{parts['dbname']}")
    try:
        with backend.lock():
            backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))
    finally:
        backend.connection.close()


# phases


def test_all_are_applied_in_the_order_of_their_numbers_and_only_once(empty: str, folder: Path) -> None:
    names = ("0001_first", "0002_new.pre", "0003_old.post", "0004_newer.pre", "0005_dead.post")
    assert migrate(empty, folder=folder) == Migrated(applied=names, waiting=())
    assert applied(empty) == list(names)
    assert migrate(empty, folder=folder) == Migrated(applied=(), waiting=())
    assert columns(empty) == {"new", "newer"}


def test_pre_adds_all_there_is_to_add_and_post_takes_away_later(empty: str, folder: Path) -> None:
    before = migrate(empty, phase=Phase.PRE, folder=folder)
    assert before == Migrated(
        applied=("0001_first", "0002_new.pre", "0004_newer.pre"), waiting=("0003_old.post", "0005_dead.post")
    )
    assert columns(empty) == {"old", "dead", "new", "newer"}, "old code and new code find what they use"
    after = migrate(empty, phase=Phase.POST, folder=folder)
    assert after == Migrated(applied=("0003_old.post", "0005_dead.post"), waiting=())
    assert columns(empty) == {"new", "newer"}


def test_post_is_refused_as_a_whole_while_a_pre_one_is_missing(empty: str, folder: Path) -> None:
    migrate(empty, phase=Phase.PRE, folder=folder)
    write(folder, "0006_newest.pre", "ALTER TABLE notes ADD COLUMN newest text;")
    with pytest.raises(PrePendingError) as refused:
        migrate(empty, phase=Phase.POST, folder=folder)
    assert refused.value.names == ("0006_newest.pre",)
    assert "old" in columns(empty)
    assert "newest" not in columns(empty)


def test_the_phases_one_after_the_other_make_what_all_at_once_make(postgres: str, empty: str) -> None:
    assert not migrate(postgres).applied
    migrate(empty, phase=Phase.PRE)
    assert not migrate(empty, phase=Phase.POST).waiting
    assert description(empty) == description(postgres)


def test_a_database_that_was_migrated_before_there_were_phases_goes_on(empty: str, folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "0001_first.sql").write_bytes((folder / "0001_first.sql").read_bytes())
    plainly_by_yoyo(empty, old)
    assert migrate(empty, phase=Phase.PRE, folder=folder).applied == ("0002_new.pre", "0004_newer.pre")


def test_a_database_with_all_the_migrations_that_are_older_than_phases_lacks_none_of_them(empty: str, tmp_path: Path) -> None:
    known = sorted(file.stem for file in migrations.FOLDER.glob("*.sql") if "." not in file.stem)
    for name in known:
        (tmp_path / f"{name}.sql").write_bytes((migrations.FOLDER / f"{name}.sql").read_bytes())
    plainly_by_yoyo(empty, tmp_path)
    assert applied(empty) == known
    assert migrate(empty, folder=tmp_path) == Migrated(applied=(), waiting=())


# failures and others


def test_a_migration_that_fails_leaves_nothing_of_itself_and_is_done_when_it_is_mended(empty: str, folder: Path) -> None:
    write(folder, "0004_newer.pre", "ALTER TABLE notes ADD COLUMN newer text;\nALTER TABLE nothing ADD COLUMN newer text;")
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate(empty, folder=folder)
    assert applied(empty) == ["0001_first", "0002_new.pre", "0003_old.post"]
    assert columns(empty) == {"dead", "new"}
    write(folder, "0004_newer.pre", "ALTER TABLE notes ADD COLUMN newer text;")
    assert migrate(empty, folder=folder).applied == ("0004_newer.pre", "0005_dead.post")


def test_a_migration_and_the_note_of_it_are_one(empty: str, folder: Path) -> None:
    """Whoever dies between the two would do it again, and fail."""
    migrate(empty, folder=folder)
    write(folder, "0006_unnoted.pre", "CREATE TABLE unnoted ();\nALTER TABLE nothing ADD COLUMN more text;")
    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate(empty, folder=folder)
    assert ask(empty, "SELECT migration_id FROM _yoyo_migration WHERE migration_id LIKE '0006%'") == []
    seen = "SELECT migration_id FROM _yoyo_migration WHERE migration_id LIKE '0006%'"
    write(folder, "0006_unnoted.pre", f"CREATE TABLE unnoted AS {seen};")
    migrate(empty, folder=folder)
    assert ask(empty, "SELECT migration_id FROM unnoted") == ["0006_unnoted.pre"], (
        "seen by the migration itself, before it is over"
    )


@pytest.mark.parametrize("how", ["", "-- transactional: false\n"])
def test_what_a_migration_sets_for_itself_ends_with_it(empty: str, folder: Path, how: str) -> None:
    (folder / "0006_aside.pre.sql").write_text(
        f"-- Sets.\n{how}CREATE SCHEMA aside;\nSET search_path = aside;\nCREATE TABLE here ();\n"
    )
    write(folder, "0007_back.pre", "CREATE TABLE back ();")
    assert migrate(empty, folder=folder).applied[-2:] == ("0006_aside.pre", "0007_back.pre")
    assert ask(empty, "SELECT schemaname::text FROM pg_tables WHERE tablename IN ('here', 'back') ORDER BY 1") == [
        "aside",
        "public",
    ]


@pytest.fixture
def held(empty: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Holds what `LONG` waits for, until it is closed."""
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        yield connection


LONG = "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); END $$;"


def waiting(dsn: str) -> int:
    """Sessions of the database that wait for a lock of ours, a migration's or the one for migrating."""
    [count] = ask(
        dsn,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    return int(count)


def test_several_at_once_wait_for_each_other(empty: str, folder: Path, held: psycopg.Connection[Any]) -> None:
    write(folder, "0006_long.pre", LONG)
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(migrate, empty, folder=folder) for _ in range(4)]
        wait_for(lambda: waiting(empty) == 4, 9, "one that migrates and three that wait for it")
        held.close()
        done = [one.result(30) for one in running]
    assert sorted(len(one.applied) for one in done) == [0, 0, 0, 6]


@pytest.mark.usefixtures("held")
def test_whoever_dies_leaves_neither_half_a_migration_nor_a_lock(empty: str, folder: Path) -> None:
    """By losing its sessions, as a process that is killed does."""
    write(folder, "0006_long.pre", f"CREATE TABLE half ();\n{LONG}")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(migrate, empty, folder=folder)
        wait_for(lambda: waiting(empty) == 1, 9, "the migration to be in its middle")
        ask(
            empty,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query <> 'SELECT pg_advisory_lock(1)'",
        )
        with pytest.raises(psycopg.OperationalError):
            running.result(30)
    write(folder, "0006_long.pre", "CREATE TABLE half ();")
    assert migrate(empty, folder=folder).applied == ("0006_long.pre",)


def test_a_lock_of_yoyo_s_own_that_a_killed_process_left_keeps_nobody_out(empty: str, folder: Path) -> None:
    migrate(empty, folder=folder)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    write(folder, "0006_more.pre", "CREATE TABLE more ();")
    assert migrate(empty, folder=folder).applied == ("0006_more.pre",)


def test_a_table_in_use_is_not_waited_for_so_long_that_its_users_wait(
    empty: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_MS", 200)
    migrate(empty, phase=Phase.PRE, folder=folder)
    with psycopg.connect(empty) as reader:
        reader.execute("SELECT * FROM notes")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            migrate(empty, folder=folder)
    assert migrate(empty, folder=folder).applied == ("0003_old.post", "0005_dead.post")


def test_an_index_can_be_made_without_stopping_writers(empty: str, folder: Path) -> None:
    (folder / "0006_index.pre.sql").write_text(
        "-- transactional: false\n"
        "DROP INDEX CONCURRENTLY IF EXISTS notes_new;\n"
        "CREATE INDEX CONCURRENTLY notes_new ON notes (new);\n"
    )
    assert migrate(empty, folder=folder).applied[-1] == "0006_index.pre"
    assert ask(empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'notes_new'::regclass") == [True]


def test_what_else_the_dsn_says_of_the_connection_holds_for_migrations_too(empty: str, folder: Path) -> None:
    write(folder, "0006_told.pre", "CREATE TABLE told AS SELECT current_setting('application_name') AS name;")
    migrate(f"{empty}?application_name=who%20else%26&options=-c%20work_mem%3D5MB", folder=folder)
    assert ask(empty, "SELECT name FROM told") == ["who else&"]


# the command


def test_the_command_says_what_it_applied_and_what_waits(empty: str, tmp_path: Path) -> None:
    refused = parley(tmp_path, "migrate", "--phase", "post", PARLEY_POSTGRES_DSN=empty)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Not applied yet: 0001_roles_and_registry, ")
    assert "--phase pre" in refused.stderr
    done = parley(tmp_path, "migrate", "--phase", "pre", PARLEY_POSTGRES_DSN=empty)
    *names, last = done.stdout.splitlines()
    assert (done.returncode, names) == (0, [f"applied {name}" for name in applied(empty)])
    assert last == f"{len(names)} migrations applied."


# what the repository shows


def description(dsn: str) -> dict[str, str]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return catalog.described(connection)


def test_schema_sql_makes_what_the_migrations_make(postgres: str, empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute((ROOT / schema.PATH).read_bytes())
    made, migrated = description(empty), description(postgres)
    assert len(migrated) > 500
    different = [name for name in sorted({*made, *migrated}) if made.get(name) != migrated.get(name)]
    assert different == [], "run make schema"


CHANGES: list[LiteralString] = [
    "ALTER TABLE sender.limits ADD COLUMN more text",
    "ALTER TABLE sender.limits ALTER COLUMN upgraded_at SET NOT NULL",
    "ALTER TABLE sender.limits ALTER COLUMN messages_per_second SET DEFAULT 1",
    "ALTER TABLE sender.limits ALTER COLUMN messages_per_second TYPE bigint",
    "ALTER TABLE sender.limits ALTER COLUMN phone_number_id TYPE text COLLATE \"C\"",
    "ALTER TABLE sender.limits ADD CHECK (messages_per_second > 0)",
    "ALTER TABLE sender.limits SET (fillfactor = 50)",
    "ALTER TABLE sender.limits OWNER TO parley_sender",
    "ALTER TABLE sender.limits ENABLE ROW LEVEL SECURITY",
    "ALTER SEQUENCE sender.command_seq CACHE 7",
    "ALTER SEQUENCE sender.command_seq OWNED BY NONE",
    "ALTER FUNCTION sender.keep_periods SECURITY INVOKER",
    "CREATE INDEX more ON sender.limits (upgraded_at)",
    "CREATE TYPE sender.mood AS ENUM ('fine')",
    "CREATE OR REPLACE VIEW analytics.dim_rate_card AS"
    " SELECT country, category, valid_from, price + 1 AS price, currency FROM registry.rates",
    "COMMENT ON COLUMN sender.limits.upgraded_at IS 'something else'",
    "COMMENT ON SCHEMA sender IS NULL",
    "GRANT SELECT ON sender.limits TO parley_analytics",
    "GRANT SELECT (upgraded_at) ON sender.limits TO parley_analytics",
    "GRANT USAGE ON SCHEMA sender TO parley_analytics",
    "GRANT EXECUTE ON FUNCTION sender.drop_period TO PUBLIC",
    "REVOKE UPDATE ON sender.limits FROM parley_sender",
    "DROP TABLE sender.limits",
]  # fmt: skip


def test_whatever_a_migration_may_change_is_told_by_the_description(postgres: str) -> None:
    untold = []
    with psycopg.connect(postgres) as connection:
        before = catalog.described(connection)
        for change in CHANGES:
            connection.rollback()
            connection.execute(change)
            if catalog.described(connection) == before:
                untold.append(change)
    assert untold == []


def test_the_description_does_not_depend_on_the_day(postgres: str) -> None:
    before = description(postgres)
    ask(postgres, "SELECT sender.add_period(1)")
    assert description(postgres) == before


def test_the_page_of_tables_and_views_shows_them_as_they_are(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        found = list(catalog.entities(connection))
    assert (ROOT / entities_page.PATH).read_text("utf-8") == entities_page.text(found), "run make schema"
    columns = {entity.full_name: {column.name: column.type for column in entity.columns} for entity in found}
    for relation in entities_page.RELATIONS:
        one, many = columns[relation.one], columns[relation.many]
        assert [one[name] for name in relation.of_one] == [many[name] for name in relation.by], relation
    links = set(re.findall(r"\]\(#([^)]+)\)", (ROOT / entities_page.PATH).read_text("utf-8")))
    assert links == {name.replace(".", "") for name in columns} | set(catalog.SCHEMAS)


def test_whoever_is_named_by_others_is_named_by_its_key(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        keys = {entity.full_name: set(entity.key) for entity in catalog.entities(connection) if not entity.is_view}
    by_part = {("sender.send_commands", ("command_id",))}  # one row an id, whatever its period
    for relation in entities_page.RELATIONS:
        if relation.one in keys and (relation.one, relation.of_one) not in by_part:
            assert set(relation.of_one) == keys[relation.one], relation
