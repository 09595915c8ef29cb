"""`parley export`: take a view of `analytics` along as a file, for a notebook, DuckDB or a warehouse."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Protocol

import psycopg
import typer

from services.cli import show
from services.cli.database import as_analyst
from services.cli.export_csv import CsvRows
from services.cli.export_views import Column, Span, UnfitValueError, View, readable
from services.cli.problem import CONFIGURATION, USAGE, CommandError

PORTION: Final = 10_000
"""Rows fetched at a time. The role's statement_timeout is for a portion, not for the whole."""
_TOO_LONG: Final = "Export a shorter time (--since, --until), or allow more: PGOPTIONS='-c statement_timeout=10min'."


class Format(StrEnum):
    """How the rows are written."""

    CSV = "csv"
    PARQUET = "parquet"


class Rows(Protocol):
    """Takes rows, a portion at a time, and writes them to the sink it was made with."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None: ...

    def close(self) -> None: ...


def export(
    view: Annotated[str | None, typer.Argument(help="The view; without it, all of them are listed.")] = None,
    form: Annotated[Format, typer.Option("--format", help="csv or parquet.")] = Format.CSV,
    since: Annotated[str | None, typer.Option(help="Rows of this time or later: 2026-07-01 or 2026-07-01T14:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Rows before this time. Times without a zone are UTC.")] = None,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="The file; there as a whole or not at all.")] = None,
) -> None:
    """Write a view of analytics to a file, or as CSV to stdout, as PARLEY_ANALYTICS_DSN: nobody can be recognised in it."""
    if form is Format.PARQUET and out is None:
        raise CommandError("Parquet needs a file: --out.", exit_code=USAGE)
    span = Span(_instant("--since", since), _instant("--until", until))
    if span.since is not None and span.until is not None and span.since >= span.until:
        raise CommandError("--until has to be later than --since.", exit_code=USAGE)
    writer = _writer(form)
    with as_analyst("export", when_too_long=_TOO_LONG) as connection:
        if view is None:
            _list(readable(connection))
            return
        connection.execute("SET TIME ZONE 'UTC'")  # of the instants in the file, and where its days begin
        source = _chosen(readable(connection), view, is_bounded=any(span))
        if out is None:
            _copy(connection, source, span, writer(sys.stdout.buffer, source.columns), show.Silence())
            sys.stdout.buffer.flush()
            return
        with show.progress(only_on_terminal=True) as progress, _whole(out) as sink:
            count = _copy(connection, source, span, writer(sink, source.columns), progress)
    show.line(f"Rows of {view} in {out}: {count:,}.")


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} {text}: a date or an ISO 8601 time is needed.", exit_code=USAGE) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _writer(form: Format) -> Callable[[BinaryIO, Sequence[Column]], Rows]:
    if form is Format.CSV:
        return CsvRows
    try:
        from services.cli.export_parquet import ParquetRows  # noqa: PLC0415 - pyarrow is large, and optional
    except ImportError:
        raise CommandError("Parquet needs pyarrow.", hint="Install it, or export csv.", exit_code=CONFIGURATION) from None
    return ParquetRows


def _list(views: dict[str, View]) -> None:
    for view in views.values():
        by = f"by {view.time_column}" if view.time_column else "whole"
        show.line(f"{view.name} ({by}): {view.meaning}")


def _chosen(views: dict[str, View], name: str, *, is_bounded: bool) -> View:
    view = views.get(name)
    if view is None:
        raise CommandError(f"There is no view {name}.", hint=f"There are: {', '.join(views)}.", exit_code=USAGE)
    if is_bounded and view.time_column is None:
        raise CommandError(
            f"The rows of {name} have no time.", hint="Export it whole, without --since and --until.", exit_code=USAGE
        )
    return view


def _copy(connection: psycopg.Connection[tuple[Any, ...]], view: View, span: Span, rows: Rows, progress: show.Progress) -> int:
    """All rows of one moment, a portion in memory; how many."""
    count = 0
    with closing(rows), connection.cursor(name="export") as cursor:
        progress.step(f"Exporting {view.name}")
        cursor.execute(view.statement(span), span._asdict())
        while portion := cursor.fetchmany(PORTION):
            try:
                rows.write(portion)
            except UnfitValueError as problem:
                raise CommandError(f"{view.name}.{problem}.") from None
            count += len(portion)
            progress.step(f"{count:,} rows")
    return count


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once it is complete. A kill leaves `.NAME.….partial` beside it, and the file of before."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with part.open("xb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise CommandError(f"{path}: {problem.strerror}.") from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise
