"""How are rows written as CSV that every tool reads alike? Without losing a digit, and with nulls that are no empty texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final

from services.cli.export_views import Column

_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]|^$|^\s|\s$')


class CsvRows:
    """A header and a line a row, in UTF-8, as RFC 4180 has it but for line feeds."""

    def __init__(self, sink: BinaryIO, columns: Sequence[Column]) -> None:
        self._sink = sink
        self.write([tuple(column.name for column in columns)])

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Written through to the sink's own buffer."""
        self._sink.write("".join(csv_line(row) for row in rows).encode())

    def close(self) -> None:
        """All is written already."""


def csv_line(row: Sequence[Any]) -> str:
    """A null is an empty field, an empty text a quoted one; instants are ISO 8601 with microseconds, decimals have no `E`."""
    return ",".join(map(_field, row)) + "\n"


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if _NEEDS_QUOTES.search(value) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return format(value, "f") if isinstance(value, Decimal) else str(value)
