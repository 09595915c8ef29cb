"""Was every record applied exactly once? What the witness of the sandbox wrote down, from offset 0 of every partition on."""

from __future__ import annotations

import psycopg

from services.sandbox.ledger import Advance, uneven


def advances_without_gap_or_overlap(dsn: str) -> int:
    """The number of records all advances together cover."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT topic, partition, before, after FROM public.advances ORDER BY seq").fetchall()
    advances = [Advance(*row) for row in rows]
    assert not list(uneven(advances, {}))
    return sum(one.after - one.before for one in advances)
