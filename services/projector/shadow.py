"""How are fresh tables put beside the live ones, and in their place?

What a live table has besides its columns goes with it: keys, indexes under their names, storage parameters, comments, owner,
grants, and the views that read it, which Postgres binds to the table and not to its name.

Until all rows are in, the tables are unlogged and have no indexes but their keys. Crash thinking: a server that crashes empties
all of them, the positions too, so rows and positions agree whatever happens; they are made durable together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel
from psycopg.sql import SQL, Composed, Identifier, Literal

from services.common.platform.statements import queries
from services.projector.batch import Partition

LIVE: Final = "projector"
SHADOW: Final = "projector_rebuild"
OLD: Final = "projector_old"
POSITIONS: Final = "positions"
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_SQL: Final = queries("services.projector", "rebuild.sql")
_MAKERS: Final = ("services.projector", "services.common.domain", "schemas")
"""What decides which rows an event makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How a table like a live one is made. `shape` is what of it the statements do not say."""

    table: str
    shape: str
    statements: Sequence[Composed]
    parts: Sequence[Composed]
    """After the first statement. Another month is no other shape: rows without a part stand in the rest."""
    indexes: Mapping[str, Composed]
    """By name: those that are made when the rows are in."""


async def designs(connection: Connection, tables: Sequence[str], *, schema: str, is_private: bool = False) -> list[Design]:
    """Of these tables and of the positions. Private ones belong to whoever makes them, and nobody else may read them."""
    return [await _design(connection, table, schema, is_private=is_private) for table in (*tables, POSITIONS)]


def mark(made: Sequence[Design], *, since: int | None) -> str:
    """What tables have to bear so that their building may go on: of the same live tables, by the same code, from the same T."""
    digest = hashlib.sha256(f"{since}".encode())
    for name, text in _sources():
        digest.update(f"\0{name}\0".encode() + text)
    for design in made:
        statements = [statement.as_string(None) for statement in (*design.statements, *design.indexes.values())]
        digest.update("\0".join((design.table, design.shape, *statements)).encode())
    return f"parley rebuild {digest.hexdigest()}"


async def create(
    connection: Connection,
    made: Sequence[Design],
    *,
    schema: str,
    mark: str,
    begin: Mapping[Partition, int],
    projection: str,
    is_copy: bool = False,
) -> None:
    """The tables, empty or with the live rows as of one moment, and the positions to begin at; all of it or nothing.

    What was in the schema is dropped.
    """
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            await drop(connection, schema)
            await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
            await connection.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(schema), Literal(mark)))
            for design in made:
                table, *more = design.statements
                for statement in (table, *design.parts, *more):
                    await connection.execute(statement)
                if is_copy:
                    names = (Identifier(schema, design.table), Identifier(LIVE, design.table))
                    await connection.execute(SQL("INSERT INTO {} SELECT * FROM {}").format(*names))
            places = {
                "topics": [topic for topic, _ in begin],
                "partitions": [partition for _, partition in begin],
                "next_offsets": list(begin.values()),
            }
            await connection.execute(_in_schema("begin", schema), {"projection": projection, **places})
    finally:
        await connection.set_isolation_level(None)


async def mark_of(connection: Connection, schema: str) -> str | None:
    """What the tables of a schema bear; None when there are none."""
    found = await _rows(connection, "schema_comment", schema=schema)
    return found[0][0] if found else None


async def is_there(connection: Connection, schema: str) -> bool:
    """Whether there is a schema of this name."""
    return bool(await _rows(connection, "schema_comment", schema=schema))


async def positions(connection: Connection, schema: str, *, projection: str) -> dict[Partition, int]:
    """How far the tables of a schema are."""
    rows = await (await connection.execute(_in_schema("positions", schema), {"projection": projection})).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


async def complete(connection: Connection, made: Sequence[Design]) -> None:
    """With the rows in: durable, with every index, and known to the planner. What is so already is left as it is."""
    async with connection.transaction():
        for design in made:
            table = Identifier(SHADOW, design.table)
            for name in await _parts(connection, SHADOW, design.table) or [design.table]:
                await connection.execute(SQL("ALTER TABLE {} SET LOGGED").format(Identifier(SHADOW, name)))
            known = {name for name, _ in await _rows(connection, "indexes", table=f"{SHADOW}.{design.table}")}
            for name, statement in design.indexes.items():
                if name not in known:
                    await connection.execute(statement)
            await connection.execute(SQL("ANALYZE {}").format(table))


async def drop(connection: Connection, schema: str) -> None:
    """Drop a schema of ours that is not live, if it is there."""
    if schema == LIVE:
        raise ValueError("the live tables are never dropped")
    await connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


async def one_at_a_time(connection: Connection) -> None:
    """Hold what only one session can hold; psycopg.errors.LockNotAvailable when another one keeps it."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '3s'")
        await connection.execute(_SQL["one_at_a_time"])


async def lock_out_writers(connection: Connection) -> None:
    """From here to the end of the transaction projectors wait; readers do not."""
    await connection.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(Identifier(LIVE, POSITIONS)))


async def keep_dead_letters(connection: Connection, *, group: str) -> None:
    """Dead letters of other services outlive the topics they came by."""
    await connection.execute(_SQL["keep_dead_letters"], {"group": group})


