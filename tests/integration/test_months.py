"""Do statuses and outcomes stand in the month of their event, and does what is old go with its month?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from services.projector.fold import Event
from tests.support.read_models import project
from tests.support.told import sent, status

_MUCH: Final = 1_000
"""As many of a past month as are worth a part of their own."""


@pytest.fixture
def connection(postgres: str) -> Any:
    with psycopg.connect(postgres, autocommit=True) as made:
        yield made


def keep(dsn: str, months: int) -> tuple[int, int]:
    """As the projector does it, with its rights."""
    with psycopg.connect(dsn, autocommit=True, options="-c role=parley_projector") as connection:
        row = connection.execute("SELECT added, dropped FROM projector.keep_months(%s)", (months,)).fetchone()
        assert row is not None
        return row[0], row[1]


def month(ago: int) -> datetime:
    """The tenth of the month so many months before this one."""
    now = datetime.now(UTC)
    year, index = divmod(now.year * 12 + now.month - 1 - ago, 12)
    return datetime(year, index + 1, 10, 12, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def told(ago: int, count: int = 1) -> list[Event]:
    """Messages of which Meta says that they were sent, in that month."""
    at = ms(month(ago))
    names = [f"{ago}.{number}" for number in range(count)]
    return [event for name in names for event in (sent(name, at=at), status(name, "sent", at=at))]


def places(connection: Any, table: str) -> dict[str, int]:
    """In which part of a table how many rows stand."""
    statement = SQL("SELECT tableoid::regclass::text, count(*) FROM {} GROUP BY 1").format(Identifier("projector", table))
    return dict(connection.execute(statement).fetchall())


def part(table: str, ago: int) -> str:
    return f"projector.{table}_{month(ago):%Y%m}"


def test_rows_stand_in_their_month_and_elsewhere_until_there_is_one(postgres: str, connection: Any) -> None:
    project(postgres, told(0), told(-1), told(7))
    for table in ("message_statuses", "send_outcomes"):
        assert places(connection, table) == {part(table, 0): 1, part(table, -1): 1, f"projector.{table}_rest": 1}
    assert keep(postgres, 0) == (0, 0), "a single row is not worth a month"
    project(postgres, told(7, _MUCH))
    assert keep(postgres, 0) == (2, 0)
    for table in ("message_statuses", "send_outcomes"):
        assert places(connection, table)[part(table, 7)] == _MUCH
        assert f"projector.{table}_rest" not in places(connection, table)


def test_what_comes_again_after_its_month_was_made_is_known(postgres: str, connection: Any) -> None:
    project(postgres, told(7, _MUCH))
    keep(postgres, 0)
    project(postgres, told(7, _MUCH), told(7, 5))
    assert places(connection, "message_statuses") == {part("message_statuses", 7): _MUCH}
    assert places(connection, "send_outcomes") == {part("send_outcomes", 7): _MUCH}


def test_old_months_go_and_what_comes_late_for_them_too(postgres: str, connection: Any) -> None:
    project(postgres, told(0), told(3), told(4, _MUCH), told(9))
    assert keep(postgres, 0)[0] == 2
    assert keep(postgres, 3) == (0, 2)
    for table in ("message_statuses", "send_outcomes"):
        assert places(connection, table) == {part(table, 0): 1, f"projector.{table}_rest": 1}
    assert connection.execute("SELECT count(*) FROM projector.messages").fetchone() == (_MUCH + 3,)
    project(postgres, told(5))
    assert keep(postgres, 3) == (0, 0)
    assert sum(places(connection, "message_statuses").values()) == 2
    assert keep(postgres, 0) == (0, 0)
    dropped = connection.execute("SELECT DISTINCT before FROM registry.dropped_months").fetchall()
    assert dropped == [(month(3).replace(day=1, hour=0),)]


def test_a_reader_delays_what_is_dropped_and_nobody_waits_for_it(postgres: str, connection: Any) -> None:
    project(postgres, told(4, _MUCH))
    keep(postgres, 0)
    with connection.transaction():
        connection.execute("SELECT count(*) FROM projector.message_statuses")
        assert keep(postgres, 1) == (0, 0)
    assert keep(postgres, 1) == (0, 2)


def test_the_projector_may_not_make_or_drop_tables_itself(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True, options="-c role=parley_projector") as connection:
        for statement in (
            "SELECT projector.add_month('2020-01-01')",
            "SELECT projector.drop_months(now())",
            "CREATE TABLE projector.mine ()",
            "DROP TABLE projector.message_statuses_rest",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
