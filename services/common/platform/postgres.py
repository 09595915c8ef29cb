"""How do we talk to Postgres? A pool with time-outs, and errors sorted by what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.common.platform import logging, metrics
from services.common.platform.lifecycle import sleep_unless

log = logging.get(__name__)

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]

PROBING: Final = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
_HEARD_OF: Final[Mapping[str, int]] = MappingProxyType(
    {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
)
"""After 25 s without a sign of the server's machine a connection is lost, whatever waits on it; Linux' own patience is hours."""
_HEARD_OF_US: Final[Mapping[str, int]] = MappingProxyType(
    {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3, "tcp_user_timeout": 25_000}
)
"""And the server ends our session, with the locks it has, when our machine has vanished: somebody else goes on."""
_DISK_FULL: Final = "53100"
_MAKE_ROOM: Final = "Postgres' disk is full: make room; nothing is lost, what comes meanwhile waits in Kafka"
# Classes of SQLSTATE that pass by themselves: connection, rollback (deadlock, serialization), resources, in use, operator.
_TRANSIENT: Final = ("08", "40", "53", "55", "57")


def pool(dsn: str, *, service: str, size: int = 4, search_path: str = "", probing: bool = False) -> Pool:
    """A closed pool; `open()` it inside the loop. Statements, locks and idle transactions end by Postgres' own time-outs, and a
    connection of whose server nothing is heard any more by TCP's: a machine that lost its power says nothing.

    `search_path` is the schema whose tables statements name without one. `probing`: for a service whose statements all find a few
    rows by an index, most of them alone in their transaction. Each commits by itself where it is not within
    `connection.transaction()`. Each keeps one plan, whatever its values, for over many partitions making one takes longer than
    running it; and no plan reads a table as a whole to join it, which the planner prefers while it takes a queue to be empty, or
    a limit that it does not know for a tenth of the table: 50 commands out of 68,000 then took 178 ms instead of 6.
    """
    # No JIT: its compiler takes a third of a second for statements that run in one millisecond.
    options = "-c jit=off -c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000"
    options += "".join(f" -c {name}={value}" for name, value in _HEARD_OF_US.items())
    if search_path:
        options += f" -c search_path={search_path}"
    if probing:
        options += f" {PROBING}"
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        timeout=5.0,
        kwargs={
            "application_name": f"parley-{service}",
            "options": options,
            "connect_timeout": 5,
            "autocommit": probing,
            **_HEARD_OF,
        },
        name=service,
    )


def array(values: Iterable[object]) -> str:
    """An array as Postgres writes it, for a parameter that the statement casts: texts, numbers, truths, bytes and None.

    psycopg's own way looks at each element twice in Python, a tenth of the time of a busy sender.
    """
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return '"\\\\x' + value.hex() + '"'
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"no element of an array: {type(value).__name__}")


def is_transient(problem: BaseException) -> bool:
    """True for what passes by itself (server away, deadlock, disk full): never a dead letter."""
    if isinstance(problem, PoolTimeout | psycopg.InterfaceError):
        return True
    if not isinstance(problem, psycopg.Error):
        return False
    if problem.sqlstate is None:
        return isinstance(problem, psycopg.OperationalError)
    return problem.sqlstate[:2] in _TRANSIENT


class Retries:
    """Counts and logs what is tried again, and shows a full disk for as long as it lasts: that ends only when somebody acts."""

    def __init__(self, event: str, *, service: str) -> None:
        self._event, self._service = event, service
        self._is_full = False

    def failed(self, problem: BaseException) -> None:
        """It is going to be tried again."""
        metrics.POSTGRES_RETRIES.labels(self._service).inc()
        sqlstate = getattr(problem, "sqlstate", None)
        if sqlstate == _DISK_FULL:
            self._is_full = True
            metrics.POSTGRES_DISK_FULL.labels(self._service).set(1)
            log.error(self._event, error=type(problem).__name__, sqlstate=sqlstate, hint=_MAKE_ROOM)
        else:
            log.warning(self._event, error=type(problem).__name__, sqlstate=sqlstate)

    def worked(self) -> None:
        """It has worked in the end."""
        if self._is_full:
            metrics.POSTGRES_DISK_FULL.labels(self._service).set(0)


async def retrying(work: Callable[[], Awaitable[T]], *, service: str, stopping: asyncio.Event) -> T | None:
    """Repeat a whole transaction until Postgres takes it; None when asked to stop before that. Other errors pass through."""
    wait = 0.05
    retries = Retries("postgres.retry", service=service)
    while True:
        try:
            done = await work()
        except (psycopg.Error, PoolTimeout) as problem:
            if not is_transient(problem):
                raise
            retries.failed(problem)
        else:
            retries.worked()
            return done
        if await sleep_unless(stopping, wait):
            return None
        wait = min(2.0, wait * 2)