async def drop_months(connection: Connection, tables: Sequence[str]) -> None:
    """What was dropped of the live tables because it is old is left out of the shadow tables too."""
    for table, before in await _rows(connection, "dropped_months"):
        if table in tables:
            statement = SQL("DELETE FROM {} WHERE occurred_at < {}").format(Identifier(SHADOW, table), before)
            await connection.execute(statement)


async def forget_unread(connection: Connection) -> None:
    """The positions where nothing was read, as the live ones say: they were there to be missed after a crash."""
    await connection.execute(_SQL["forget_unread"])


async def swap(connection: Connection, tables: Sequence[str]) -> None:
    """Within the caller's transaction: these live tables to the old schema, shadow tables in their place, views bound to them.

    What an earlier swap kept is dropped.
    """
    await connection.execute(SQL("SET LOCAL search_path = pg_catalog"))
    every = SQL(", ").join(Identifier(LIVE, name) for name in tables)
    await connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(every))
    views = await _rows(connection, "views", schema=LIVE)
    await drop(connection, OLD)
    await connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(OLD)))
    for name in tables:
        await _move(connection, name, source=LIVE, target=OLD)
        await _move(connection, name, source=SHADOW, target=LIVE)
    for _, name, definition, options in views:
        await connection.execute(_view(name, definition, options))
    await drop(connection, SHADOW)


async def _move(connection: Connection, table: str, *, source: str, target: str) -> None:
    for name in (table, *await _parts(connection, source, table)):
        await connection.execute(SQL("ALTER TABLE {} SET SCHEMA {}").format(Identifier(source, name), Identifier(target)))


async def _parts(connection: Connection, schema: str, table: str) -> list[str]:
    return [name for name, _ in await _rows(connection, "parts", table=f"{schema}.{table}")]


def _view(name: str, definition: str, options: Sequence[str] | None) -> Composed:
    """`name` and `definition` are Postgres' own words for an existing view, quoted by it."""
    with_options = f" WITH ({', '.join(options)})" if options else ""
    return Composed([_verbatim(f"CREATE OR REPLACE VIEW {name}{with_options} AS {definition}")])


async def _design(connection: Connection, table: str, schema: str, *, is_private: bool) -> Design:
    live, new = Identifier(LIVE, table), Identifier(schema, table)
    name = f"{LIVE}.{table}"
    [(parts_by,)] = await _rows(connection, "partitioned_by", table=name)
    head, in_parts = ("CREATE TABLE", f" PARTITION BY {parts_by}") if parts_by else ("CREATE UNLOGGED TABLE", "")
    like = SQL("{} {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES){}")
    made = [like.format(_verbatim(head), new, live, _verbatim(in_parts))]
    part_of = SQL("CREATE UNLOGGED TABLE {} PARTITION OF {} {}")
    parts = [
        part_of.format(Identifier(schema, part), new, _verbatim(bound))
        for part, bound in await _rows(connection, "parts", table=name)
    ]
    for constraint, definition in await _rows(connection, "constraints", table=name):
        made.append(SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(new, Identifier(constraint), _verbatim(definition)))
    indexes = {}
    for index, definition in await _rows(connection, "indexes", table=name):
        # An index of a table in parts is shown as one of the table alone; made anew it is to be one of all its parts.
        whole = definition.replace(" ON ONLY ", " ON ", 1)
        statement = _verbatim(whole.replace(f" ON {LIVE}.", f" ON {schema}.", 1))
        if definition.startswith("CREATE UNIQUE"):
            made.append(Composed([statement]))
        else:
            indexes[index] = Composed([statement])
    for options, comment, owner in await _rows(connection, "options", table=name):
        if options:
            made.append(SQL("ALTER TABLE {} SET ({})").format(new, _verbatim(", ".join(options))))
        if comment:
            made.append(SQL("COMMENT ON TABLE {} IS {}").format(new, Literal(comment)))
        if not is_private:
            made.append(SQL("ALTER TABLE {} OWNER TO {}").format(new, Identifier(owner)))
    for privilege, grantee, grantable in () if is_private else await _rows(connection, "grants", table=name):
        to = Identifier(grantee) if grantee else SQL("PUBLIC")
        option = SQL(" WITH GRANT OPTION" if grantable else "")
        made.append(SQL("GRANT {} ON {} TO {}{}").format(_verbatim(privilege), new, to, option))
    shape = repr(await _rows(connection, "shape", table=name))
    return Design(table=table, shape=shape, statements=made, parts=parts, indexes=indexes)


def _sources() -> Iterator[tuple[str, bytes]]:
    for package in _MAKERS:
        yield from _texts(package, files(package))


def _texts(place: str, folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        name = f"{place}/{one.name}"
        if one.is_dir() and not one.name.startswith("__"):
            yield from _texts(name, one)
        elif one.name.endswith((".py", ".sql", ".avsc", ".json")):
            yield name, one.read_bytes()


def _in_schema(name: str, schema: str) -> Composed:
    return SQL(_SQL[name]).format(schema=Identifier(schema))


def _verbatim(text: str) -> SQL:
    """SQL that Postgres itself wrote, from its catalog."""
    return SQL(text)


async def _rows(connection: Connection, name: str, **parameters: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[name], parameters)).fetchall()
