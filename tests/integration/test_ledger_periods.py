"""Is a command_id remembered for 30 days over all periods, does what is old go with its period, and do statements stay probes?"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, LiteralString, TypeVar
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.domain.lanes import Lane
from services.common.platform import migrations
from services.common.platform import postgres as platform_postgres
from services.common.platform.avro import Codec
from services.common.platform.clock import now_ms
from services.sandbox.postgres_dsn import drop_database, make_database, with_database
from services.sender import options
from services.sender.commands import TakenIn, fingerprint
from services.sender.store import SQL, Store
from tests.support.plans import plan
from tests.support.sending import NUMBER, PERSON, text

T = TypeVar("T")
DAY: Final = 86_400
PERIOD: Final = 10 * DAY
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def store(postgres: str, runner: asyncio.Runner) -> Iterator[Store]:
    """The sender's own statements on a fresh database that has room for this period and the next."""
    pool = platform_postgres.pool(postgres, service="periods", probing=True)
    runner.run(pool.open())
    made = Store(pool, Codec())
    runner.run(made.keep_periods())
    yield made
    runner.run(pool.close())


@pytest.fixture
def connection(postgres: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(postgres, autocommit=True) as made:
        yield made


def taken(shard: int = 0, **fields: Any) -> TakenIn:
    message = text(**fields)
    return TakenIn(
        message=message,
        shard=shard,
        lane=Lane.TRANSACTIONAL,
        fingerprint=fingerprint(message),
        pair=PERSON,
        appended_at=now_ms(),
        expires_at=now_ms() + 60_000,
        send_at=None,
        not_before=None,
        options=options.of(message),
    )


def ask(dsn: str, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description is not None else []


def aged(dsn: str, days: int, state: str) -> str:
    """A command of so many days ago, in the period of that day."""
    command_id = str(uuid4())
    ask(dsn, "SELECT sender.add_period(sender.period_of(now() - make_interval(days => %s)))", days)
    ask(
        dsn,
        "INSERT INTO sender.send_commands (command_id, period, shard, fingerprint, phone_number_id, lane, policy, state, type,"
        " content, pair, appended_at, received_at, expires_at)"
        " SELECT %s, sender.period_of(t.at), 0, 'x', %s, 1, 'hold', %s, 'text', '{}', '1', t.at, t.at, t.at"
        " FROM (SELECT now() - make_interval(days => %s) AS at) AS t",
        command_id,
        NUMBER,
        state,
        days,
    )
    ask(
        dsn,
        "INSERT INTO sender.send_attempts (command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id)"
        " SELECT command_id, period, 1, 'a', 0, 1, phone_number_id FROM sender.send_commands WHERE command_id = %s",
        command_id,
    )
    return command_id


def kept(dsn: str) -> set[str]:
    return {row[0] for row in ask(dsn, "SELECT command_id FROM sender.send_commands")}


def test_what_is_old_and_ended_goes_and_what_is_open_or_young_stays(postgres: str, store: Store, runner: asyncio.Runner) -> None:
    old = [aged(postgres, 60, "accepted"), aged(postgres, 60, "unresolved")]
    waiting, lost = aged(postgres, 90, "waiting"), aged(postgres, 120, "unknown")
    beside = aged(postgres, 90, "refused")
    young = [aged(postgres, 29, "accepted"), aged(postgres, 30, "rejected")]
    assert runner.run(store.keep_periods())[1] == 1
    assert kept(postgres) == {waiting, lost, beside, *young}
    assert {row[0] for row in ask(postgres, "SELECT command_id FROM sender.send_attempts")}.isdisjoint(old)
    known = runner.run(store.known(young))
    assert {one.fingerprint for one in known.values()} == {b"x"}
    again = [taken(command_id=one) for one in young]
    assert runner.run(store.take_in(again)) == set(), "a 29-day-old id is still taken"
    ask(postgres, "UPDATE sender.send_commands SET state = 'expired' WHERE state IN ('waiting', 'unknown')")
    assert runner.run(store.keep_periods())[1] == 2
    assert kept(postgres) == set(young)


def test_a_period_that_somebody_reads_is_dropped_later_and_nobody_waits_for_it(
    postgres: str, store: Store, runner: asyncio.Runner
) -> None:
    aged(postgres, 60, "accepted")
    with psycopg.connect(postgres) as reader:
        reader.execute("SELECT count(*) FROM sender.send_commands").fetchone()
        assert runner.run(store.keep_periods()) == (0, 0)
        assert runner.run(store.take_in([taken()])) != set()
    assert runner.run(store.keep_periods())[1] == 1


def test_one_id_that_two_shards_get_at_the_same_moment_is_one_command(store: Store, runner: asyncio.Runner) -> None:
    async def race() -> list[set[str]]:
        batches = [[taken(shard, command_id=one) for one in order] for shard, order in enumerate((ids, ids[::-1], ids))]
        return await asyncio.gather(*(store.take_in(batch) for batch in batches))

    ids: list[str] = []
    for _ in range(3):
        ids = [str(uuid4()) for _ in range(40)]
        won = runner.run(race())
        assert sorted(one for batch in won for one in batch) == sorted(ids)


def test_the_role_of_the_sender_may_keep_periods_and_owns_none(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SET ROLE parley_sender")
        assert connection.execute("SELECT added, dropped FROM sender.keep_periods()").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT sender.drop_period(1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE sender.send_attempts")


def test_the_rows_of_a_running_stack_are_there_after_the_migration(postgres_server: Any, tmp_path: Path) -> None:
    dsn = with_database(postgres_server.dsn, f"parley_before_{uuid4().hex[:12]}")
    make_database(dsn)
    try:
        for file in sorted(migrations.FOLDER.glob("*.sql")):
            if file.name < "0010":
                (tmp_path / file.name).write_bytes(file.read_bytes())
        migrations.migrate(dsn, folder=tmp_path)
        ask(
            dsn,
            "INSERT INTO sender.send_commands (command_id, shard, fingerprint, phone_number_id, lane, policy, state, reason,"
            " type, content, pair, appended_at, received_at, expires_at)"
            " SELECT 'c' || n, 0, 'x', '1', 1, 'hold', CASE n WHEN 7 THEN 'refused' ELSE 'accepted' END,"
            " CASE n WHEN 7 THEN 'expired' END, 'text', '{}', '1', t.at, t.at, t.at FROM generate_series(1, 100) AS n,"
            " LATERAL (SELECT now() - n * interval '1 day' AS at) AS t",
        )
        ask(
            dsn,
            "INSERT INTO sender.send_attempts (command_id, attempt_no, attempt_id, shard, epoch, phone_number_id, outcome)"
            " SELECT command_id, 1, 'a', 0, 1, '1', 'accepted' FROM sender.send_commands",
        )
        before = ask(dsn, "SELECT command_id, seq, received_at FROM sender.send_commands ORDER BY seq")
        migrations.migrate(dsn)
        assert ask(dsn, "SELECT command_id, seq, received_at FROM sender.send_commands ORDER BY seq") == before
        assert ask(dsn, "SELECT command_id FROM sender.send_commands WHERE state = 'expired'") == [("c7",)]
        misplaced = "SELECT count(*) FROM sender.send_commands WHERE period <> sender.period_of(received_at)"
        assert ask(dsn, misplaced) == [(0,)]
        joined = "SELECT count(*) FROM sender.send_attempts JOIN sender.send_commands USING (command_id, period)"
        assert ask(dsn, joined) == [(100,)]
        assert ask(dsn, "SELECT nextval('sender.command_seq') > max(seq) FROM sender.send_commands") == [(True,)]
    finally:
        drop_database(dsn)


HOT: Final = (
    "take_in",
    "pick",
    "next_due",
    "start",
    "park",
    "release",
    "kept_back",
    "record",
    "settle",
    "evidence",
    "overdue",
    "find_failures",
    "recent_starts",
    "refused_pairs",
)


@pytest.mark.parametrize("name", HOT)
def test_a_plan_made_while_the_tables_are_empty_still_finds_rows_by_an_index(postgres: str, store: Store, name: str) -> None:
    del store
    found = plan(postgres, SQL[name])
    assert not {table for table in found.read_whole if table.startswith("send_")}
    assert not {"Hash Join", "Merge Join"} & {node["Node Type"] for node in found.nodes}


@pytest.mark.parametrize("name", HOT)
def test_the_statements_of_the_sender_never_read_a_period_as_a_whole(postgres: str, store: Store, name: str) -> None:
    del store
    for days in (0, 10, 20, 30):
        aged(postgres, days, "accepted")
    ask(
        postgres,
        "INSERT INTO sender.send_commands (command_id, period, shard, fingerprint, phone_number_id, lane, policy, state, type,"
        " content, pair, appended_at, expires_at)"
        " SELECT gen_random_uuid()::text, p.period, n %% 24, 'x', (n %% 50)::text, 1,"
        " 'hold', CASE n %% 3 WHEN 0 THEN 'waiting' ELSE 'accepted' END, 'text', '{}', n::text,"
        " now(), now() FROM generate_series(1, 3000) AS n,"
        " (SELECT generate_series(sender.period_of(now()) - 3, sender.period_of(now()) + 1) AS period) AS p",
    )
    ask(
        postgres,
        "INSERT INTO sender.send_attempts (command_id, period, attempt_no, attempt_id, shard, epoch, phone_number_id, outcome)"
        " SELECT command_id, period, 1, command_id, shard, 1, phone_number_id, 'accepted' FROM sender.send_commands"
        " ON CONFLICT DO NOTHING",
    )
    ask(postgres, "ANALYZE sender.send_commands, sender.send_attempts")
    assert not {table for table in plan(postgres, SQL[name]).read_whole if table.startswith("send_")}


TEXTS: Final = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.tuples(
        st.lists(TEXTS | st.sampled_from(["", "NULL", "null", "{}", '"', "\\", ',";', "\n", " x "])),
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
        st.lists(st.none() | st.floats(allow_nan=False)),
        st.lists(st.none() | st.booleans()),
        st.lists(st.none() | st.binary()),
    )
)
def test_an_array_arrives_as_it_was_given(connection: psycopg.Connection[tuple[Any, ...]], arrays: tuple[list[Any], ...]) -> None:
    row = connection.execute(
        "SELECT %s::text[], %s::bigint[], %s::float8[], %s::boolean[], %s::bytea[]",
        [platform_postgres.array(one) for one in arrays],
        binary=True,
    ).fetchone()
    assert row is not None
    assert row == arrays


def test_what_is_no_element_of_an_array_is_refused() -> None:
    with pytest.raises(TypeError):
        platform_postgres.array([["nested"]])


def test_the_same_command_again_is_known_whatever_its_period(postgres: str, store: Store, runner: asyncio.Runner) -> None:
    old = aged(postgres, 35, "accepted")
    other = dataclasses.replace(taken(command_id=old), fingerprint=b"another")
    assert runner.run(store.take_in([other])) == set()
    assert runner.run(store.known([old]))[old].fingerprint != other.fingerprint
