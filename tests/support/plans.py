"""How would Postgres run a statement of ours, on the tables as they are?"""

from __future__ import annotations

import re

import psycopg

from services.common.platform.postgres import PROBING


def plan(dsn: str, statement: str, *, search_path: str = "public", options: str = PROBING) -> str:
    """The plan for values that are not known yet: the one that a service keeps."""
    names: dict[str, int] = {}
    numbered = re.sub(
        r"%\((\w+)\)s", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", statement.replace("%%", "%")
    )
    with psycopg.connect(dsn, autocommit=True, options=f"{options} -c search_path={search_path}".strip()) as connection:
        connection.execute(f"PREPARE one AS {numbered}".encode())
        nulls = ", ".join(["NULL"] * len(names))
        rows = connection.execute(f"EXPLAIN EXECUTE one({nulls})".encode()).fetchall()
    return "\n".join(row[0] for row in rows)
