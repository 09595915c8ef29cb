"""`parley sql`: ask one of the named questions about messages, as the role of analysts, in a table, in JSON lines or in CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import psycopg
import typer

from services.cli import show
from services.cli.database import as_analyst
from services.cli.named_queries import NamedQuery, UnknownParameterError, catalogue
from services.cli.problem import USAGE, CommandError
from services.common.platform.statements import queries

CATALOGUE: Final = catalogue(queries("services.cli", "analytics.sql"))
_FETCHED: Final = 1_000
"""Rows in memory at once; a table has to know all of them to be as wide as they are."""

Row = tuple[Any, ...]


class Format(StrEnum):
    """How the answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def sql(
    name: Annotated[str | None, typer.Argument(help="The question; without it, all of them are listed.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE; may be given several times.")] = None,
    form: Annotated[Format, typer.Option("--format", help="table, json (one object a line) or csv.")] = Format.TABLE,
) -> None:
    """Ask a named question about the messages, as PARLEY_ANALYTICS_DSN: it reads views in which nobody can be recognised."""
    if name is None:
        _list()
        return
    query = next((one for one in CATALOGUE if one.name == name), None)
    if query is None:
        raise CommandError(f"There is no query {name}.", hint="`parley sql` lists them.", exit_code=USAGE)
    values = _values(query, param or [])
    with _answer(query, values) as (columns, rows):
        _write(form, columns, rows)


def _list() -> None:
    for query in CATALOGUE:
        show.line(f"{query.name}: {query.question}")
        for one in query.parameters:
            default = f" (by default {one.default})" if one.default else ""
            show.line(f"    -p {one.name}=…  {one.meaning}{default}")


def _values(query: NamedQuery, given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    wrong = next((name for name, equals, _ in pairs if not equals), None)
    if wrong is not None:
        raise CommandError(f"--param {wrong}: NAME=VALUE is needed.", exit_code=USAGE)
    try:
        return query.values({name: value for name, _, value in pairs})
    except UnknownParameterError as problem:
        raise CommandError(str(problem), exit_code=USAGE) from None


@contextmanager
def _answer(query: NamedQuery, values: dict[str, str]) -> Iterator[tuple[list[str], Iterable[Row]]]:
    """The columns and the rows, a portion at a time. What goes wrong is said without values."""
    try:
        with (
            as_analyst("sql", when_too_long="Ask for fewer days.") as connection,
            connection.cursor(name="answer") as cursor,
        ):
            cursor.itersize = _FETCHED
            cursor.execute(query.statement, values)
            yield [column.name for column in cursor.description or ()], cursor
    except psycopg.errors.DataError:
        hint = ", ".join(f"{one.name}={one.default}" for one in query.parameters)
        raise CommandError("A parameter is no value of its type.", hint=f"By default: {hint}.", exit_code=USAGE) from None


def _write(form: Format, columns: list[str], rows: Iterable[Row]) -> None:
    if form is Format.JSON:
        for row in rows:
            show.as_json({name: _plain(value) for name, value in zip(columns, row, strict=True)})
    elif form is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if value is None else _plain(value) for value in row] for row in rows)
        sys.stdout.flush()
    else:
        cells = [["-" if value is None else str(_plain(value)) for value in row] for row in rows]
        show.table([[column.upper() for column in columns], *cells])


def _plain(value: Any) -> Any:
    """Exact numbers stay text where JSON would make them inexact; instants are ISO 8601 in UTC."""
    if value is None or isinstance(value, int | float | str):
        return value
    return value.astimezone(UTC).isoformat(timespec="milliseconds") if isinstance(value, datetime) else str(value)
