"""How does a command use Postgres? One transaction on the operator's database; what goes wrong is said in a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from services.cli.problem import CommandError
from services.cli.surroundings import need_secret, operator_dsn
from services.common.platform.registry import Connection

T = TypeVar("T")


@contextmanager
def answering() -> Iterator[None]:
    """A Postgres that does not answer is said so."""
    try:
        yield
    except psycopg.OperationalError:
        raise CommandError("Postgres does not answer.", hint="Is the stack running? `make up` starts it.") from None


@contextmanager
def as_analyst(command: str, *, when_too_long: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """PARLEY_ANALYTICS_DSN, in one transaction. What goes wrong is said without values, and what took too long with that hint."""
    dsn = need_secret("PARLEY_ANALYTICS_DSN")
    with answering():
        try:
            with psycopg.connect(dsn, connect_timeout=5, application_name=f"parley-{command}") as connection:
                yield connection
        except psycopg.errors.QueryCanceled:
            raise CommandError("The answer took longer than the role's statement_timeout.", hint=when_too_long) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
            raise CommandError("The database has not these views.", hint="`parley migrate` makes them.") from None


def in_database(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do it in one transaction."""
    dsn = operator_dsn()

    async def connected() -> T:
        async with await psycopg.AsyncConnection.connect(dsn, connect_timeout=5) as connection:
            return await work(connection)

    try:
        with answering():
            return asyncio.run(connected())
    except psycopg.errors.UndefinedTable:
        raise CommandError("The database has no tables yet.", hint="`parley migrate` makes them.") from None
