"""In which rows do the live tables and the rebuilt ones differ? Both are read as of one moment, while everybody goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg.sql import SQL, Composed, Identifier

from services.common.platform.statements import queries
from services.projector.shadow import LIVE, SHADOW, Connection

_SQL: Final = queries("services.projector", "rebuild.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A table on both sides. A checksum does not depend on the order of rows, and leaves out when they were written here."""

    table: str
    live_rows: int
    rebuilt_rows: int
    live_checksum: str
    rebuilt_checksum: str
    only_live: int
    only_rebuilt: int

    @property
    def differs(self) -> bool:
        """Some row is on one side only."""
        return (self.live_rows, self.live_checksum) != (self.rebuilt_rows, self.rebuilt_checksum)


async def compare(connection: Connection, tables: Sequence[str], told: Callable[[str], None]) -> list[Compared]:
    """Each table; rows are compared one by one only where the checksums differ. `told` hears which table is next."""
    found = []
    for table in tables:
        told(table)
        found.append(await _compare(connection, table))
    return found


async def _compare(connection: Connection, table: str) -> Compared:
    live, shadow = Identifier(LIVE, table), Identifier(SHADOW, table)
    names = await connection.execute(_SQL["columns"], {"schema": LIVE, "table": table})
    columns = SQL(", ").join(Identifier(name) for (name,) in await names.fetchall())
    live_rows, live_checksum = await _one(connection, _checksum(columns, live))
    rebuilt_rows, rebuilt_checksum = await _one(connection, _checksum(columns, shadow))
    only_live = only_rebuilt = 0
    if (live_rows, live_checksum) != (rebuilt_rows, rebuilt_checksum):
        (only_live,) = await _one(connection, _except(columns, live, shadow))
        (only_rebuilt,) = await _one(connection, _except(columns, shadow, live))
    return Compared(
        table=table,
        live_rows=live_rows,
        rebuilt_rows=rebuilt_rows,
        live_checksum=_hex(live_checksum),
        rebuilt_checksum=_hex(rebuilt_checksum),
        only_live=only_live,
        only_rebuilt=only_rebuilt,
    )


def _checksum(columns: Composed, table: Identifier) -> Composed:
    """A sum of hashes: the same in any order, and a row that is there twice counts twice."""
    statement = SQL("SELECT count(*), coalesce(sum(hashtextextended(said::text, 0)), 0) FROM (SELECT {} FROM {}) AS said")
    return statement.format(columns, table)


def _except(columns: Composed, left: Identifier, right: Identifier) -> Composed:
    statement = SQL("SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}) AS missing")
    return statement.format(columns, left, right)


def _hex(total: Any) -> str:
    return f"{int(total) % 2**64:016x}"


async def _one(connection: Connection, statement: Composed) -> tuple[Any, ...]:
    [row] = await (await connection.execute(statement)).fetchall()
    return row
