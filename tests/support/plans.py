"""How would Postgres run a statement of ours, on the tables as they are?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Literal

from services.common.platform.postgres import PROBING

KEPT: Final = "-c plan_cache_mode=force_generic_plan"
"""Plans are made once, for all values: what a service without `probing` comes to after a few times."""


@dataclass(frozen=True)
class Plan:
    """What EXPLAIN tells. A partition goes by its own name, an index of it by that of the partitioned table's index."""

    root: Mapping[str, Any]
    parents: Mapping[str, str]

    @cached_property
    def nodes(self) -> tuple[Mapping[str, Any], ...]:
        """Every step, in the order in which EXPLAIN shows them."""
        return tuple(_walk(self.root))

    @property
    def found_by(self) -> frozenset[str]:
        """The indexes that rows are looked up in."""
        return frozenset(self.parents.get(name, name) for node in self.nodes if (name := node.get("Index Name")) is not None)

    @property
    def arbiters(self) -> frozenset[str]:
        """The indexes by which ON CONFLICT knows that a row is there, where it names their columns."""
        return frozenset(name for node in self.nodes for name in node.get("Conflict Arbiter Indexes", ()))

    @property
    def wholly_unique(self) -> frozenset[str]:
        """The tables of which ON CONFLICT names no columns: every unique index of them says whether a row is there."""
        inserts = (node for node in self.nodes if "Conflict Resolution" in node and "Conflict Arbiter Indexes" not in node)
        return frozenset(node["Relation Name"] for node in inserts)

    @property
    def read_whole(self) -> frozenset[str]:
        """The tables and partitions that are read from their beginning to their end."""
        return frozenset(node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan")

    @property
    def read_through(self) -> frozenset[str]:
        """The indexes that are read from their beginning to their end."""
        scans = (node for node in self.nodes if "Index Name" in node and "Index Cond" not in node)
        return frozenset(self.parents.get(node["Index Name"], node["Index Name"]) for node in scans)


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _walk(below)


_PARENTS: Final = """
    SELECT i.inhrelid::regclass::text, p.relname::text FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent
    WHERE p.relkind = 'I'
"""


def _connect(dsn: str, options: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True, options=options)


def _plan(connection: psycopg.Connection[Any], explain: str, values: Mapping[str, object] | None = None) -> Plan:
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {explain}".encode(), values).fetchone()
    assert row is not None
    parents = connection.execute(_PARENTS).fetchall()
    return Plan(row[0][0]["Plan"], {child.rpartition(".")[2]: parent for child, parent in parents})


def plan_for(
    dsn: str, statement: str, values: Mapping[str, object] | None = None, *, search_path: str = "public", options: str = ""
) -> Plan:
    """The plan for these values: what runs where a statement is asked once."""
    with _connect(dsn, f"{options} -c search_path={search_path}".strip()) as connection:
        return _plan(connection, statement, values)


def plan(
    dsn: str, statement: str, values: Mapping[str, object] | None = None, *, search_path: str = "public", options: str = PROBING
) -> Plan:
    """The plan for values that are not known yet: the one that a service keeps.

    `values`, of which the others are null, say which partitions it would begin to read.
    """
    names: dict[str, int] = {}
    numbered = re.sub(
        r"%\((\w+)\)s", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", statement.replace("%%", "%")
    )
    with _connect(dsn, f"{options} -c search_path={search_path}".strip()) as connection:
        connection.execute(f"PREPARE one AS {numbered}".encode())
        given = SQL(", ").join(Literal((values or {}).get(name)) for name in names)
        return _plan(connection, SQL("EXECUTE one({})" if names else "EXECUTE one").format(given).as_string(connection))
