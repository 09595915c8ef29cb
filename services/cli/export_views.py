"""Which views can be exported, by which of their columns in time, and by which statement?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from services.common.platform.statements import queries

TIME_COLUMNS: Final = ("occurred_at", "opened_at", "began_at", "started_at", "appended_at", "hour", "day")
"""The time of a row is the first of these columns that its view has; a view with none of them is only exported whole."""

_SQL: Final = queries("services.cli")
_AS_THEY_ARE: Final = frozenset(
    {
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "text",
        "date",
        "timestamp with time zone",
    }
)


class UnfitValueError(ValueError):
    """A value has no place in the type that its column has in a file. The text names the column and not the value."""


class Column(NamedTuple):
    """A column under Postgres' name of its type; every type that files have no form for is `text`."""

    name: str
    type: str


class Span(NamedTuple):
    """From `since` on and before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view of schema `analytics` that the role may read, with its comment."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def time_column(self) -> str | None:
        """What `since` and `until` are compared with."""
        names = {column.name for column in self.columns}
        return next((name for name in TIME_COLUMNS if name in names), None)

    def statement(self, span: Span) -> Composed:
        """Its rows of a span, whose bounds are parameters of it. A day or an hour counts by its beginning.

        ValueError for a bound of a view without a time. The session's time zone has to be UTC.
        """
        chosen = SQL(", ").join(map(_select, self.columns))
        rows = SQL("SELECT {} FROM {}").format(chosen, Identifier("analytics", self.name))
        bounds = [SQL("{} >= %(since)s")] * (span.since is not None) + [SQL("{} < %(until)s")] * (span.until is not None)
        if not bounds:
            return rows
        if self.time_column is None:
            raise ValueError("the rows of this view have no time")
        return rows + SQL(" WHERE ") + SQL(" AND ").join(bound.format(Identifier(self.time_column)) for bound in bounds)


def _select(column: Column) -> Composed:
    return SQL("{0}::text AS {0}" if column.type == "text" else "{}").format(Identifier(column.name))


def readable(connection: psycopg.Connection[Any]) -> dict[str, View]:
    """All that the connection's role may read, by name."""
    return {
        name: View(name=name, meaning=meaning or "", columns=tuple(_column(*column) for column in zip(names, types, strict=True)))
        for name, meaning, names, types in connection.execute(_SQL["analytics_views"]).fetchall()
    }


def _column(name: str, kind: str) -> Column:
    return Column(name, kind if kind in _AS_THEY_ARE else "text")
