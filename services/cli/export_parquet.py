"""How are rows written as Parquet? In row groups, typed as the columns are, with no more than one group in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.export_views import Column, UnfitValueError

GROUP_ROWS: Final = 100_000
"""Of one row group: many enough for readers to skip by, few enough for memory."""
DIGITS: Final = 38
"""Of a decimal, as warehouses have it."""
FRACTION: Final = 9
"""How many of them are behind the point."""

_TYPES: Final = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "numeric": pa.decimal128(DIGITS, FRACTION),
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
_SMALLEST: Final = Decimal(1).scaleb(-FRACTION)
_CONTEXT: Final = Context(prec=DIGITS)


class ParquetRows:
    """Columns may be null. A numeric is rounded to nine digits behind the point, half to even; UnfitValueError if too large."""

    def __init__(self, sink: BinaryIO, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([pa.field(column.name, _TYPES[column.type]) for column in columns])
        self._writer = pq.ParquetWriter(sink, self._schema, compression="zstd")
        self._group: list[pa.RecordBatch] = []

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """At most a group of them; kept until a group is full."""
        arrays = [_array(column, values) for column, values in zip(self._columns, zip(*rows, strict=True), strict=True)]
        self._group.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._group) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is kept, and the end without which the file is none."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._group:
            self._writer.write_table(pa.Table.from_batches(self._group), row_group_size=2 * GROUP_ROWS)
            self._group.clear()


def _array(column: Column, values: Sequence[Any]) -> pa.Array:
    made: Callable[[Any], Any] | None = _rounded if column.type == "numeric" else None
    try:
        return pa.array(map(made, values) if made else values, type=_TYPES[column.type], size=len(values))
    except (pa.ArrowInvalid, InvalidOperation):
        raise UnfitValueError(f"{column.name} has a number that no decimal({DIGITS}, {FRACTION}) can hold") from None


def _rounded(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(_SMALLEST, context=_CONTEXT)
