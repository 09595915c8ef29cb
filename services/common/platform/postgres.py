"""How do we talk to Postgres? A pool with time-outs, named queries from files, and errors sorted by what to do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Final, LiteralString, TypeVar, cast

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.common.platform import logging, metrics
from services.common.platform.lifecycle import sleep_unless

log = logging.get(__name__)

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]

_HEAD: Final = re.compile(r"^-- (\w+) --$", re.MULTILINE)
# Classes of SQLSTATE that pass by themselves: connection, rollback (deadlock, serialization), resources, in use, operator.
_TRANSIENT: Final = ("08", "40", "53", "55", "57")


def queries(package: str, file: str = "queries.sql") -> dict[str, LiteralString]:
    """The statements of a file by name. Each is headed `-- name --` and a comment line saying its purpose."""
    parts = _HEAD.split(files(package).joinpath(file).read_text("utf-8"))
    return {name: cast("LiteralString", body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def pool(dsn: str, *, service: str, size: int = 4, search_path: str = "", plan_once: bool = False) -> Pool:
    """A closed pool; `open()` it inside the loop. Connections are checked lazily and time out on every kind of wait.

    `search_path` is the schema whose tables statements name without one. `plan_once`: a statement that is run again and again
    keeps one plan, whatever its values; over many partitions making one takes longer than running it.
    """
    # No JIT: its compiler takes a third of a second for statements that run in one millisecond.
    options = "-c jit=off -c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000"
    if search_path:
        options += f" -c search_path={search_path}"
    if plan_once:
        options += " -c plan_cache_mode=force_generic_plan"
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        timeout=5.0,
        kwargs={"application_name": f"parley-{service}", "options": options, "connect_timeout": 5},
        name=service,
    )


def is_transient(problem: BaseException) -> bool:
    """True for what passes by itself (server away, deadlock, disk full): never a dead letter."""
    if isinstance(problem, PoolTimeout | psycopg.InterfaceError):
        return True
    if not isinstance(problem, psycopg.Error):
        return False
    if problem.sqlstate is None:
        return isinstance(problem, psycopg.OperationalError)
    return problem.sqlstate[:2] in _TRANSIENT


async def retrying(work: Callable[[], Awaitable[T]], *, service: str, stopping: asyncio.Event) -> T | None:
    """Repeat a whole transaction until Postgres takes it; None when asked to stop before that. Other errors pass through."""
    wait = 0.05
    while True:
        try:
            return await work()
        except (psycopg.Error, PoolTimeout) as problem:
            if not is_transient(problem):
                raise
            metrics.POSTGRES_RETRIES.labels(service).inc()
            log.warning("postgres.retry", error=type(problem).__name__, sqlstate=getattr(problem, "sqlstate", None))
        if await sleep_unless(stopping, wait):
            return None
        wait = min(2.0, wait * 2)
