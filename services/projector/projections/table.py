"""What is a read model? Rows with a key and a merge that is a join: commutative, associative, idempotent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

Row = tuple[Any, ...]


new: Final = tuple.__new__
"""Makes a named row of a tuple: a row's own constructor takes twice as long, and some rows are made for each event."""


class Kind(Enum):
    """What Postgres stores in a column. INSTANT is milliseconds here and timestamptz there."""

    TEXT = auto()
    INSTANT = auto()
    INT4 = auto()
    INT8 = auto()
    BOOL = auto()
    FLOAT8 = auto()
    BYTES = auto()


def as_it_is(row: Any) -> Row:
    """For rows whose fields are the columns."""
    flat: Row = row
    return flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`columns` in the order of a flat row; its first `key` columns are the first `key` fields of a row.

    `merge` and the statement `upsert_<name>` of `queries.sql` are the same function, once here for rows of one batch and once
    there for a batch and what is stored.
    """

    name: str
    columns: Mapping[str, Kind]
    key: int
    merge: Callable[[Any, Any], Any]
    flat: Callable[[Any], Row] = as_it_is
