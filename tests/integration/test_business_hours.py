"""How long do people wait in business hours? Against a count of every quarter of an hour by the clock of the business."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
import pytest

from services.common.domain import business_hours
from services.common.domain.business_hours import Opening
from services.projector.fold import Event
from tests.support.command_line import parley
from tests.support.read_models import project
from tests.support.told import received, sent

_QUARTER: Final = timedelta(minutes=15)
_HOURS: Final = (
    "mon-fri=09:00-12:00,13:00-18:30 sat=10:00-14:00",
    "mon-sun=00:00-24:00",
    "fri=22:00-24:00 sat-sun=00:00-06:00",
    "sat=18:00-24:00 sun=00:00-05:00",
)
_CHANGES_OF_CLOCKS: Final = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "America/Santiago": ("2026-04-05", "2026-09-06"),
    "Asia/Kolkata": ("2026-03-29",),
}
"""Sundays on which it becomes another offset; in Santiago at midnight."""
_WAITS: Final = [timedelta(hours=hours) for hours in (0, 0.25, 3, 12, 26, 75, 200)]


def as_counted(since: datetime, until: datetime, zone: ZoneInfo, openings: Sequence[Opening]) -> float:
    """Seconds of the quarters of an hour in which the clock of the wall shows an hour of business."""
    quarters = 0
    while since < until:
        local = since.astimezone(zone)
        minutes = local.hour * 60 + local.minute
        quarters += any(o.weekday == local.isoweekday() and o.opens <= minutes < o.closes for o in openings)
        since += _QUARTER
    return quarters * _QUARTER.total_seconds()


def waiting(name: str, number: str, since: datetime, until: datetime) -> list[Event]:
    """Somebody writes every 20 hours, so that the window stays open, and is answered in the end."""
    contact, events = f"49151{name.zfill(8)}", list[Event]()
    at = since
    while at < until or at == since:
        events.append(received(f"{name} {len(events)}", contact, milliseconds(at), phone_number_id=number))
        at += timedelta(hours=20)
    return [*events, sent(name, contact, milliseconds(until), phone_number_id=number)]


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def register(dsn: str, *numbers: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in numbers:
            connection.execute(
                "INSERT INTO registry.phone_numbers (phone_number_id, waba_id, access_token) VALUES (%s, '1', '')", (number,)
            )


def keep(dsn: str, number: str, zone: str, openings: Sequence[Opening]) -> None:
    """As the command does."""
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO registry.business_calendars VALUES ('number', %s, %s)", (number, zone))
        cursor.executemany(
            "INSERT INTO registry.business_hours VALUES ('number', %s, %s, make_time(%s / 60, mod(%s, 60), 0),"
            " make_time(%s / 60, mod(%s, 60), 0))",
            [(number, o.weekday, o.opens, o.opens, o.closes, o.closes) for o in openings],
        )


def told(dsn: str) -> list[tuple[Any, ...]]:
    """As an analyst."""
    with psycopg.connect(dsn, options="-c role=parley_analytics -c timezone=UTC") as connection:
        return connection.execute(
            "SELECT phone_number_id, opened_at, first_response_at, response_seconds::float, response_business_seconds::float"
            " FROM analytics.fct_conversation ORDER BY 1, 2, 3"
        ).fetchall()


def test_the_wait_in_business_hours_is_what_the_clock_on_the_wall_shows(postgres: str) -> None:
    calendars = {
        str(number): (zone, words) for number, (zone, words) in enumerate(product(_CHANGES_OF_CLOCKS, _HOURS), start=100)
    }
    register(postgres, *calendars)
    events: list[Event] = []
    expected: list[tuple[Any, ...]] = []
    for number, (name, words) in calendars.items():
        zone, openings = ZoneInfo(name), business_hours.parse(words.split())
        keep(postgres, number, name, openings)
        for sunday, wait, step in product(_CHANGES_OF_CLOCKS[name], _WAITS, range(7)):
            since = datetime.fromisoformat(sunday).replace(tzinfo=UTC) + timedelta(hours=step * 8.75 - 30)
            until = since + wait
            events += waiting(str(len(expected)), number, since, until)
            seconds = as_counted(since, until, zone, openings)
            expected.append((number, since, until, wait.total_seconds(), seconds))
    project(postgres, events)
    assert told(postgres) == sorted(expected)


@pytest.mark.parametrize(
    ("hours", "since", "seconds"),
    [
        ("sun=02:15-02:45", "2026-03-28T23:00Z", 1800.0),
        ("sun=02:30-03:00", "2026-03-28T23:00Z", 0.0),
        ("sun=02:15-02:45", "2026-10-24T22:00Z", 1800.0),
    ],
    ids=["moved", "from a skipped time to one that is not", "the second of two"],
)
def test_an_hour_that_clocks_skip_or_repeat_is_counted_at_most_once(
    postgres: str, tmp_path: Path, hours: str, since: str, seconds: float
) -> None:
    register(postgres, "100")
    set_hours(postgres, tmp_path, "--number", "100", "--zone", "Europe/Berlin", hours)
    asked = datetime.fromisoformat(since)
    project(postgres, waiting("1", "100", asked, asked + timedelta(hours=8)))
    assert told(postgres)[0][4] == seconds


def test_a_number_has_its_own_hours_else_its_tenants_else_none(postgres: str, tmp_path: Path) -> None:
    register(postgres, "100", "101")
    monday = datetime(2026, 7, 6, 8, tzinfo=UTC)
    project(postgres, *(waiting(number, number, monday, monday + timedelta(hours=4)) for number in ("100", "101", "102")))
    assert [row[4] for row in told(postgres)] == [None, None, None]
    set_hours(postgres, tmp_path, "--tenant", "default", "--zone", "UTC", "mon=09:00-10:00")
    set_hours(postgres, tmp_path, "--number", "101", "--zone", "UTC", "tue=09:00-10:00")
    assert [row[4] for row in told(postgres)] == [3600.0, 0.0, None], "102 is nobody's"
    listed = hours_command(postgres, tmp_path, "list", "--json").stdout.splitlines()
    assert [json.loads(line) for line in listed] == [
        {"scope": "number", "scope_id": "101", "time_zone": "UTC", "hours": "tue=09:00-10:00"},
        {"scope": "tenant", "scope_id": "default", "time_zone": "UTC", "hours": "mon=09:00-10:00"},
    ]
    assert hours_command(postgres, tmp_path, "clear", "--number", "101").stdout == "number 101: no business hours.\n"
    assert [row[4] for row in told(postgres)] == [3600.0, 3600.0, None]


def test_hours_are_set_whole_or_not_at_all(postgres: str, tmp_path: Path) -> None:
    register(postgres, "100")
    set_hours(postgres, tmp_path, "--number", "100", "--zone", "Europe/Berlin", "mon-fri=09:00-18:00")
    for arguments, says in (
        (("set", "--number", "100", "--zone", "Europe/Berlin", "mon=18:00-09:00"), "it closes before it opens"),
        (("set", "--number", "100", "--zone", "Europe/Bonn", "mon=09:00-18:00"), "knows no time zone Europe/Bonn."),
        (("set", "--number", "999", "--zone", "Europe/Berlin", "mon=09:00-18:00"), "There is no number 999."),
        (("set", "--zone", "Europe/Berlin", "mon=09:00-18:00"), "one of --number and --tenant is needed"),
        (("clear", "--tenant", "default"), "tenant default has no business hours."),
    ):
        done = hours_command(postgres, tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    assert "mon-fri=09:00-18:00" in hours_command(postgres, tmp_path, "list").stdout
    said = set_hours(postgres, tmp_path, "--number", "100", "--zone", "Asia/Kolkata", "sat=10:00-24:00")
    assert said == "number 100: sat=10:00-24:00 (Asia/Kolkata).\n"
    [_, row] = hours_command(postgres, tmp_path, "list").stdout.splitlines()
    assert row.split() == ["number", "100", "Asia/Kolkata", "sat=10:00-24:00"]


def set_hours(postgres: str, folder: Path, *arguments: str) -> str:
    done = hours_command(postgres, folder, "set", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def hours_command(postgres: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return parley(folder, "hours", *arguments, PARLEY_POSTGRES_DSN=postgres)
