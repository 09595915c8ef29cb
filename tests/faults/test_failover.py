"""Is anything lost or sent twice when Postgres dies under traffic and its standby takes over? `-s` tells how soon it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from services.common.platform.migrations import migrate
from services.sandbox.ports import free_port
from services.sandbox.postgres_dsn import make_database, with_database
from services.sandbox.postgres_native import NativePostgres
from services.sandbox.providers import Kafka
from tests.support.processes import ServiceProcess
from tests.support.read_models import Tables, replayed, stored
from tests.support.sending import scene
from tests.support.sent_once import QUICK, assert_each_once_and_told, people, wait_until_ended
from tests.support.waiting import wait_for

SECONDS: Final = 30.0
COMMANDS: Final = 200
LIMIT: Final = 40


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[NativePostgres, NativePostgres]]:
    """A primary with the migrated database, whose commits wait for the standby."""
    primary = NativePostgres(tmp_path / "primary", port=free_port())
    primary.start()
    dsn = with_database(primary.dsn, "parley_failover")
    make_database(dsn)
    migrate(dsn)
    standby = NativePostgres(tmp_path / "standby", copy_of=primary.dsn)
    try:
        standby.start()
        primary.wait_for_standby(SECONDS)
        yield primary, standby
    finally:
        standby.stop_immediate()
        primary.stop_immediate()


def outcomes(tables: Tables) -> object:
    """People's windows were opened by hand; what was told of sends was not."""
    return tables["send_outcomes"]


@pytest.mark.timeout(180)
@pytest.mark.failure("R9", "S17")
def test_a_standby_that_takes_over_has_all_that_was_confirmed(
    cluster: Kafka, pair: tuple[NativePostgres, NativePostgres]
) -> None:
    primary, standby = pair
    hosts = ",".join(one.dsn.split("@")[1].split("/")[0] for one in pair)
    dsn = f"postgresql://operator@{hosts}/parley_failover?target_session_attrs=read-write"
    kafka = {"PARLEY_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers, "PARLEY_POSTGRES_DSN": dsn}
    with scene(cluster, dsn, pair_limit="false") as stage:
        stage.register(limit=LIMIT)
        commands = people(stage, COMMANDS, "1")
        with stage.sender(**QUICK), ServiceProcess("projector", kafka) as projector:
            projector.wait_ready()
            stage.put(*commands)
            wait_for(lambda: len(stage.arrivals()) > COMMANDS // 4, SECONDS, "a quarter to be sent")
            primary.stop_immediate()
            before = len(stage.arrivals())
            assert before < COMMANDS, "nothing was left to lose"
            began = time.monotonic()
            with psycopg.connect(with_database(standby.dsn, "parley_failover"), autocommit=True) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            wait_for(lambda: len(stage.arrivals()) > before, SECONDS, "sends to go on")
            print(f"sends went on {time.monotonic() - began:.2f} s after the promotion")
            wait_until_ended(stage, commands, 60.0)
            assert_each_once_and_told(stage, commands)
            wait_for(lambda: outcomes(stored(dsn)) == outcomes(replayed(cluster.bootstrap_servers)), 60, "what the log says")
