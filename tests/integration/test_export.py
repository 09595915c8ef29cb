"""Does `parley export` write views as whole files, typed, by time, with flat memory, and say why where it cannot?"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import make_conninfo

from services.cli.export_csv import CsvRows
from services.cli.export_parquet import ParquetRows
from services.cli.export_views import TIME_COLUMNS, Span, readable
from tests.support.command_line import parley
from tests.support.processes import ROOT
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, JULY, received, sent, status
from tests.support.waiting import wait_for

_ODD_ROWS = """
    CREATE VIEW analytics.fct_odd AS
    SELECT * FROM (VALUES
        (1::bigint, timestamptz '2026-07-01 00:00:00.123456+00', 'plain',
            0.0625, true, 1.5::float8, date '2026-07-01', '{1,2}'::int[]),
        (2, '2026-07-02 01:00:00+02', 'a "quoted", text' || chr(10) || 'of two lines',
            12345678901234567890.123456789, false, -0.1, '2026-07-02', '{}'),
        (3, '2026-07-02 00:00:00+00', '', 0.0000000005, NULL, NULL, NULL, NULL),
        (4, '2026-07-03 00:00:00+00', NULL, NULL, NULL, NULL, NULL, NULL)
    ) AS v (number, occurred_at, words, price, is_so, rate, day, list)
"""
_MANY_ROWS = """
    CREATE VIEW analytics.fct_many AS
    SELECT n AS number, timestamptz '2026-07-01 00:00:00+00' + n * interval '1 second' AS occurred_at, md5(n::text) AS key
    FROM generate_series(0, 999999) AS n
"""
_BLOCKED = """
    CREATE VIEW analytics.fct_blocked AS
    SELECT n AS number, CASE WHEN n > 15000 THEN pg_advisory_lock_shared(7)::text END AS waits
    FROM generate_series(1, 20000) AS n
