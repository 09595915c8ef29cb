"""Was every record applied exactly once? A trigger writes down every advance of a position in the transaction that makes it.

It is not idempotent, unlike the tables: advances that overlap are a record applied twice, a gap between them is a record lost.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import Final

import psycopg

_WITNESS: Final = """
CREATE TABLE public.advances (
    seq bigint GENERATED ALWAYS AS IDENTITY, topic text, partition integer, before bigint, after bigint
);
CREATE FUNCTION public.witness() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.advances (topic, partition, before, after)
    VALUES (new.topic, new.partition, old.next_offset, new.next_offset);
    RETURN NULL;
END
$$;
CREATE TRIGGER witness AFTER UPDATE ON projector.positions
    FOR EACH ROW WHEN (old.next_offset <> new.next_offset) EXECUTE FUNCTION public.witness();
"""


def install(dsn: str) -> None:
    """Before the projector's first start."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_WITNESS)


def advances_without_gap_or_overlap(dsn: str) -> int:
    """The number of records all advances together cover, from offset 0 of every partition on."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT topic, partition, before, after FROM public.advances ORDER BY 1, 2, seq").fetchall()
    total = 0
    for place, group in groupby(rows, key=lambda row: row[:2]):
        steps = [(before, after) for _, _, before, after in group]
        assert steps[0][0] == 0, place
        assert all(earlier[1] == later[0] for earlier, later in pairwise(steps)), place
        total += sum(after - before for before, after in steps)
    return total
