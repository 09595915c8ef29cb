"""Do DuckDB, polars and pandas read the views and the exported files, with types, time zones, nulls and numerics right?

DuckDB attaches the database by its own Postgres extension, which is loaded from a package and not from DuckDB's server.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import duckdb
import pandas as pd
import polars as pl
import psycopg
import pyarrow as pa
import pytest

from tests.support.command_line import parley
from tests.support.read_models import project
from tests.support.told import BRAZILIAN, GERMAN, JULY, received, sent, status

_SECOND = 1_000
_AT: Final = datetime.fromtimestamp(JULY / 1000, UTC)
_MESSAGES: Final = """
    SELECT message_key, direction, country, occurred_at, delivered_at, error_code, template_name
    FROM analytics.fct_message ORDER BY occurred_at
"""


@pytest.fixture
def analyst(postgres: str) -> str:
    """The address of a database as an analyst: an offer delivered and billed, one that failed, and an answer."""
    with psycopg.connect(postgres) as connection:
        connection.execute("INSERT INTO registry.rates VALUES ('BR', 'marketing', '2026-06-01', 0.0625, 'USD')")
    project(
        postgres,
        [
            *(sent("1", BRAZILIAN), status("1", "delivered", BRAZILIAN, JULY + _SECOND)),
            *(sent("2", GERMAN, JULY + 1), status("2", "failed", GERMAN, JULY + 2 * _SECOND, error_code=131049)),
            received("3", BRAZILIAN, JULY + 60 * _SECOND),
        ],
    )
    parts = urlsplit(postgres)
    options = f"options={quote('-c role=parley_analytics -c timezone=Asia/Tokyo')}"
    return parts._replace(query="&".join(filter(None, (parts.query, options)))).geturl()


@pytest.fixture
def duck() -> duckdb.DuckDBPyConnection:
    """With the Postgres extension that belongs to its version, in a zone that is not UTC."""
    connection = duckdb.connect()
    folder = files("duckdb_extension_postgres_scanner") / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"LOAD '{folder / 'postgres_scanner.duckdb_extension'}'")
    connection.execute("SET TimeZone = 'America/Sao_Paulo'")
    return connection


def exported(folder: Path, analyst: str, view: str, form: str) -> Path:
    file = folder / f"{view}.{form}"
    done = parley(folder, "export", view, "--format", form, "--out", str(file), PARLEY_ANALYTICS_DSN=analyst)
    assert (done.returncode, done.stderr) == (0, "")
    return file


def test_duckdb_attaches_the_views_and_nothing_else(duck: duckdb.DuckDBPyConnection, analyst: str) -> None:
    duck.execute(f"ATTACH '{analyst}' AS parley (TYPE postgres, READ_ONLY)")
    described = {row[0]: row[1] for row in duck.execute("DESCRIBE parley.analytics.fct_message").fetchall()}
    assert (described["occurred_at"], described["error_code"]) == ("TIMESTAMP WITH TIME ZONE", "INTEGER")
    answer = duck.execute(
        "SELECT country, epoch_ms(max(delivered_at)), count(error_code), sum(c.cost) FROM parley.analytics.fct_message AS m"
        " LEFT JOIN parley.analytics.fct_cost AS c USING (message_key, country) GROUP BY country ORDER BY country"
    )
    assert answer.fetchall() == [("BR", JULY + _SECOND, 0, 0.0625), ("DE", None, 1, None)]
    with pytest.raises(duckdb.Error, match="permission denied for schema projector"):
        duck.execute("SELECT count(*) FROM parley.projector.messages").fetchall()


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_duckdb_reads_what_was_exported(duck: duckdb.DuckDBPyConnection, analyst: str, tmp_path: Path, form: str) -> None:
    for view in ("fct_message", "fct_cost"):
        file = str(exported(tmp_path, analyst, view, form))
        (duck.read_parquet(file) if form == "parquet" else duck.read_csv(file)).create_view(view)
    described = {row[0]: row[1] for row in duck.execute("DESCRIBE fct_message").fetchall()}
    assert (described["occurred_at"], described["message_key"]) == ("TIMESTAMP WITH TIME ZONE", "VARCHAR")
    rows = duck.execute(
        "SELECT direction, epoch_ms(m.occurred_at), epoch_ms(delivered_at), error_code, template_name, cost::decimal(38, 9)"
        " FROM fct_message AS m LEFT JOIN fct_cost AS c USING (message_key, template_name) ORDER BY m.occurred_at"
    ).fetchall()
    assert rows == [
        ("outbound", JULY, JULY + _SECOND, None, "offer", Decimal("0.0625")),
        ("outbound", JULY + 1, None, 131049, "offer", None),
        ("inbound", JULY + 60 * _SECOND, None, None, None, None),
    ]


def test_polars_reads_the_views_through_adbc(analyst: str) -> None:
    frame = pl.read_database_uri(_MESSAGES, analyst, engine="adbc")
    assert frame.schema == {
        "message_key": pl.String(),
        "direction": pl.String(),
        "country": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "delivered_at": pl.Datetime("us", "UTC"),
        "error_code": pl.Int32(),
        "template_name": pl.String(),
    }
    assert frame["occurred_at"].to_list() == [_AT, _AT + timedelta(milliseconds=1), _AT + timedelta(minutes=1)]
    assert frame["delivered_at"].to_list() == [_AT + timedelta(seconds=1), None, None]
    assert frame["error_code"].to_list() == [None, 131049, None]


def test_polars_keeps_every_digit_of_a_numeric_that_is_asked_for_as_text(analyst: str) -> None:
    query = "SELECT day, country, messages, cost::text FROM analytics.agg_cost_day ORDER BY country"
    frame = pl.read_database_uri(query, analyst, engine="adbc").with_columns(pl.col("cost").cast(pl.Decimal(38, 9)))
    assert frame.rows() == [(date(2026, 7, 2), "BR", 1, Decimal("0.0625")), (date(2026, 7, 2), "DE", 1, None)]


def test_polars_and_pandas_read_what_was_exported(analyst: str, tmp_path: Path) -> None:
    file = exported(tmp_path, analyst, "fct_cost", "parquet")
    frame = pl.read_parquet(file).sort("country")
    assert (frame.schema["cost"], frame.schema["billed_at"]) == (pl.Decimal(38, 9), pl.Datetime("us", "UTC"))
    assert frame["cost"].to_list() == [Decimal("0.0625"), None]
    same = pd.read_parquet(file, dtype_backend="pyarrow").sort_values("country")
    assert same["cost"].dtype == pd.ArrowDtype(pa.decimal128(38, 9))
    assert same["billed_at"].iloc[0].to_pydatetime() == _AT + timedelta(seconds=1)
    assert same["billed_at"].isna().tolist() == [False, True]
    lines = pd.read_csv(exported(tmp_path, analyst, "fct_cost", "csv"), parse_dates=["billed_at"]).sort_values("country")
    assert str(lines["billed_at"].dtype) == "datetime64[us, UTC]"
    assert (lines["cost"].iloc[0], lines["is_rate_unknown"].dtype) == (0.0625, "bool")


def test_pandas_reads_the_views_through_psycopg(analyst: str) -> None:
    with psycopg.connect(analyst) as connection, connection.execute(_MESSAGES.encode()) as cursor:
        frame = pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or ()])
    assert frame["occurred_at"].dt.tz_convert("UTC").tolist() == [
        _AT,
        _AT + timedelta(milliseconds=1),
        _AT + timedelta(minutes=1),
    ]
    assert frame["delivered_at"].isna().tolist() == [False, True, True]
    assert frame["error_code"].convert_dtypes().tolist() == [pd.NA, 131049, pd.NA]
    assert frame["country"].tolist() == ["BR", "DE", "BR"]