"""
_PEAK = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
"""A process so small that what its child inherits of it is no part of the answer."""

Export = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dsn(postgres: str) -> str:
    """Of this database, as an analyst."""
    return make_conninfo(postgres, options="-c role=parley_analytics")


@pytest.fixture
def export(dsn: str, tmp_path: Path) -> Export:
    """The command, in a folder of its own."""
    return lambda *arguments, **env: parley(tmp_path, "export", *arguments, **{"PARLEY_ANALYTICS_DSN": dsn, **env})


def create(postgres: str, view: str) -> None:
    """A view that no migration has, granted as migrations do."""
    with psycopg.connect(postgres) as connection:
        connection.execute(view.encode())
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO parley_analytics")


def in_csv(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(done.stdout.splitlines(keepends=True)))


def numbers(done: subprocess.CompletedProcess[str]) -> list[int]:
    return sorted(int(row["number"]) for row in in_csv(done))


def test_csv_loses_no_digit_and_tells_a_null_from_an_empty_text(postgres: str, export: Export) -> None:
    create(postgres, _ODD_ROWS)
    done = export("fct_odd")
    assert done.stdout.splitlines() == [
        "number,occurred_at,words,price,is_so,rate,day,list",
        '1,2026-07-01T00:00:00.123456+00:00,plain,0.0625,true,1.5,2026-07-01,"{1,2}"',
        '2,2026-07-01T23:00:00.000000+00:00,"a ""quoted"", text',
        'of two lines",12345678901234567890.123456789,false,-0.1,2026-07-02,{}',
        '3,2026-07-02T00:00:00.000000+00:00,"",0.0000000005,,,,',
        "4,2026-07-03T00:00:00.000000+00:00,,,,,,",
    ]
    assert [row["number"] for row in in_csv(done)] == ["1", "2", "3", "4"]


def test_parquet_has_the_types_of_the_columns(postgres: str, export: Export, tmp_path: Path) -> None:
    create(postgres, _ODD_ROWS)
    done = export("fct_odd", "--format", "parquet", "--out", "odd.parquet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Rows of fct_odd in odd.parquet: 4.\n", "")
    table = pq.read_table(tmp_path / "odd.parquet")
    assert {field.name: field.type for field in table.schema} == {
        "number": pa.int64(),
        "occurred_at": pa.timestamp("us", tz="UTC"),
        "words": pa.string(),
        "price": pa.decimal128(38, 9),
        "is_so": pa.bool_(),
        "rate": pa.float64(),
        "day": pa.date32(),
        "list": pa.string(),
    }
    first, second, third, last = table.to_pylist()
    assert first["occurred_at"] == datetime(2026, 7, 1, 0, 0, 0, 123456, UTC)
    assert (first["price"], first["is_so"], first["rate"], first["day"]) == (Decimal("0.0625"), True, 1.5, date(2026, 7, 1))
    assert (second["price"], second["list"]) == (Decimal("12345678901234567890.123456789"), "{}")
    assert (third["words"], third["price"]) == ("", Decimal(0)), "the tenth digit behind the point is rounded, half to even"
    assert [name for name, value in last.items() if value is not None] == ["number", "occurred_at"]


def test_a_number_too_large_for_parquet_is_said_with_its_column_and_leaves_no_file(
    postgres: str, export: Export, tmp_path: Path
) -> None:
    create(postgres, "CREATE VIEW analytics.fct_large AS SELECT 1e40::numeric AS price")
    done = export("fct_large", "--format", "parquet", "--out", "large.parquet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fct_large.price has a number that no decimal(38, 9) can hold.\n"
    assert list(tmp_path.iterdir()) == []


def test_since_is_part_of_the_span_and_until_is_not(postgres: str, export: Export) -> None:
    create(postgres, _ODD_ROWS)
    assert numbers(export("fct_odd", "--since", "2026-07-02", PGTZ="Asia/Tokyo")) == [3, 4]
    assert numbers(export("fct_odd", "--since", "2026-07-02T00:00:00.000001Z")) == [4]
    assert numbers(export("fct_odd", "--until", "2026-07-02T02:00:00+02:00")) == [1, 2]
    assert numbers(export("fct_odd", "--since", "2026-07-01T00:00:00.123456Z", "--until", "2026-07-03")) == [1, 2, 3]


def test_a_day_counts_by_its_beginning_in_utc(postgres: str, export: Export) -> None:
    project(postgres, [sent("1"), sent("2", at=JULY + 86_400_000)])
    days = [row["day"] for row in in_csv(export("agg_template_day", "--since", "2026-07-02", PGTZ="Asia/Tokyo"))]
    assert sorted(days) == ["2026-07-02", "2026-07-03"]
    assert [row["day"] for row in in_csv(export("agg_template_day", "--since", "2026-07-02T12:00Z"))] == ["2026-07-03"]


def test_every_view_has_a_place_in_both_formats_for_all_that_it_holds(postgres: str, dsn: str) -> None:
    project(postgres, [sent("1"), status("1", "delivered"), received("2", BRAZILIAN)])
    with psycopg.connect(dsn) as connection:
        views = readable(connection)
        assert {"fct_message", "dim_contact", "fct_status", "agg_cost_day"} <= set(views)
        for view in views.values():
            rows = connection.execute(view.statement(Span())).fetchall()
            table, text = BytesIO(), BytesIO()
            with closing(ParquetRows(table, view.columns)) as in_parquet:
                if rows:
                    in_parquet.write(rows)
            CsvRows(text, view.columns).write(rows)
            read = pq.read_table(table)
            assert (read.column_names, read.num_rows) == ([column.name for column in view.columns], len(rows))
            assert len(list(csv.reader(text.getvalue().decode().splitlines()))) == 1 + len(rows)


def test_a_view_without_rows_is_a_header_or_a_table_of_no_rows(export: Export, tmp_path: Path) -> None:
    head, *lines = export("fct_message").stdout.splitlines()
    assert (
        export("fct_message", "--format", "parquet", "--out", "none.parquet").stdout
        == "Rows of fct_message in none.parquet: 0.\n"
    )
    table = pq.read_table(tmp_path / "none.parquet")
    assert (head.split(","), lines, table.num_rows) == (table.column_names, [], 0)
    assert table.schema.field("occurred_at").type == pa.timestamp("us", tz="UTC")


def test_the_views_are_listed_with_the_column_that_since_means(export: Export) -> None:
    lines = export().stdout.splitlines()
    assert any(line.startswith("fct_message (by occurred_at): One row a message") for line in lines)
    assert any(line.startswith("agg_number_hour (by hour): ") for line in lines)
    assert any(line.startswith("dim_phone_number (whole): ") for line in lines)
    facts = [line for line in lines if line.startswith(("fct_", "agg_")) and not line.startswith("fct_window")]
    assert all(any(f"(by {name})" in line for name in TIME_COLUMNS) for line in facts)


def test_what_cannot_be_exported_is_refused_with_what_can(export: Export, tmp_path: Path) -> None:
    for arguments, says in (
        (("fct_nothing",), "There is no view fct_nothing.\nThere are: agg_cost_day, "),
        (('fct_message"; TABLE registry.rates; --',), "There is no view "),
        (("dim_phone_number", "--since", "2026-07-01"), "The rows of dim_phone_number have no time."),
        (("fct_message", "--since", "yesterday"), "--since yesterday: a date or an ISO 8601 time is needed."),
        (("fct_message", "--since", "2026-07-02", "--until", "2026-07-02"), "--until has to be later than --since."),
        (("fct_message", "--format", "parquet"), "Parquet needs a file: --out."),
        (("fct_message", "--out", "."), "is a directory"),
    ):
        done = export(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
    done = export("fct_message", "--out", "nowhere/messages.csv")
    assert (done.returncode, done.stderr) == (1, "nowhere/messages.csv: No such file or directory.\n")
    assert parley(tmp_path, "export", "fct_message").returncode == 78
    away = export("fct_message", PARLEY_ANALYTICS_DSN="postgresql://localhost:1/none")
    assert (away.returncode, away.stderr.splitlines()[0]) == (1, "Postgres does not answer.")
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_csv_works_and_parquet_says_what_is_missing(dsn: str, tmp_path: Path) -> None:
    without = "import sys; sys.modules['pyarrow'] = None; from services.cli.__main__ import main; main()"
    run = [sys.executable, "-c", without, "export", "fct_message"]
    env = {**os.environ, "PARLEY_ANALYTICS_DSN": dsn}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("message_key,")
    done = subprocess.run(
        [*run, "--format", "parquet", "--out", "x.parquet"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (78, "Parquet needs pyarrow.")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def held_lock(postgres: str) -> Iterator[None]:
    """What the view `fct_blocked` waits for after its first portion."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7)")
        yield


