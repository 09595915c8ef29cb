"""What is in a migrated database? Read from Postgres' own catalog, for comparing two of them and for the picture of entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import psycopg

from services.common.platform.statements import queries

SCHEMAS: Final = ("registry", "projector", "sender", "analytics")
"""Those that migrations make."""

_SQL: Final = queries("tools", "catalog.sql")
_FACETS: Final = (
    "schemas", "relations", "columns", "constraints", "sequences", "functions", "triggers", "types", "grants", "comments",
)  # fmt: skip

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    type: str
    is_nullable: bool
    """Columns of views always are, as far as Postgres knows."""
    is_key: bool
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A table or view."""

    schema: str
    name: str
    is_view: bool
    comment: str
    columns: tuple[Column, ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key, in the order of the columns; none of a view."""
        return tuple(column.name for column in self.columns if column.is_key)


def described(connection: Connection) -> dict[str, str]:
    """Everything that migrations can decide, by object. The same of two databases of one server: they are alike.

    Texts that Postgres makes of views and functions differ between its versions, so that those of two servers cannot be compared.
    """
    connection.execute("SET search_path = pg_catalog")
    found: dict[str, str] = {}
    for facet in _FACETS:
        for name, fact in _rows(connection, facet):
            if name in found:
                raise ValueError(f"two objects are told as one: {name}")
            found[name] = fact
    return found


def entities(connection: Connection) -> Iterator[Entity]:
    """Tables and views, by schema and name."""
    for (schema, name, is_view, comment), rows in groupby(_rows(connection, "entities"), key=lambda row: row[:4]):
        yield Entity(
            schema=schema,
            name=name,
            is_view=is_view,
            comment=comment,
            columns=tuple(
                Column(name=column, type=kind, is_nullable=is_nullable, is_key=is_key, comment=said)
                for *_, column, kind, is_nullable, is_key, said in rows
            ),
        )


def partitions(connection: Connection) -> list[str]:
    """Tables that are part of another, with their schema."""
    connection.execute("SET search_path = pg_catalog")
    return [name for (name,) in _rows(connection, "partitions")]


def _rows(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    return connection.execute(_SQL[name], {"schemas": list(SCHEMAS)}).fetchall()
