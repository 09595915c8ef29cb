"""How does a command use Postgres? One transaction on the operator's database; what goes wrong is said in a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from services.cli.problem import CommandError
from services.cli.surroundings import operator_dsn
from services.common.platform.registry import Connection

T = TypeVar("T")


@contextmanager
def answering() -> Iterator[None]:
    """A Postgres that does not answer is said so."""
    try:
        yield
    except psycopg.OperationalError:
        raise CommandError("Postgres does not answer.", hint="Is the stack running? `make up` starts it.") from None


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
