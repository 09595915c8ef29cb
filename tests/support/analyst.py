"""What does an analyst get for a query? As their role, with instants in UTC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

Select = Callable[..., list[dict[str, Any]]]
"""Called with the query and its parameters."""


def selecting(dsn: str) -> Select:
    """Ask this database."""

    def rows(query: str, *parameters: object) -> list[dict[str, Any]]:
        options = "-c role=parley_analytics -c timezone=UTC"
        with psycopg.connect(dsn, autocommit=True, options=options, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    return rows
