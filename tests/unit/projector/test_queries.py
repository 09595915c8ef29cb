"""Do the statements and the tables in the code name the same columns?"""

from __future__ import annotations

import re

from services.common.platform.statements import queries
from services.projector.fold import TABLES
from services.projector.looks import LOOKS
from services.projector.projections.table import Kind

_TYPES = {
    Kind.TEXT: "text",
    Kind.INSTANT: "timestamptz",
    Kind.INT4: "int4",
    Kind.INT8: "int8",
    Kind.BYTES: "bytea",
    Kind.BOOL: "bool",
    Kind.FLOAT8: "float8",
}


def test_every_statement_takes_the_columns_of_its_table_in_their_types() -> None:
    sql = queries("services.projector")
    for table in TABLES:
        taken = re.findall(r"%\((\w+)\)s::(\w+)\[\]", sql[f"upsert_{table.name}"])
        assert taken == [(name, _TYPES[kind]) for name, kind in table.columns.items()]


def test_there_is_no_statement_that_nobody_uses() -> None:
    named = {f"upsert_{table.name}" for table in TABLES}
    positions = {
        "next_offsets",
        "hold_positions",
        "begin_positions",
        "save_positions",
        "schema_is_there",
        "keep_months",
        "room_until",
    }
    assert set(queries("services.projector")) == named | positions | set(LOOKS)
