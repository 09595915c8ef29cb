"""Which Postgres is behind a DSN, and how is a database of it named or made? DSNs are URLs."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

MAINTENANCE = "postgres"
PAUSE_SECONDS = 0.05


def with_database(dsn: str, database: str) -> str:
    """The same server, account and parameters, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def database_of(dsn: str) -> str:
    return urlsplit(dsn).path.lstrip("/") or MAINTENANCE


def with_role(dsn: str, role: str) -> str:
    """The same server and database for another login; the sandbox's own servers ask no password on the loopback interface."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}@{host}"))


def server_version(dsn: str) -> int:
    """The number of the server's major version; psycopg.OperationalError if it does not let us in."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        return connection.info.server_version // 10_000


def wait_until_open(dsn: str, within_seconds: float, ended: Callable[[], bool]) -> bool:
    """True as soon as the server lets us in; False when `ended()` says that it never will, or the time is over."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline and not ended():
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


def make_database(dsn: str, *, template: str | None = None) -> None:
    """Create the database the DSN names, as a copy of `template` if given; there already: does nothing."""
    name = database_of(dsn)
    with psycopg.connect(with_database(dsn, MAINTENANCE), autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            return
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template:
            statement += sql.SQL(" template {}").format(sql.Identifier(template))
        connection.execute(statement)


def drop_database(dsn: str) -> None:
    """Drop the database the DSN names and whoever is connected to it; not there: does nothing."""
    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database_of(dsn)))
    with psycopg.connect(with_database(dsn, MAINTENANCE), autocommit=True) as connection:
        connection.execute(statement)
