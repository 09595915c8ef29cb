"""Does a commit wait for the standby, and go on when the standby is back?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from services.sandbox.postgres_native import NativePostgres
from services.sandbox.problems import ProviderError
from tests.support.waiting import wait_for

SECONDS = 30.0
WAITS = "select 1 from pg_stat_activity where wait_event = 'SyncRep'"


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NativePostgres, NativePostgres]]:
    folder: Path = tmp_path_factory.mktemp("pair")
    primary = NativePostgres(folder / "primary")
    primary.start()
    standby = NativePostgres(folder / "standby", copy_of=primary.dsn)
    try:
        standby.start()
        yield primary, standby
    finally:
        standby.stop_immediate()
        primary.stop_immediate()


def rows(dsn: str, statement: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return len(connection.execute(statement).fetchall())


@pytest.mark.failure("R9", "S17")
def test_a_commit_waits_for_the_standby_and_is_there_on_both(pair: tuple[NativePostgres, NativePostgres]) -> None:
    primary, standby = pair
    primary.wait_for_standby(SECONDS)
    with psycopg.connect(primary.dsn, autocommit=True) as connection:
        connection.execute("create table told (n int)")
        connection.execute("insert into told values (1)")
    standby.stop_immediate()
    writing = threading.Thread(target=lambda: rows(primary.dsn, "insert into told values (2) returning n"))
    writing.start()
    wait_for(lambda: rows(primary.dsn, WAITS) == 1, SECONDS, "the commit to wait")
    assert rows(primary.dsn, "select n from told") == 1
    standby.start()
    writing.join(SECONDS)
    assert not writing.is_alive()
    wait_for(lambda: rows(standby.dsn, "select n from told") == 2, SECONDS, "both rows on the standby")


def test_a_standby_follows_again_after_the_primary_crashed(pair: tuple[NativePostgres, NativePostgres]) -> None:
    primary, standby = pair
    primary.wait_for_standby(SECONDS)
    primary.restart_immediate()
    with psycopg.connect(primary.dsn, autocommit=True) as connection:
        connection.execute("create table again (n int)")
    wait_for(
        lambda: rows(standby.dsn, "select 1 from pg_class where relname = 'again'") == 1, SECONDS, "the table on the standby"
    )


def test_without_a_standby_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    alone = NativePostgres(tmp_path)
    alone.start()
    try:
        with pytest.raises(ProviderError, match="no standby follows"):
            alone.wait_for_standby(0.2)
    finally:
        alone.stop_immediate()
