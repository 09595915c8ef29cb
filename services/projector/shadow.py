"""How are fresh tables put beside the live ones, compared with them, and put in their place?

What a live table has besides its columns goes with it: keys, indexes under their names, storage parameters, comment, owner,
grants, and the views that read it, which Postgres binds to the table and not to its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from services.common.platform.postgres import queries

LIVE: Final = "projector"
SHADOW: Final = "projector_rebuild"
OLD: Final = "projector_old"
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_SQL: Final = queries("services.projector", "rebuild.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Rows of one table that only one side has."""

    table: str
    only_live: int
    only_rebuilt: int


async def create(connection: Connection) -> None:
    """Empty tables in the shadow schema, like the live ones; what an abandoned rebuild left is dropped."""
    await drop(connection, SHADOW)
    await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(SHADOW)))
    for table in await tables(connection):
        await _create_like(connection, table)


async def tables(connection: Connection) -> list[str]:
    """The live tables."""
    return [name for (name,) in await _rows(connection, "tables", schema=LIVE)]


async def drop(connection: Connection, schema: str) -> None:
    """Drop a schema of ours that is not live, if it is there."""
    if schema == LIVE:
        raise ValueError("the live tables are never dropped")
    await connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


async def lock_out_writers(connection: Connection) -> None:
    """From here to the end of the transaction projectors wait; readers do not."""
    await connection.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(Identifier(LIVE, "positions")))


async def differences(connection: Connection) -> list[Difference]:
    """Each table whose rows are not the same on both sides."""
    found = []
    for table in await tables(connection):
        live, shadow = Identifier(LIVE, table), Identifier(SHADOW, table)
        names = [name for (name,) in await _rows(connection, "columns", schema=LIVE, table=table)]
        columns = SQL(", ").join(Identifier(name) for name in names)
        only_live = await _count(connection, _except(columns, live, shadow))
        only_rebuilt = await _count(connection, _except(columns, shadow, live))
        if only_live or only_rebuilt:
            found.append(Difference(table=table, only_live=only_live, only_rebuilt=only_rebuilt))
    return found


async def keep_dead_letters(connection: Connection, *, group: str) -> None:
    """Dead letters of other services outlive the topics they came by."""
    await connection.execute(_SQL["keep_dead_letters"], {"group": group})


async def drop_months(connection: Connection) -> None:
    """What was dropped of the live tables because it is old is left out of the shadow tables too."""
    for table, before in await _rows(connection, "dropped_months"):
        statement = SQL("DELETE FROM {} WHERE occurred_at < {}").format(Identifier(SHADOW, table), before)
        await connection.execute(statement)


async def live_positions(connection: Connection, *, projection: str) -> dict[tuple[str, int], int]:
    """How far the live tables are."""
    rows = await _rows(connection, "live_positions", projection=projection)
    return {(topic, partition): offset for topic, partition, offset in rows}


async def swap(connection: Connection) -> None:
    """Within the caller's transaction: live tables to the old schema, shadow tables in their place, views bound to them."""
    names = await tables(connection)
    await connection.execute(SQL("SET LOCAL search_path = pg_catalog"))
    every = SQL(", ").join(Identifier(LIVE, name) for name in names)
    await connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(every))
    views = await _rows(connection, "views", schema=LIVE)
    await drop(connection, OLD)
    await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(OLD)))
    for name in names:
        await _move(connection, name, source=LIVE, target=OLD)
        await _move(connection, name, source=SHADOW, target=LIVE)
    for _, name, definition, options in views:
        await connection.execute(_view(name, definition, options))
    await drop(connection, SHADOW)


async def _move(connection: Connection, table: str, *, source: str, target: str) -> None:
    parts = [name for name, _ in await _rows(connection, "parts", table=f"{source}.{table}")]
    for name in (table, *parts):
        await connection.execute(SQL("ALTER TABLE {} SET SCHEMA {}").format(Identifier(source, name), Identifier(target)))


def _view(name: str, definition: str, options: Sequence[str] | None) -> Composed:
    """`name` and `definition` are Postgres' own words for an existing view, quoted by it."""
    with_options = f" WITH ({', '.join(options)})" if options else ""
    return Composed([_verbatim(f"CREATE OR REPLACE VIEW {name}{with_options} AS {definition}")])


async def _create_like(connection: Connection, table: str) -> None:
    live, shadow = Identifier(LIVE, table), Identifier(SHADOW, table)
    [(parts_by,)] = await _rows(connection, "partitioned_by", table=f"{LIVE}.{table}")
    in_parts = _verbatim(f" PARTITION BY {parts_by}" if parts_by else "")
    await connection.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES){}").format(shadow, live, in_parts))
    for part, bound in await _rows(connection, "parts", table=f"{LIVE}.{table}"):
        statement = SQL("CREATE TABLE {} PARTITION OF {} {}").format(Identifier(SHADOW, part), shadow, _verbatim(bound))
        await connection.execute(statement)
    for name, definition in await _rows(connection, "constraints", table=f"{LIVE}.{table}"):
        statement = SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(shadow, Identifier(name), _verbatim(definition))
        await connection.execute(statement)
    for (definition,) in await _rows(connection, "indexes", table=f"{LIVE}.{table}"):
        # An index of a table in parts is shown as one of the table alone; made anew it is to be one of all its parts.
        whole = definition.replace(" ON ONLY ", " ON ", 1)
        await connection.execute(Composed([_verbatim(whole.replace(f" ON {LIVE}.", f" ON {SHADOW}.", 1))]))
    for options, comment, owner in await _rows(connection, "options", table=f"{LIVE}.{table}"):
        if options:
            await connection.execute(SQL("ALTER TABLE {} SET ({})").format(shadow, _verbatim(", ".join(options))))
        if comment:
            await connection.execute(SQL("COMMENT ON TABLE {} IS {}").format(shadow, comment))
        await connection.execute(SQL("ALTER TABLE {} OWNER TO {}").format(shadow, Identifier(owner)))
    for privilege, grantee, grantable in await _rows(connection, "grants", table=f"{LIVE}.{table}"):
        to = Identifier(grantee) if grantee else SQL("PUBLIC")
        option = SQL(" WITH GRANT OPTION" if grantable else "")
        await connection.execute(SQL("GRANT {} ON {} TO {}{}").format(_verbatim(privilege), shadow, to, option))


def _verbatim(text: str) -> SQL:
    """SQL that Postgres itself wrote, from its catalog."""
    return SQL(text)


def _except(columns: Composed, left: Identifier, right: Identifier) -> Composed:
    statement = SQL("SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}) AS missing")
    return statement.format(columns, left, right)


async def _count(connection: Connection, statement: Composed) -> int:
    row = await (await connection.execute(statement)).fetchone()
    return int(row[0]) if row else 0


async def _rows(connection: Connection, name: str, **parameters: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[name], parameters)).fetchall()