def begun(dsn: str, folder: Path) -> subprocess.Popen[bytes]:
    """An export that has written something and waits for the rest."""
    run = [sys.executable, "-m", "services.cli", "export", "fct_blocked", "--out", "blocked.csv"]
    env = {**os.environ, "PARLEY_ANALYTICS_DSN": dsn}
    process = subprocess.Popen(run, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: any(part.stat().st_size for part in partial(folder)), 20, "the first rows of the export")
    return process


def partial(folder: Path) -> list[Path]:
    return list(folder.glob(".blocked.csv.*.partial"))


def test_an_export_that_is_killed_or_interrupted_leaves_the_file_of_before(
    postgres: str, dsn: str, export: Export, tmp_path: Path
) -> None:
    create(postgres, _BLOCKED)
    whole = tmp_path / "blocked.csv"
    whole.write_text("of yesterday")
    with held_lock(postgres):
        process = begun(dsn, tmp_path)
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
        [left] = partial(tmp_path)
        assert whole.read_text() == "of yesterday"
        left.unlink()
        process = begun(dsn, tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert (whole.read_text(), partial(tmp_path)) == ("of yesterday", [])
    assert export("fct_blocked", "--out", "blocked.csv").stdout == "Rows of fct_blocked in blocked.csv: 20,000.\n"
    assert len(whole.read_text().splitlines()) == 20_001
    assert list(tmp_path.iterdir()) == [whole]


def test_a_portion_that_takes_longer_than_the_role_may_is_said_and_leaves_no_file(
    postgres: str, export: Export, tmp_path: Path
) -> None:
    create(postgres, _BLOCKED)
    hurried = make_conninfo(postgres, options="-c role=parley_analytics -c statement_timeout=200")
    with held_lock(postgres):
        done = export("fct_blocked", "--out", "blocked.csv", PARLEY_ANALYTICS_DSN=hurried)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The answer took longer than the role's statement_timeout.\nExport a shorter time (--since, ")
    assert list(tmp_path.iterdir()) == []


def peak(dsn: str, folder: Path, *arguments: str) -> int:
    """The most memory that an export had resident, in the system's unit."""
    run = [sys.executable, "-S", "-c", _PEAK, sys.executable, "-m", "services.cli", "export", "fct_many", *arguments]
    env = {**os.environ, "PARLEY_ANALYTICS_DSN": dsn}
    return int(subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_million_rows_take_no_more_memory_than_ten_thousand(postgres: str, dsn: str, tmp_path: Path, form: str) -> None:
    create(postgres, _MANY_ROWS)
    small, large = tmp_path / "small", tmp_path / "large"
    few = peak(dsn, ROOT, "--format", form, "--until", "2026-07-01T02:46:40Z", "--out", str(small))
    many = peak(dsn, ROOT, "--format", form, "--out", str(large))
    if form == "parquet":
        assert (pq.read_metadata(small).num_rows, pq.read_metadata(large).num_rows) == (10_000, 1_000_000)
        assert pq.read_metadata(large).num_row_groups == 10
    else:
        with small.open() as few_rows, large.open() as many_rows:
            assert (sum(1 for _ in few_rows), sum(1 for _ in many_rows)) == (10_001, 1_000_001)
    assert many <= 1.3 * few
